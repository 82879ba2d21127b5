"""The order of bands, by their names."""

import polars as pl
import pytest

from factory_pipeline.onboarding.checks.band_order import bands_named_alike, has_bands, order_of, orders_in


@pytest.mark.parametrize(
    ("found", "order"),
    [
        (["Blue", " red ", "GREEN"], (1, 2, 0)),
        (["red", "green", "blue"], None),
        (["red", "green"], None),
        (["red", "red", "blue"], None),
        (None, None),
    ],
)
def test_the_order_is_found_by_names(found: list[str] | None, order: tuple[int, ...] | None):
    assert order_of(found, ["red", "green", "blue"]) == order


def images(*names: list[str | None]) -> pl.LazyFrame:
    """Files of one modality with these band names."""
    return pl.LazyFrame(
        {
            "name": [f"{number}.tif" for number in range(len(names))],
            "role": "image",
            "suffix": ".tif",
            "band_names": list(names),
        },
        schema_overrides={"band_names": pl.List(pl.String)},
    )


def test_the_most_frequent_order_is_first_and_no_names_are_ignored():
    assert orders_in(images(["b", "a"], ["a", "b"], ["a", "b"], [None, None])) == [["a", "b"], ["b", "a"]]
    assert has_bands(["A ", "b"], ["b", "a"])


def test_a_part_of_other_files_names_is_odd():
    check = bands_named_alike(images(["a", "b"], ["a", "b"], ["b", "c"]))
    assert not check.passed
    assert "2.tif" in check.message
    assert bands_named_alike(images(["a", "b"], ["b", "a"], ["c", "d"])).passed
