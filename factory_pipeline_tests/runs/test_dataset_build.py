"""The dataset of a recipe by the command line, through Dagster: the same files as without it."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.builds.builds import factory, files_below
from factory_pipeline_tests.builds.recipes.archives import (
    build,
    grid,
    make_archive,
    points_csv,
    recipe_of,
    scene,
)

RECIPE = """
name: crops
labels: {kind: points, path: fields.csv, time: {column: surveyed}, target: {column: yield, unit: t/ha}}
window: {size: 16, pixel_size: 10}
sources:
  s2: {collection: sentinel-2-l2a, assets: [B04, B08], time: {around: 10d}}
batch_size: 2
"""
PLACES = [(303, 407), (1503, 607), (603, 1507), (1803, 1607), (1003, 1007)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    make_archive(folder / "archive", [scene("sentinel-2-l2a", "S2A_one", "2021-06-10", grid(2400))])
    points_csv(
        folder / "fields.csv", PLACES, surveyed=["2021-06-12"] * 5, **{"yield": [1.5, 2.5, 3.5, 4.5, 5.5]}
    )
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "other.yaml").write_text(RECIPE.replace("crops", "more-crops"))
    return folder


@pytest.fixture(scope="module")
def summaries(folder: Path) -> dict[str, dict[str, Any]]:
    """What is said of two builds in one home."""
    made = {}
    for name in ("recipe", "other"):
        ran = create(folder, name, "--num-processors", "1", "--json")
        assert ran.returncode == 0, ran.stderr
        made[name] = json.loads(ran.stdout)
    return made


def create(folder: Path, name: str, *options: str) -> Any:
    """Run the command that builds a recipe."""
    recipe, output = folder / f"{name}.yaml", folder / name
    command = ("create-dataset", "--recipe", recipe, "--output", output, "--catalog", folder / "archive")
    return factory(*command, *options, home=folder / "home")


def test_two_builds_in_one_home(folder: Path, summaries: dict[str, dict[str, Any]]) -> None:
    for summary in summaries.values():
        assert summary["labels"] == sum(summary["samples"].values()) == 5
    with closing(Registry.open(FactoryHome(folder / "home").registry)) as registry:
        collections = {each.name: each.item_count for each in registry.collections()}
    assert collections == {"crops": 5, "more-crops": 5}
    settings, _ = build(recipe_of(folder, RECIPE), folder / "plain", str(folder / "archive"))
    assert files_below(folder / "recipe") == files_below(settings.output)


@pytest.mark.usefixtures("summaries")
def test_a_run_that_is_repeated_extracts_nothing_again(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / "recipe" / "batches").glob("*.h5")}
    assert before
    ran = create(folder, "recipe")
    assert ran.returncode == 0, ran.stderr
    assert "Accepted" in ran.stdout
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "recipe" / "batches").glob("*.h5")}
    assert pl.read_parquet(folder / "recipe" / "rejects.parquet").is_empty()
