"""What a file of labels says of itself: ids, times, classes, numbers, splits."""

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from factory_pipeline.builds.labels.label_file import LabelFile, describe_label_file
from factory_pipeline.config.label_sources import TableLabels
from factory_pipeline.errors import RecipeError
from factory_pipeline_tests.cog.factories import write_raster


def described(path: Path, text: str) -> LabelFile:
    path.write_text(text)
    return describe_label_file(TableLabels(path=str(path)))


def test_each_column_is_offered_for_what_it_may_be(tmp_path: Path) -> None:
    lines = ["plot,lon,lat,day,crop,code,height,fold"]
    lines += [
        f"p{n},{15 + n / 10},47,2021-06-0{n + 1},{('Maize', 'Wheat')[n % 2]},{n % 3},{n + 0.5},"
        f"{('train', 'test')[n % 2]}"
        for n in range(8)
    ]
    found = described(tmp_path / "a.csv", "\n".join(lines))
    assert (found.kind, found.count) == ("points", 8)
    assert found.ids == ("plot",)
    assert found.times == ("day",)
    assert found.time == {"column": "day"}
    assert found.targets == ("crop", "code", "height")
    assert found.classes == {
        "crop": {1: "Maize", 2: "Wheat"},
        "code": {0: "class 0", 1: "class 1", 2: "class 2"},
    }
    assert found.splits == ("fold",)


@pytest.mark.parametrize(
    ("columns", "time"),
    [
        ("start,end", {"start": "start", "end": "end"}),
        ("valid_from,valid_to", {"start": "valid_from", "end": "valid_to"}),
        ("seen,checked", {"column": "seen"}),
    ],
)
def test_two_columns_of_times_are_a_span_where_they_are_called_so(
    columns: str, time: dict[str, str], tmp_path: Path
) -> None:
    text = f"lon,lat,{columns}\n15,47,2021-06-01,2021-06-02\n16,47,2021-06-03,2021-06-09"
    assert described(tmp_path / "a.csv", text).time == time


def test_a_class_is_there_several_times_and_a_whole_number_of_its_own_is_no_measurement(
    tmp_path: Path,
) -> None:
    found = described(tmp_path / "a.csv", "lon,lat,number,kind\n15,47,1,a\n16,47,2,b\n17,47,3,c")
    assert found.classes == {}
    assert found.targets == ()
    assert found.ids == ("number", "kind")


def test_rasters_of_few_whole_numbers_hold_classes(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).choice(np.array([0, 2, 5], np.uint8), (64, 64))
    write_raster(tmp_path / "a.tif", codes, nodata=0)
    found = describe_label_file(TableLabels(path=str(tmp_path)))
    assert (found.kind, found.count, found.targets) == ("rasters", 1, ("label",))
    assert found.classes == {"label": {2: "class 2", 5: "class 5"}}
    write_raster(tmp_path / "b.tif", codes.astype(np.float32))
    assert describe_label_file(TableLabels(path=str(tmp_path))).classes == {}
    (tmp_path / "c.tif").write_text("no raster")
    with pytest.raises(RecipeError, match=r"c\.tif can't be read as a raster"):
        describe_label_file(TableLabels(path=str(tmp_path)))


def test_one_bad_date_among_good_ones_is_told_and_text_is_not(tmp_path: Path) -> None:
    text = "lon,lat,day,crop\n15,47,2021-06-01,Rye\n15,47,2021-06-31,Oat\n15,47,2021-06-03,Rye\n15,47,,Oat"
    found = described(tmp_path / "a.csv", text)
    assert found.times == ()
    [told] = found.broken_times
    assert told.startswith("At labels.time: the column day has '2021-06-31' in row 2; allowed are dates")


@pytest.mark.filterwarnings("error::UserWarning")
def test_the_layer_of_several_that_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "places.gpkg"
    for layer, count in (("fields", 1), ("plots", 2)):
        places = shapely.to_wkb(shapely.points(np.zeros((count, 2))))
        pyogrio.raw.write(
            path, places, [np.arange(count)], ["nr"], geometry_type="Point", crs="EPSG:4326", layer=layer
        )
    found = describe_label_file(TableLabels(path=str(path)))
    assert (found.layers, found.layer, found.count) == (("fields", "plots"), "fields", 1)
    found = describe_label_file(TableLabels(path=str(path), layer="plots"))
    assert (found.layer, found.count) == ("plots", 2)
    with pytest.raises(RecipeError, match=r"no layer 'plot' \(did you mean plots\?\); it has fields, plots"):
        describe_label_file(TableLabels(path=str(path), layer="plot"))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (("p1,a", "p2,b", "p2,c"), "has 'p2' in 2 rows: the column note names them"),
        (("p1,a", "p2,a", "p2,b"), "has 'p2' in 2 rows: their row numbers name them"),
        (
            ("p1,a", "p1,a", "p2,a", "p2,a", "p3,b"),
            "has 'p1' in 2 rows and 1 other value several times: their",
        ),
        (("p1,a", "p2,a", ",a"), "is empty in 1 row: their row numbers name them"),
    ],
)
def test_a_column_that_fails_to_name_each_label_is_told(
    rows: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    lines = [f"{15 + number},47,{row}" for number, row in enumerate(rows)]
    found = described(tmp_path / "a.csv", "\n".join(["lon,lat,plot_id,note", *lines]))
    assert "plot_id" not in found.ids
    [told] = [sentence for sentence in found.broken_ids if "plot_id" in sentence]
    assert f"The column plot_id can't name the labels, as it {says}" in told


def test_a_column_that_names_groups_of_labels_is_no_broken_id(tmp_path: Path) -> None:
    lines = [f"p{number},{15 + number},47,farm {number % 3}" for number in range(60)]
    assert not described(tmp_path / "a.csv", "\n".join(["plot,lon,lat,farm_id", *lines])).broken_ids
