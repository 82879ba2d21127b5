"""Every module of the domain has a test of its own name, or a reason why it needs none."""

from pathlib import Path

import factory_pipeline

TESTS = Path(__file__).parent
MODULES = Path(factory_pipeline.__file__).parent
ABOVE_THE_DOMAIN = ("cli", "web", "sdk", "runs", "orchestration", "definitions")
"""Tested from outside, as users see them: by commands, pages, calls and runs."""
MIGRATIONS = "datalake/registry/migrations/"
"""`datalake/registry/test_migrate.py` runs all of them, and compares what they make with the schema."""
NO_CODE_TO_TEST: dict[str, str] = {
    "datalake/registry/registry": "puts the parts of the registry together, each of which has its tests",
    "datalake/registry/schema": "tables: `test_migrate` compares them with what the migrations make",
    "datalake/tables/schemas": "columns of tables, which all that write or read them are tested with",
    "datasets/exports/release_pixels": "one argument: see `test_release_round_trip`",
    "synthetic/gedi_layout": "a table, which `test_granules` compares with a published granule",
}
"""Modules that only declare something, each with the reason why a test of its own would repeat it."""


def _domain() -> set[str]:
    paths = (path.relative_to(MODULES).with_suffix("") for path in MODULES.rglob("*.py"))
    return {
        path.as_posix()
        for path in paths
        if path.name != "__init__"
        and path.parts[0] not in ABOVE_THE_DOMAIN
        and not path.as_posix().startswith(MIGRATIONS)
    }


def _own_test(module: str) -> Path:
    folder, _, name = module.rpartition("/")
    return TESTS / folder / f"test_{name}.py"


def test_every_module_of_the_domain_has_a_test_of_its_own_name() -> None:
    without = {module for module in _domain() if not _own_test(module).exists()}
    assert sorted(without - NO_CODE_TO_TEST.keys()) == [], (
        "write test_<module>.py in the folder of the same name"
    )


def test_the_exceptions_are_modules_without_a_test_of_their_own() -> None:
    assert sorted(NO_CODE_TO_TEST.keys() - _domain()) == []
    assert sorted(module for module in NO_CODE_TO_TEST if _own_test(module).exists()) == []
