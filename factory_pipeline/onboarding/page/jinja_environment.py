"""The templates of the pages, compiled once for the process."""

import re
from functools import cache

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

_CODE = re.compile(r"`([^`]+)`")


@cache
def environment() -> Environment:
    """Return what renders the templates of the dataset page."""
    return make_environment(PackageLoader("factory_pipeline.onboarding.page"))


def make_environment(loader: BaseLoader) -> Environment:
    """Return what renders the templates of a loader; text from uploads is escaped."""
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = _number
    made.filters["ticks"] = mark_code
    made.filters["weight"] = lambda value: f"{value:.3g}"
    return made


def mark_code(text: str) -> Markup:
    """Return a sentence as HTML in which what is between backticks is code.

    Args:
        text: is escaped.
    """
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _number(value: float | None) -> str:
    """Format a number with four significant digits, without exponent if it stays readable."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 1e6:
        digits = max(4 - len(str(int(abs(value)))), 0) if abs(value) >= 1 else 4
        return f"{value:,.{digits}f}"
    return f"{value:.3e}"
