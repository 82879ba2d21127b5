"""`factory new-recipe`, by options and by questions: check-recipe accepts what it writes."""

from pathlib import Path

import polars as pl
import pytest
import yaml
from click.testing import CliRunner

from factory_pipeline.cli.main import cli
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.errors import FactoryError
from factory_pipeline.synthetic.samples import burn_scars, canopy, crops


def run(*arguments: object, answers: str | None = None) -> tuple[int, str]:
    ran = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=answers)
    if isinstance(ran.exception, FactoryError):
        return 1, str(ran.exception)
    return ran.exit_code, ran.output


def written(path: Path) -> DatasetRecipe:
    """The recipe of a file, which `check-recipe` accepts."""
    code, told = run("check-recipe", path)
    assert code == 0, told
    return DatasetRecipe.load(path)


def test_points_by_options(tmp_path: Path) -> None:
    labels = crops.write_labels(tmp_path, 22)
    output = tmp_path / "crops.yaml"
    code, told = run(
        "new-recipe",
        *("--labels", labels, "--source", "sentinel-2-l2a", "--source", "sentinel-1-rtc:vh"),
        *("--size", 32, "--output", output),
    )
    assert code == 0, told
    assert "Classes of crop: 1 Maize, 2 Vineyard, 3 Wheat" in told
    recipe = written(output)
    assert (recipe.labels.id, recipe.labels.time.column, recipe.labels.path) == (
        "field",
        "surveyed",
        str(labels),
    )
    assert recipe.labels.target.classes == {1: "Maize", 2: "Vineyard", 3: "Wheat"}
    assert recipe.sources["sentinel_1"].assets == ("vh",)
    s2 = recipe.sources["sentinel_2"]
    assert s2.mask.keep == (4, 5, 6, 7)
    assert s2.resampling == {"default": "bilinear"}
    # The path in the file starts at the recipe.
    assert yaml.safe_load(output.read_text())["labels"]["path"] == "fields.csv"
    code, told = run("new-recipe", "--labels", labels, "--source", "naip", "--output", output)
    assert (code, "overwrite it by --force" in told) == (2, True)


@pytest.mark.integration
def test_polygons_and_rasters_by_options(tmp_path: Path) -> None:
    scars = burn_scars.write_labels(tmp_path, 22)
    code, told = run(
        "new-recipe",
        "--labels",
        scars,
        "--source",
        "hls2-s30",
        "--size",
        32,
        "--output",
        tmp_path / "scars.yaml",
    )
    assert code == 0, told
    recipe = written(tmp_path / "scars.yaml")
    assert (recipe.labels.kind, recipe.labels.target.column, recipe.window.pixel_size) == (
        "polygons",
        "severity",
        30,
    )
    heights = canopy.write_labels(tmp_path, 22)
    options = ["new-recipe", "--labels", heights, "--source", "naip", "--unit", "m", "--size", 100]
    code, told = run(*options, "--output", tmp_path / "heights.yaml")
    assert (code, "give the first and the last day of the imagery" in told) == (1, True)
    assert not (tmp_path / "heights.yaml").exists()
    days = ["--between", "2021-01-01", "2021-12-31"]
    code, told = run(*options, *days, "--pixel-size", 3, "--output", tmp_path / "heights.yaml")
    assert code == 0, told
    recipe = written(tmp_path / "heights.yaml")
    assert (recipe.labels.kind, recipe.labels.unit, recipe.window.pixel_size) == ("rasters", "m", 3)


def test_what_is_left_open_is_asked_and_proposed(tmp_path: Path) -> None:
    labels = crops.write_labels(tmp_path, 22)
    output = tmp_path / "yields.yaml"
    answers = [
        labels,  # File of labels
        "yields",  # Name
        "",  # id: field is proposed
        "none",  # time
        "confidence",  # target
        "share",  # unit
        "sentinel-2-l2b",  # not known: asked again
        "sentinel-2-l2a:B04,B08 cop-dem-glo-30",
        "2021",  # not two days: asked again
        "2021-04-01 2021-09-30",
        "16",  # pixels a side
    ]
    code, told = run("new-recipe", "--output", output, answers="\n".join(map(str, answers)) + "\n")
    assert code == 0, told
    assert "did you mean sentinel-2-l2a" in told
    assert "written as 2021-01-01 2021-12-31" in told
    recipe = written(output)
    assert (recipe.name, recipe.labels.id, recipe.labels.target.unit) == ("yields", "field", "share")
    assert recipe.sources["sentinel_2"].assets == ("B04", "B08")
    assert recipe.sources["sentinel_2"].time.between.start.year == 2021
    assert recipe.sources["cop"].time is None
    assert recipe.window.size == 16


