"""What commands list, as JSON for scripts; docs/cli.md has the keys."""

import json
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; docs/cli.md has its keys.")


def echo_json(value: Any) -> None:
    """Print a value as JSON: models and dataclasses as objects, times in ISO 8601, NaN as null."""
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(value, inf_nan_mode="null")
    # JSON in ASCII has no control characters that a terminal would act on.
    click.echo(json.dumps(plain, indent=2))  # noqa: TID251
