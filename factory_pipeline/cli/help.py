"""Help that names every command in a full line, in groups, and the old names of commands that moved."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

Section = tuple[str, Sequence[str]]
"""A heading and the names of its commands, in their order."""
OTHER = "Other commands"


class FullHelpGroup(click.Group):
    """A group whose help shows the whole first sentence of each command, also of the groups inside it."""

    def __init__(
        self,
        *args: Any,
        sections: Sequence[Section] = (),
        aliases: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make a group of commands.

        Args:
            *args: as for `click.Group`.
            sections: headings of the help; a command of none of them is shown under `OTHER`.
            aliases: names that are taken too and are not shown, with the names on the way to what they mean.
            **kwargs: as for `click.Group`.
        """
        super().__init__(*args, **kwargs)
        self.sections = tuple(sections)
        self.aliases = dict(aliases or {})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, also with `_` for `-`, or by an alias.

        Args:
            ctx: of the group.
            cmd_name: as the user typed it.
        """
        found = super().get_command(ctx, cmd_name) or super().get_command(ctx, cmd_name.replace("_", "-"))
        if found is not None or cmd_name not in self.aliases:
            return found
        command: click.Command | None = self
        for name in self.aliases[cmd_name]:
            assert isinstance(command, click.Group)
            command = command.commands[name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, a heading for each section.

        Args:
            ctx: of the group.
            formatter: that the lines are written to.
        """
        shown = [name for _, names in self.sections for name in names]
        rest = [name for name in self.list_commands(ctx) if name not in shown]
        sections = [*self.sections, (OTHER if self.sections else "Commands", rest)]
        lines = {title: [row for name in names for row in self._rows(ctx, name)] for title, names in sections}
        width = max((len(name) for rows in lines.values() for name, _ in rows), default=0)
        for title, rows in lines.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(width), text) for name, text in rows])

    def _rows(self, ctx: click.Context, name: str) -> Iterator[tuple[str, str]]:
        command = self.get_command(ctx, name)
        if command is None or command.hidden:
            return
        if not isinstance(command, click.Group):
            yield name, first_sentence(command)
            return
        for inner in command.list_commands(ctx):
            member = command.get_command(ctx, inner)
            if member is not None and not member.hidden:
                yield f"{name} {inner}", first_sentence(member)


def first_sentence(command: click.Command) -> str:
    """Return the first sentence of a command's help in one line, without its full stop."""
    paragraph = (command.help or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split()).partition(". ")[0].removesuffix(".")
