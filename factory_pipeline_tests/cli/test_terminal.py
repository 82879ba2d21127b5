"""What the command line prints of users' files."""

import click
import pytest
from click.testing import CliRunner

from factory_pipeline.cli.terminal import echo, echo_block, prompt
from factory_pipeline.plain_text import escape_controls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Band 1", "Band 1"),
        ("数据 Čeština 👩‍🌾 می‌خواهم", "数据 Čeština 👩‍🌾 می‌خواهم"),
        ("Red\nError: all is lost", r"Red\nError: all is lost"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("\x9b31mred\x85", r"\x9b31mred\x85"),
        ("fig\u202egnp.exe", r"fig\u202egnp.exe"),
        ("one\u2028two\u2066three", r"one\u2028two\u2066three"),
        ("\udcff", r"\udcff"),
        ("\ufeffname", r"\ufeffname"),
    ],
)
def test_characters_that_control_a_terminal_are_written_out(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


@click.command()
def printing() -> None:
    echo("first\nFAIL", "second\x1b[2J")
    echo_block("third\nfourth\r")
    prompt("Name\x07", default="a\nb")


def test_every_line_stays_one_line() -> None:
    printed = CliRunner().invoke(printing, input="\n").output
    assert printed.splitlines() == [
        r"first\nFAIL",
        r"second\x1b[2J",
        "third",
        r"fourth\r",
        r"Name\x07 [a\nb]: ",
    ]
