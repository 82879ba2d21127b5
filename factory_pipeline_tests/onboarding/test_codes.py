"""The table of codes of refused uploads: whole, and without a code that nothing gives."""

import ast
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

import factory_pipeline
from factory_pipeline.errors import ONBOARDING_CODES

pytestmark = pytest.mark.integration

PACKAGE = Path(factory_pipeline.__file__).parent

REFUSALS = {"OnboardingError": 0, "_refusal": 0, "archive_errors": 1}
"""What makes a refusal -> which of its arguments is the code."""

CHOSEN_ELSEWHERE = {
    ("archives/extract.py", "code"),  # an argument of archive_errors
    ("archives/safe_names.py", "code"),  # an argument of _refusal
    ("onboarding/checks/check.py", "codes.get(check.name, 'CHECK_FAILED')"),
    ("datalake/ingest/releases/problems.py", "found[0].code"),
    ("onboarding/list_inbox.py", "NO_MANIFEST"),
    ("runs/upload_run.py", "upload.code or 'CHECK_FAILED'"),
}
"""Codes that are no literals where the refusal is made: file and expression."""


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
    rest = ONBOARDING_CODES.keys() - given
    assert rest <= constants(rest)


def refusals() -> Iterator[tuple[str, ast.expr]]:
    """The file of every call that makes a refusal, and the expression of its code."""
    for path, tree in modules_with(REFUSALS.keys()):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REFUSALS:
                place = REFUSALS[node.func.id]
                if len(node.args) > place:
                    yield path.relative_to(PACKAGE).as_posix(), node.args[place]


def constants(codes: Set[str]) -> set[str]:
    """Every string of the modules in which a code occurs, outside of the table itself."""
    trees = (tree for path, tree in modules_with(codes) if path.name != "errors.py")
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def modules_with(words: Set[str]) -> Iterator[tuple[Path, ast.Module]]:
    """The modules in whose text one of the words occurs; it takes seconds to parse them all."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if any(word in text for word in words):
            yield path, ast.parse(text)
