"""What a recipe would make is told before anything is read."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from factory_pipeline.builds.check_recipe import RecipeForecast, SourceForecast, forecast
from factory_pipeline.cli.main import cli
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
labels: {kind: points, path: fields.csv, time: {between: [2021-06-01, 2021-06-30]}, keep: ["quality > 1"]}
window: {size: 16, pixel_size: 10}
sources:
  s2:
    collection: sentinel-2-l2a
    assets: [B04, B08]
    time: {periods: 2, length: 30d, start: 2021-06-01}
splits: {train: 50, test: 50}
"""
PLACES = [(303, 407), (1503, 607), (603, 1507), (2303, 1807), (9003, 9007)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forecast")
    dates = ("2021-06-10", "2021-07-12", "2021-09-12")
    scenes = [scene("sentinel-2-l2a", f"S2A_{day}", day, grid(2600), only=("B04", "B08")) for day in dates]
    broken = scene("sentinel-2-l2a", "S2A_broken", "2021-06-11", grid(2600), only=("B04",))
    make_archive(folder / "archive", [*scenes, broken])
    points_csv(folder / "fields.csv", [*PLACES, (1000, 1000)], quality=[2, 2, 2, 2, 2, 0])
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


@pytest.mark.integration
def test_the_forecast_is_what_the_build_does(folder: Path) -> None:
    recipe = recipe_of(folder, RECIPE)
    expected = forecast(recipe, str(folder / "archive"))
    assert expected.dropped == {"labels: quality > 1": 1}
    assert sum(expected.windows.values()) == 5
    source = expected.sources["s2"]
    assert (source.scenes, source.assets, source.blocks) == (2, 4, 4)
    assert source.windows_without == 1
    assert source.unusable == {"no asset B08": 1}
    assert expected.sample_bytes == 2 * 16 * 16 * (2 * 2 + 1)

    _, summary = build(recipe, folder / "out", str(folder / "archive"))
    assert summary.labels == expected.labels
    assert summary.dropped == {**expected.dropped, "s2: no_scene": source.windows_without}


def test_by_the_command_line(folder: Path) -> None:
    ran = CliRunner().invoke(cli, ["check-recipe", str(folder / "recipe.yaml")])
    assert ran.exit_code == 0, ran.output
    assert "name a catalog by --catalog" in ran.output
    command = ["check-recipe", str(folder / "recipe.yaml"), "--catalog", str(folder / "archive")]
    ran = CliRunner().invoke(cli, command)
    assert "s2: 2 scenes, 4 rasters" in ran.output
    assert not (folder / "factory_home").exists()


def test_a_catalog_that_does_not_answer_is_not_waited_for_in_silence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory_pipeline.builds.check_recipe.CATALOG_PATIENCE_S", 1.5)
    command = ["check-recipe", str(folder / "recipe.yaml"), "--catalog", "http://127.0.0.1:9/"]
    ran = CliRunner().invoke(cli, command)
    assert "Waiting for 127.0.0.1:9, which does not answer" in ran.stderr
    assert "could not be reached for 1.5 s" in str(ran.exception)


def test_a_recipe_that_makes_nothing_is_told_and_ends_with_1(folder: Path) -> None:
    late = RECIPE.replace("2021", "1921")
    assert late != RECIPE
    (folder / "late.yaml").write_text(late)
    command = ["check-recipe", str(folder / "late.yaml"), "--catalog", str(folder / "archive")]
    ran = CliRunner().invoke(cli, command)
    assert ran.exit_code == 1
    told = "No label would become a sample: no window has enough scenes of s2 at its time."
    assert ran.output.splitlines()[-1] == told


def test_a_source_whose_readers_pay_is_told(folder: Path) -> None:
    provider = folder / "provider.yaml"
    provider.write_text(
        "sentinel-2-l2a: {url: archive/stac/catalog.json, collection: sentinel-2-l2a, requester_pays: true,"
        " assets: {B04: B04, B08: B08}}"
    )
    source = forecast(recipe_of(folder, RECIPE), str(provider)).sources["s2"]
    assert source.requester_pays
    command = ["check-recipe", str(folder / "recipe.yaml"), "--catalog", str(provider)]
    assert "you pay for the transfer" in CliRunner().invoke(cli, command).output


@pytest.mark.parametrize(
    ("size", "seconds", "shown"),
    [
        (140_000, 0.3, ["Disk: about 0.1 MB (0.02 MB a sample)", "Time: less than a minute on one core"]),
        (9_400_000, 62, ["Disk: about 9.4 MB (0.02 MB a sample)", "Time: about 1 minute on one core"]),
        (
            2_000_000_000,
            7201,
            ["Disk: about 2,000 MB (0.02 MB a sample)", "Time: about 120 minutes on one core"],
        ),
    ],
)
def test_small_builds_do_not_take_zero_minutes_and_megabytes(
    size: int, seconds: float, shown: list[str]
) -> None:
    source = SourceForecast(1, 1, 0, 1, size, {})
    told = str(RecipeForecast("a", 7, {}, {"train": 7}, 20_000, size, {"s2": source}, seconds))
    assert told.splitlines()[-2:] == shown
