"""Addresses and texts as they may be shown, logged and kept: without passwords and signatures."""

import re
from urllib.parse import parse_qsl, urlsplit, urlunsplit

_SIGNATURE_KEYS = frozenset(
    {"sig", "signature", "token", "access_token", "awsaccesskeyid", "x-amz-signature", "x-goog-signature"}
)
_ADDRESS = re.compile(r"\w+://\S+")
_USER = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(r"\?\S*")
_HOST = re.compile(r"(\[[^\]]*\]|[^:@]*)(:\d*)?")


def display(address: object) -> str:
    """An address as it may be shown and kept: without user, password, query and fragment.

    A path stays as it is. Anything may stand for the address, also what is none.
    """
    text = str(address)
    scheme, colon, rest = text.partition("://")
    if not colon:
        return text
    authority = _authority(rest)
    # What stands in a password should be encoded and often isn't: behind `me:pa` of `me:pa/ss@host` more of
    # it must follow, as that is no host.
    while "@" in rest and not _HOST.fullmatch(authority):
        rest = rest.partition("@")[2]
        authority = _authority(rest)
    path = re.split(r"[?#]", rest[len(authority) :], maxsplit=1)[0]
    return f"{scheme}://{authority}{path}"


def _authority(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def unsigned(href: str) -> str:
    """The href without its query where that holds a signature: it can be signed again, kept and shown."""
    parts = urlsplit(href)
    keys = {key.lower() for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
    return urlunsplit(parts._replace(query="")) if keys & _SIGNATURE_KEYS else href


def redact(text: str) -> str:
    """A text of a library, such as a line of a log, without the users and queries of the addresses in it."""
    return _QUERY.sub("", _USER.sub("", text))


def hide_addresses(text: str) -> str:
    """A text of a library without the addresses in it."""
    return _ADDRESS.sub("(address)", text)