def test_coordinates_that_the_file_does_not_name_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text("easting,northing,height\n500000,5200000,3.5\n501000,5200000,4.5\n")
    output = tmp_path / "sites.yaml"
    # Columns and CRS, then name, id, time, target, unit, sources, pixels a side.
    answers = ["easting", "northing", "32633", "", "none", "none", "height", "m", "cop-dem-glo-30", "16"]
    options = ["new-recipe", "--labels", tmp_path / "sites.csv", "--output", output]
    code, told = run(*options, "--source", "cop-dem-glo-30")
    assert (code, "name the columns of the coordinates by x and y" in told) == (1, True)
    code, told = run(*options, answers="\n".join(answers) + "\n")
    assert code == 0, told
    recipe = written(output)
    assert (recipe.labels.x, recipe.labels.y, recipe.labels.crs) == ("easting", "northing", 32633)


def test_splits_that_the_file_gives_and_times_with_an_end(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "lon": [15.0, 15.1, 15.2, 15.3],
            "lat": [47.0] * 4,
            "from_day": ["2021-05-01"] * 4,
            "to_day": ["2021-05-09"] * 4,
            "code": [7, 7, 9, 9],
            "fold": ["train", "Train", "val", "test"],
        }
    ).write_csv(tmp_path / "sites.csv")
    output = tmp_path / "sites.yaml"
    code, told = run(
        "new-recipe", "--labels", tmp_path / "sites.csv", "--source", "landsat-c2-l2", "--output", output
    )
    assert code == 0, told
    recipe = written(output)
    assert (recipe.splits.by, recipe.splits.column) == ("given", "fold")
    assert (recipe.labels.time.start, recipe.labels.time.end) == ("from_day", "to_day")
    assert recipe.labels.target.classes == {7: "class 7", 9: "class 9"}
    code, told = run("check-recipe", output, "--json")
    assert yaml.safe_load(told)["windows"] == {"train": 2, "test": 1, "validation": 1}


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["--source", "sentinel2"], "the collection 'sentinel2' is not known"),
        (["--source", "sentinel-2-l2a:B2"], "no asset 'B2' (did you mean B"),
        (["--source", "naip", "--target", "crp"], "no column 'crp' (did you mean crop"),
        (["--source", "naip", "--time", "region"], "the column region has 'south' in row 1"),
    ],
)
def test_an_option_that_is_wrong_is_named_and_nothing_is_written(
    tmp_path: Path, option: list[str], says: str
) -> None:
    labels = crops.write_labels(tmp_path, 22)
    code, told = run("new-recipe", "--labels", labels, *option, "--output", tmp_path / "new.yaml")
    assert code, told
    assert says in told
    assert not (tmp_path / "new.yaml").exists()


@pytest.mark.parametrize("options", [(), ("--time", "day")])
def test_a_bad_date_is_told_with_its_column_and_row(options: tuple[str, ...], tmp_path: Path) -> None:
    days = ["2021-06-01", "2021-06-02", "2.6.2021"]
    pl.DataFrame({"lon": [15.0] * 3, "lat": [47.0] * 3, "day": days}).write_csv(tmp_path / "a.csv")
    chosen = ("--labels", tmp_path / "a.csv", "--source", "sentinel-2-l2a", "--output", tmp_path / "a.yaml")
    code, told = run("new-recipe", *chosen, *options)
    assert code == 1
    assert "the column day has '2.6.2021' in row 3; allowed are dates and times as 2021-06-30" in told
    assert not (tmp_path / "a.yaml").exists()
