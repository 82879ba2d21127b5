"""A database server that can't be used, in one sentence, whatever library tells so."""

import re

OUTAGE = re.compile(
    r"psycopg2?\.(?:OperationalError|InterfaceError|DatabaseError"
    r"|errors\.(?:AdminShutdown|CrashShutdown|CannotConnectNow))\)?:? (?P<told>.+)",
    re.DOTALL,
)
"""What the drivers of PostgreSQL raise, also within the words of SQLAlchemy and Dagster."""
NOT_FOR_USERS = re.compile(r"\s*(\(Background on this error|\[SQL: ).*", re.DOTALL)
"""What SQLAlchemy adds."""


def describe_outage(error: BaseException) -> str | None:
    """Return in one sentence why a database server can't be used; None for another error.

    Args:
        error: of any library; one that it was raised from counts as well.
    """
    each: BaseException | None = error
    while each is not None:
        told = describe_outage_in(f"{type(each).__module__}.{type(each).__qualname__}: {each}")
        if told is not None:
            return told
        each = each.__cause__
    return None


def describe_outage_in(message: str) -> str | None:
    """Return in one sentence why a database server can't be used; None for another error.

    Args:
        message: an error's class and words.
    """
    found = OUTAGE.search(message)
    if found is None:
        return None
    told = " ".join(NOT_FOR_USERS.sub("", found["told"]).split())
    return f"The database of the factory home can't be used: {told}"
