"""What became of the splits of a version."""

import json

import polars as pl

from factory_pipeline.datasets.versions.division import Division

ASKED = {"train": 60.0, "test": 20.0, "validation": 20.0}
SPLIT = pl.Series("split", ["train", "train", "test", "validation"])


def test_items_are_counted_by_split_and_by_what_they_had():
    earlier = pl.Series("split", ["train", "test", None, "validation"])
    division = Division.of(SPLIT, earlier, ASKED)
    assert division.splits == {"train": 2, "test": 1, "validation": 1}
    assert (division.had_split, division.kept_split) == (3, 2)
    assert "2 of 3 items of the source version kept their split" in str(division)
    assert "is 50 / 25 / 25 %, asked for 60 / 20 / 20 %" in str(division)


def test_a_new_version_has_kept_nothing():
    division = Division.of(SPLIT, pl.Series("split", [None] * 4, dtype=pl.String), ASKED)
    assert "source version" not in str(division)


def test_items_in_no_split_are_counted():
    out = pl.Series("split", ["train", None, "test", None])
    division = Division.of(out, pl.Series("split", [None] * 4, dtype=pl.String), {})
    assert (division.left_out, division.splits["train"]) == (2, 1)
    assert str(division) == "train / test / validation is 50 / 50 / 0 %"


def test_json_values_make_it_again():
    division = Division.of(SPLIT, SPLIT, ASKED)
    again = Division(**json.loads(json.dumps(division.as_json())))
    assert again.as_json() == division.as_json()
