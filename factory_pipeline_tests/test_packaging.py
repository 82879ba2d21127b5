"""What is installed: the wheel has every file that the code reads, each import is of a declared package."""

import ast
import email
import re
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORTED_AS = {"pillow": "PIL", "psycopg": "psycopg", "pyyaml": "yaml"}
"""Where a package is imported by another name than its own."""
COMES_WITH = {"celery": "dagster_celery", "pydantic_core": "pydantic"}
"""Modules that another declared package pins to itself."""


def requirements(extra: str | None = None) -> set[str]:
    """Names of the packages that an install with an extra has, with those of extras that it includes."""
    lines = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    names: set[str] = set()
    for line in lines:
        if own := re.fullmatch(r"factory-pipeline\[(.+)]", line):
            for included in own[1].split(","):
                names |= requirements(included)
        else:
            names.add(re.split(r"[^\w.-]", line)[0])
    return names


def modules(packages: set[str]) -> set[str]:
    """What packages are imported as."""
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in packages}


@cache
def imported() -> dict[str, str]:
    """Modules of others that factory_pipeline imports, and a file that does."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "factory_pipeline").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            for name in names:
                found.setdefault(name.partition(".")[0], str(path.relative_to(ROOT)))
    return {
        name: path
        for name, path in found.items()
        if name not in sys.stdlib_module_names and name != "factory_pipeline"
    }


def test_each_import_is_of_a_declared_package() -> None:
    declared = modules(
        requirements() | requirements("all") | requirements("fields") | requirements("cluster")
    )
    undeclared = {
        name: path for name, path in imported().items() if COMES_WITH.get(name, name) not in declared
    }
    assert undeclared == {}


def test_each_declared_package_is_used() -> None:
    # psycopg is imported by SQLAlchemy, by the address of a registry; three by Dagster, by deploy/*.yaml.
    unused = (
        modules(requirements() | requirements("all") | requirements("fields") | requirements("cluster"))
        - imported().keys()
        - {"psycopg", "dagster_aws", "dagster_k8s", "dagster_postgres"}
    )
    assert unused == set()


def test_what_reading_installs_has_no_dagster_database_plots_or_gdal() -> None:
    heavy = {"dagster", "dagster-webserver", "psycopg", "matplotlib", "rasterio", "sqlalchemy", "pyarrow"}
    assert not requirements() & heavy
    assert heavy <= requirements("all") <= requirements("dev")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return folder / build_wheel(str(folder))


def test_the_wheel_has_every_file_that_is_read(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "factory_pipeline"
    data = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert {path.rpartition(".")[2] for path in data} >= {"typed", "yaml", "mako", "html"}
    assert data <= names
    assert {path.relative_to(ROOT).as_posix() for path in package.rglob("*.py")} <= names
    assert not {name for name in names if name.startswith(("factory_pipeline_tests", "benchmarks", "docs"))}


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = email.message_from_bytes(archive.read(metadata))
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    assert said["Requires-Python"] == ">=3.11"
    assert said["License-Expression"] == "Apache-2.0"
    assert {"all", "build", "plots", "postgres"} <= set(said.get_all("Provides-Extra", []))
    supported = {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)}
    assert supported <= set(said.get_all("Classifier", []))
    assert {url.partition(",")[0] for url in said.get_all("Project-URL", [])} >= {"Repository", "Issues"}
