"""What the command line prints: text of users' files never controls the terminal or fakes a line."""

from typing import Any

import click

from factory_pipeline.plain_text import escape_controls


def echo(*lines: object, err: bool = False) -> None:
    r"""Print lines, each as one line: a control character inside it is written out, such as `\n` or `\x1b`.

    Args:
        *lines: printed one below the other. None of them prints nothing.
        err: print to standard error instead of standard output.
    """
    if lines:
        click.echo("\n".join(map(escape_controls, lines)), err=err)  # noqa: TID251


def echo_block(text: object, err: bool = False) -> None:
    """Print text of several lines that the program composed; only its line breaks are left as they are.

    What comes from a user's file goes into it by `escape_controls`.

    Args:
        text: an object that is shown by its `str`.
        err: print to standard error.
    """
    echo(*str(text).split("\n"), err=err)


def prompt(text: str, default: Any = None, **options: Any) -> Any:
    """Ask as `click.prompt` does; question and offered answer are shown as one line.

    Args:
        text: the question.
        default: the offered answer; None offers none.
        **options: as for `click.prompt`.
    """
    offered = escape_controls(default) if isinstance(default, str) else default
    return click.prompt(escape_controls(text), default=offered, **options)  # noqa: TID251


def confirm(text: str, **options: Any) -> bool:
    """Ask as `click.confirm` does; the question is shown as one line.

    Args:
        text: the question.
        **options: as for `click.confirm`.
    """
    return click.confirm(escape_controls(text), **options)  # noqa: TID251
