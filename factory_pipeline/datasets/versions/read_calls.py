"""The calls that a factory's web server handles without a run, and their path."""

import os

READ_CALLS = ("collections", "datasets", "dataset", "version", "compare", "check")
"""The calls that change nothing."""
READ_PATH = "/factory/read"
"""Path of READ_CALLS on the web server: the request is `{"call", "arguments"}` as JSON, the response
`answer`, `argument_error` or `error`.
"""
TOKEN = "FACTORY_TOKEN"
"""The environment variable with the token of `factory ui --token`, on the server and where it is used."""


def authorization() -> dict[str, str]:
    """Return the header that a factory with a token asks for; none where no token is set."""
    token = os.environ.get(TOKEN, "")
    return {"Authorization": f"Bearer {token}"} if token else {}
