"""Codes of coordinate reference systems, as users write them."""

from typing import Annotated, Any

from pydantic import BeforeValidator


def parse_epsg(value: Any) -> Any:
    """Return 32633 of `EPSG:32633` or `32633`; what is not a text is returned as it is.

    Args:
        value: as it is in a recipe or on the command line.

    Raises:
        ValueError: it is another text.
    """
    if not isinstance(value, str):
        return value
    code = value.strip().upper().removeprefix("EPSG:").strip()
    if not code.isdecimal():
        raise ValueError("an EPSG code is a number such as 32633, or EPSG:32633")
    return int(code)


EpsgCode = Annotated[int, BeforeValidator(parse_epsg)]
