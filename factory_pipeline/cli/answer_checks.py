"""Checks of answers that are typed on the terminal: what the manifest allows, and what is not in use yet."""

from collections.abc import Callable, Container
from typing import Annotated, Any

import click
from pydantic import BaseModel, TypeAdapter, ValidationError

AnswerCheck = Callable[[Any], Any]
"""A `value_proc` of `click.prompt`: returns the value, or raises `click.BadParameter` to ask again."""


def check_allowed(section: type[BaseModel], field: str) -> AnswerCheck:
    """Return a check that accepts what the manifest allows.

    Args:
        section: of the manifest, such as `DataSource`.
        field: of the section.
    """
    info = section.model_fields[field]
    annotated: Any = Annotated[(info.annotation, *info.metadata)]
    adapter: TypeAdapter[Any] = TypeAdapter(annotated)

    def check(answer: Any) -> Any:
        try:
            return adapter.validate_python(answer)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise click.BadParameter(f"{answer!r} is not allowed: {reason}") from None

    return check


def check_not_taken(check: AnswerCheck, taken: Container[Any]) -> AnswerCheck:
    """Return a check that accepts what `check` does, but no value that is taken.

    Args:
        check: converts an answer, or raises click.BadParameter.
        taken: values that are in use, as `check` returns them.
    """

    def checked(answer: Any) -> Any:
        value = check(answer)
        if value in taken:
            raise click.BadParameter(f"{value!r} is in use; each must be different.")
        return value

    return checked
