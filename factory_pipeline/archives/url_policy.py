"""Addresses of archives: which hosts and folders may be read."""

import ipaddress
import re
import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.redaction import display

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that contain an IPv4 address in their last bits (RFC 6052)."""


def scheme_of(url: str) -> str:
    """Return the scheme in lower case; `file` for a path."""
    scheme, colon, _ = url.partition("://")
    return scheme.lower() if colon else "file"


def has_user(url: str) -> bool:
    """Return whether an address contains a user or a password."""
    return "://" in url and "@" in urlsplit(url).netloc


def check_scheme(url: str, policy: IntakePolicy) -> str:
    """Return the scheme of an address, if this installation opens it.

    Args:
        url: an address or a path, whose scheme is `file`.
        policy: its `schemes` are those that are opened.

    Returns:
        The scheme in lower case, such as `https`.

    Raises:
        OnboardingError: SCHEME_NOT_ALLOWED.
    """
    scheme = scheme_of(url)
    # fsspec reads `a::b` as a chain of file systems, whose parts would bypass the check.
    if scheme not in policy.schemes or "::" in re.sub(r"\[[^\]]*\]", "", display(url)):
        allowed = ", ".join(policy.schemes) or "none"
        raise OnboardingError(
            "SCHEME_NOT_ALLOWED",
            f"{display(url)} can't be opened: allowed schemes are {allowed}.",
        )
    return scheme


def local_path(url: str, policy: IntakePolicy) -> Path:
    """Return the file of a path or a `file://` address, if it is in an allowed folder.

    Links are resolved before the folders are compared.

    Args:
        url: a path, or a `file://` address, whose percent escapes are decoded.
        policy: its `folders` are those that may be read.

    Returns:
        The absolute path, without links.

    Raises:
        OnboardingError: ADDRESS_NOT_ALLOWED.
    """
    path = Path(unquote(urlsplit(url).path) if "://" in url else url)
    resolved = path.expanduser().resolve()
    if not any(resolved.is_relative_to(folder.resolve()) for folder in policy.folders):
        allowed = ", ".join(str(folder) for folder in policy.folders) or "none is set"
        raise OnboardingError(
            "ADDRESS_NOT_ALLOWED", f"{path} is outside the folders that may be read ({allowed})."
        )
    return resolved


def check_host(url: str, policy: IntakePolicy) -> None:
    """Refuse a host if any of its addresses is not public.

    Args:
        url: an address with a host.
        policy: whether private addresses are allowed.

    Raises:
        OnboardingError: ADDRESS_NOT_ALLOWED, or URL_UNREACHABLE if the name has no address.
    """
    try:
        host = urlsplit(url).hostname
        port = urlsplit(url).port
    except ValueError:
        host = port = None
    if not host:
        raise OnboardingError("URL_UNREACHABLE", f"{display(url)} contains no host.")
    try:
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OnboardingError("URL_UNREACHABLE", f"The host {host} has no address.") from error
    for *_, address in found:
        check_peer(host, str(address[0]), policy)


def check_peer(host: str, peer: str, policy: IntakePolicy) -> None:
    """Refuse an address that is not public, unless private ones are allowed.

    Args:
        host: the name that was requested, for the message.
        peer: its IPv4 or IPv6 address, with or without zone.
        policy: whether private addresses are allowed.

    Raises:
        OnboardingError: ADDRESS_NOT_ALLOWED.
    """
    if policy.private_addresses:
        return
    address = ipaddress.ip_address(peer.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) % 2**32)
        address = inner or address
    if not address.is_global or address.is_multicast:
        raise OnboardingError(
            "ADDRESS_NOT_ALLOWED",
            f"The host {host} is in a private network, and intake.yaml does not set private_addresses: true.",
        )
