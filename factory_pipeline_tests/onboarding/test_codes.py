"""The table of codes of refused uploads: whole, and without a code that nothing gives."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import factory_pipeline
from factory_pipeline.errors import ONBOARDING_CODES

PACKAGE = Path(factory_pipeline.__file__).parent

REFUSALS = {"OnboardingError": 0, "_refused": 0, "broken_as_error": 1}
"""What makes a refusal -> which of its arguments is the code."""

CHOSEN_ELSEWHERE = {
    ("archives/extract.py", "code"),  # an argument of broken_as_error
    ("archives/safe_names.py", "code"),  # an argument of _refused
    ("onboarding/checks/pairing.py", "codes.get(check.name, 'CHECK_FAILED')"),
    ("onboarding/list_inbox.py", "NO_MANIFEST"),
    ("runs/onboarding.py", "upload.code or 'CHECK_FAILED'"),
}
"""Codes that are no literals where the refusal is made: file and expression."""


@pytest.mark.integration
def test_the_table_of_codes_is_whole_and_holds_no_other() -> None:
    given: set[str] = set()
    chosen = set()
    for file, code in refusals():
        literals = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant)}
        if isinstance(code, ast.Constant | ast.IfExp):
            given |= {each for each in literals if isinstance(each, str)}
        else:
            chosen.add((file, ast.unparse(code)))

    assert len(given) > 20
    assert given <= ONBOARDING_CODES.keys()
    assert chosen == CHOSEN_ELSEWHERE
    assert ONBOARDING_CODES.keys() - given <= constants()


def refusals() -> Iterator[tuple[str, ast.expr]]:
    """The file of every call that makes a refusal, and the expression of its code."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REFUSALS:
                place = REFUSALS[node.func.id]
                if len(node.args) > place:
                    yield path.relative_to(PACKAGE).as_posix(), node.args[place]


def constants() -> set[str]:
    """Every string of the code, outside of the table itself."""
    modules = (path for path in PACKAGE.rglob("*.py") if path.name != "errors.py")
    nodes = (node for path in modules for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
