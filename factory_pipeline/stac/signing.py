"""Turning an unsigned href into one that can be read, and back."""

import threading
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import requests

from factory_pipeline.errors import SourceUnavailableError

_SIGNATURE_KEYS = frozenset(
    {"sig", "signature", "token", "access_token", "awsaccesskeyid", "x-amz-signature", "x-goog-signature"}
)
_one_at_a_time = threading.Lock()


def sign_for_planetary_computer(href: str) -> str:
    """Add Planetary Computer's token to the href of a blob; other hrefs come back as they are.

    Tokens are kept in memory, one per container, until they expire.

    Raises:
        SourceUnavailableError: the signing service does not answer.
    """
    import planetary_computer

    try:
        # Without the lock each of many threads would ask for the same token when it expires.
        with _one_at_a_time:
            return str(planetary_computer.sign_url(href))
    except requests.RequestException as error:
        host = urlsplit(href).netloc
        raise SourceUnavailableError(
            f"Planetary Computer gives no token for {host} ({type(error).__name__}); try again later."
        ) from None


SIGNERS: Mapping[str, Callable[[str], str]] = {"planetary-computer": sign_for_planetary_computer}
"""By the name that a source gives."""


def unsigned(href: str) -> str:
    """The href without its query where that holds a signature: safe to store and to print."""
    parts = urlsplit(href)
    keys = {key.lower() for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
    return urlunsplit(parts._replace(query="")) if keys & _SIGNATURE_KEYS else href


def without_credentials(url: str) -> str:
    """The address without user name, password and query: safe to store and to print."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))
