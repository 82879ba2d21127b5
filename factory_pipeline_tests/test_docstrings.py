"""Public functions with several parameters describe each; ruff (D417) only sees sections that exist."""

import ast
from collections.abc import Iterator
from pathlib import Path

import factory_pipeline

PACKAGE = Path(factory_pipeline.__file__).parent
NOT_YET = ("cog", "config", "datasets")
"""Rooms with functions that describe no parameter."""
SHOWN_TO_USERS = ("command", "group", "stage_asset")
"""Decorators of functions that a user runs: the docstring is the text of `--help`, or of an asset's page."""


def _is_shown_to_users(function: ast.FunctionDef) -> bool:
    names = (ast.unparse(decorator).partition("(")[0] for decorator in function.decorator_list)
    return any(name.rpartition(".")[2] in SHOWN_TO_USERS or name.startswith("dg.") for name in names)


def _parameters(function: ast.FunctionDef) -> list[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [
        one.arg for one in every if one and one.arg not in ("self", "cls") and not one.arg.startswith("_")
    ]


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
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


def _lacking(paths: Iterator[Path]) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path in sorted(paths)
        for name in functions_without_args(path.read_text(encoding="utf-8"))
    ]


def test_functions_of_several_parameters_describe_them() -> None:
    modules = (path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in NOT_YET)
    assert _lacking(modules) == []


def test_the_exceptions_lack_descriptions() -> None:
    assert [room for room in NOT_YET if not _lacking((PACKAGE / room).rglob("*.py"))] == []


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
