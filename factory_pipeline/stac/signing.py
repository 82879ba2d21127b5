"""Turning an unsigned href into one that can be read."""

import threading
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import requests

from factory_pipeline.errors import SourceUnavailableError

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
            f"Planetary Computer returned no token for {host} ({type(error).__name__}); try again later."
        ) from None


SIGNERS: Mapping[str, Callable[[str], str]] = {"planetary-computer": sign_for_planetary_computer}
"""By the name that a source gives."""
