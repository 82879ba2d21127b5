"""Every block of the documentation is executed, or is the output of one (```text).

A home in which the sample's build and its two uploads are what `make demo` leaves is made once; every page
has a copy, in which its blocks run in their order. What a block names in capitals (`COLLECTION_ID`) stands
for something of the reader's: `placeholders` says what it is here.
"""

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from factory_pipeline import DatasetClient
from factory_pipeline.cli.main import cli
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.config.raster_collection import RasterCollection
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import ArgumentError
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.runs.onboarding import onboard
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.gedi_products import write_partner_granules
from factory_pipeline_tests.builds.builds import build
from factory_pipeline_tests.onboarding.uploads import geotiff, mask, zip_of

ROOT = Path(__file__).parent.parent
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if "\n```" in page.read_text(encoding="utf-8")
]
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIELDS = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"label": "Field"},
            "geometry": {"type": "Polygon", "coordinates": [[[-180, -80], [180, -80], [0, 80], [-180, -80]]]},
        }
    ],
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what stands behind it, its text and its line."""

    language: str
    kind: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(*found[1].partition(" ")[::2], found[2], text.count("\n", 0, found.start()) + 1)
        for found in BLOCK.finditer(text)
    ]


@pytest.fixture(scope="module")
def prepared(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader works: a home, granules, the build of them, archives to onboard."""
    work = tmp_path_factory.mktemp("docs")
    home = work / "factory_home"
    (work / "GRANULES").symlink_to(small_archive / "granules")
    (work / "RELEASES").symlink_to(small_archive / "releases")
    (work / "demo").mkdir()
    (work / "demo" / "factory_home").symlink_to("../factory_home")
    settings = BuildSettings(
        granules=str(small_archive / "granules"), output=work / "OUT", catalog=str(small_archive), workers=1
    )
    build(home, settings)
    for name in ("train_dataset.h5", "test_dataset.h5"):
        (work / name).symlink_to(Path("OUT") / name)
    for name in ("sample-biomass", "sample-land-cover"):
        onboard(small_archive / "uploads" / f"{name}.yaml", FactoryHome(home))
    pixels = np.ones((2, 8, 8), np.uint16)
    files = {f"tile_{n}_image.tif": geotiff(pixels * (n + 1), ("Blue", "Red")) for n in range(5)}
    zip_of(work / "my-dataset.zip", {**files, **{f"tile_{n}_label.tif": mask() for n in range(5)}})
    manifest = next(
        block.text for block in blocks_of(ROOT / "docs" / "onboarding.md") if block.kind == "manifest"
    )
    (work / "my-dataset.yaml").write_text(manifest)
    _write_shots(work)
    (work / "fields.geojson").write_text(json.dumps(FIELDS))
    return work


def _write_shots(work: Path) -> None:
    """The recipe of GEDI's shots on the page on recipes, and its granules."""
    page = blocks_of(ROOT / "docs" / "recipes.md")
    recipes = [block.text for block in page if block.kind == "dataset"]
    (work / "heights.yaml").write_text(next(text for text in recipes if "kind: gedi" in text))
    (work / "GEDI").mkdir()
    granule = shutil.copy(min((work / "GRANULES").glob("*.h5")), work / "GEDI")
    write_partner_granules(Path(granule), ["L2A"])


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy for one page."""
    return Path(shutil.copytree(prepared, tmp_path / "work", symlinks=True))


@pytest.fixture
def placeholders(folder: Path) -> dict[str, Callable[[], str]]:
    """What the capitals in commands stand for; looked up when a command needs it."""
    client = DatasetClient(home=folder / "factory_home", on_progress=lambda *_: None)

    def version(number: int) -> str:
        return client.describe_dataset("Woods").versions[number].id

    def collection() -> str:
        return next(one.id for one in client.list_collections() if one.name == "sample-land-cover")

    return {
        "COLLECTION_ID": collection,
        "OTHER_VERSION_ID": lambda: version(1),
        "VERSION_ID": lambda: version(0),
        "/data/": lambda: f"{folder}/data/",
    }


@pytest.fixture
def reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody who reads the pages types."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FACTORY_HOME", raising=False)


def filled(text: str, placeholders: dict[str, Callable[[], str]]) -> str:
    for name, value in placeholders.items():
        if name in text:
            text = text.replace(name, value())
    return text


def run_commands(block: Block, placeholders: dict[str, Callable[[], str]], catalog: Path) -> None:
    # The copy to PostgreSQL and the cluster have tests of their own; here, that it can be typed.
    if block.kind in ("postgresql", "cluster"):
        subprocess.run(["sh", "-n", "-c", block.text], check=True)
        return
    for line in block.text.splitlines():
        words = shlex.split(filled(line, placeholders), comments=True)
        if words[0] == "make":
            ran = subprocess.run(["make", "-n", "-C", ROOT, *words[1:]], capture_output=True, check=False)
            assert ran.returncode == 0, f"{line}: the Makefile has no such target"
            continue
        assert Path(words[0]).name == "factory", line
        # Nothing is reached from here: the sample's catalog stands for Planetary Computer.
        needs_one = words[1] == "create-dataset" and "--catalog" not in words
        own_catalog = ["--catalog", str(catalog)] if needs_one else []
        ended = CliRunner().invoke(cli, [*words[1:], *own_catalog], input="y\n")
        assert ended.exit_code == 0, f"{line}\n{ended.output}\n{ended.exception}"


def run_python(
    block: Block, page: Path, names: dict[str, Any], placeholders: dict[str, Callable[[], str]]
) -> None:
    code = compile(filled(block.text, placeholders), f"{page.name}:{block.line}", "exec")
    # What raises is shown with its error: the pages name it in the output below.
    wrong = pytest.raises(ArgumentError) if block.kind == "raises" else contextlib.nullcontext()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), wrong:
        exec(code, names)


def check_yaml(block: Block, manifest: dict[str, Any]) -> None:
    document = yaml.safe_load(block.text)
    if block.kind == "recipe":
        assert Recipe.model_validate(document)
    elif block.kind == "dataset":
        assert DatasetRecipe.parse(document, "of the docs")
    elif block.kind == "collection":
        assert RasterCollection.model_validate(document)
    elif block.kind == "intake":
        assert IntakePolicy.model_validate(document)
    else:
        assert block.kind in ("manifest", "manifest keys")
        assert UploadManifest.parse({**manifest, **document}, where="docs")


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(
    page: Path, folder: Path, small_archive: Path, placeholders: dict[str, Callable[[], str]]
) -> None:
    manifest = yaml.safe_load((folder / "my-dataset.yaml").read_text())
    names: dict[str, Any] = {"__name__": "docs"}
    for block in blocks_of(page):
        where = f"{page.name}:{block.line}"
        if block.language == "sh":
            run_commands(block, placeholders, small_archive)
        elif block.language == "python":
            run_python(block, page, names, placeholders)
        elif block.language == "yaml":
            check_yaml(block, manifest)
        elif block.language == "json":
            json.loads(block.text)
        else:
            assert block.language == "text", f"{where} says neither what runs it nor that it is text"


def test_an_example_of_every_kind_is_found() -> None:
    found = {block.language for page in PAGES for block in blocks_of(page)}
    assert found == {"sh", "python", "yaml", "json", "text"}
