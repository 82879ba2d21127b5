"""Options as scripts of argparse have them: `_` or `-` in names, several numbers behind one option."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import click

_NUMBER = re.compile(r"-?\d+")


def either_spelling(name: str, **settings: Any) -> Callable[[Any], Any]:
    """Return an option that is also accepted with `-` in place of each `_`.

    Args:
        name: with `_`, which is also the name of the parameter.
        **settings: as for `click.option`.
    """
    return click.option(f"--{name}", f"--{name.replace('_', '-')}", name, **settings)


class NumberListCommand(click.Command):
    """A command that takes `--offsets -1 -2` for an option of numbers that is `multiple`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the option before each of its numbers, as click has it, and parse the arguments.

        Args:
            ctx: of the command.
            args: as the user typed them.
        """
        return super().parse_args(ctx, list(self._rewrite(args)))

    def _rewrite(self, args: list[str]) -> Iterator[str]:
        lists = {
            name
            for option in self.params
            if isinstance(option, click.Option) and option.multiple
            for name in option.opts
        }
        current: str | None = None
        for position, argument in enumerate(args):
            if argument in lists:
                current = argument
                if position + 1 < len(args) and _NUMBER.fullmatch(args[position + 1]):
                    continue
            elif current is not None and _NUMBER.fullmatch(argument):
                yield f"{current}={argument}"
                continue
            else:
                current = None
            # An option without numbers stays, so that click says what it takes.
            yield argument
