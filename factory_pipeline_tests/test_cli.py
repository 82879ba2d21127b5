"""The command line as a whole: its help, its names, what errors look like."""

import subprocess

import click
import pytest
from click.testing import CliRunner

from factory_pipeline.cli import OLD_NAMES, SECTIONS, cli
from factory_pipeline_tests.built import FACTORY


def commands_of(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command that is no group, by its names."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands_of(command, (*path, name))
        else:
            found[" ".join((*path, name))] = command
    return found


def test_help_has_a_full_line_for_every_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "60"}).output
    assert "..." not in shown.replace("[ARGS]...", "")
    lines = shown.splitlines()
    for name in commands_of(cli):
        assert any(line.startswith(f"  {name} ") for line in lines), name
    for title, _ in SECTIONS:
        assert f"{title}:" in lines


@pytest.mark.parametrize("old", OLD_NAMES)
def test_old_names_still_work_and_are_not_shown(old: str) -> None:
    shown = CliRunner().invoke(cli, [old, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"Usage: cli {old} " in shown.output
    assert f"\n  {old} " not in CliRunner().invoke(cli, ["--help"]).output


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option: str) -> None:
    assert CliRunner().invoke(cli, [option]).output.startswith("factory, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_the_command_that_the_shell_calls(shell: str) -> None:
    printed = CliRunner().invoke(cli, ["completion", shell])
    assert printed.exit_code == 0
    assert "_FACTORY_COMPLETE" in printed.output


def test_completion_completes_commands() -> None:
    words = {"_FACTORY_COMPLETE": "bash_complete", "COMP_WORDS": "factory upload l", "COMP_CWORD": "2"}
    completed = subprocess.run(
        [FACTORY], env=words, capture_output=True, text=True, timeout=60, check=False
    ).stdout.splitlines()
    assert completed == ["plain,list", "plain,logs"]
