"""Public functions with several parameters describe each; ruff (D417) only sees sections that exist."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import factory_pipeline

Function = ast.FunctionDef | ast.AsyncFunctionDef
PACKAGE = Path(factory_pipeline.__file__).parent
SHOWN_TO_USERS = ("command", "group", "stage_asset")
"""Decorators of functions that a user runs: the docstring is the text of `--help`, or of an asset's page."""


def _is_shown_to_users(function: Function) -> bool:
    names = (ast.unparse(decorator).partition("(")[0] for decorator in function.decorator_list)
    return any(name.rpartition(".")[2] in SHOWN_TO_USERS or name.startswith("dg.") for name in names)


def _parameters(function: Function) -> list[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [
        one.arg for one in every if one and one.arg not in ("self", "cls") and not one.arg.startswith("_")
    ]


def _public(body: list[ast.stmt]) -> Iterator[Function]:
    for node in body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body)


def functions_without_args(source: str) -> list[str]:
    """Return the names of public functions of a module that describe none of their several parameters.

    Those that implement a documented function say so: "As `Backend`.".
    """
    return [
        function.name
        for function in _public(ast.parse(source).body)
        if len(_parameters(function)) > 1
        and not _is_shown_to_users(function)
        and "Args:" not in (text := ast.get_docstring(function) or "")
        and not text.startswith("As `")
    ]


@pytest.mark.integration  # reads every module, which takes seconds
def test_functions_of_several_parameters_describe_them() -> None:
    lacking = [
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in functions_without_args(path.read_text(encoding="utf-8"))
    ]
    assert lacking == [], "describe each parameter under `Args:`; the words say what its type does not"


def test_a_function_without_descriptions_is_found() -> None:
    source = (
        'def one(a, b):\n    """Do it."""\n\n\n'
        'class Two:\n    def three(self, a, *, b):\n        """Do it."""\n\n'
        '    def four(self, a):\n        """Do it."""\n\n'
        '    def five(self, a, b):\n        """As `Base`."""\n\n\n'
        '@click.command()\ndef six(a, b):\n    """Shown by --help."""\n\n\n'
        'def seven(a, b):\n    """Do it.\n\n    Args:\n        a: one.\n        b: two.\n    """\n'
    )
    assert functions_without_args(source) == ["one", "three"]
