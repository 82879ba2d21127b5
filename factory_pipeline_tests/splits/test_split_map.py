"""The map of splits: drawn where there is a place, the same bytes again."""

from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.splits.split_map import draw_text_map, write_split_map

SPLIT = pl.DataFrame({"stem": ["a", "b"], "split": ["train", "test"]})


def items(bounds: list[list[float] | None]) -> pl.DataFrame:
    """Images with bounds alone."""
    return pl.DataFrame(
        {
            "stem": ["a", "b"],
            "epsg": [None, None],
            "transform": [None, None],
            "width": [10, 10],
            "height": [10, 10],
            "bounds": bounds,
        },
        schema_overrides={
            "epsg": pl.String,
            "transform": pl.List(pl.Float64),
            "bounds": pl.List(pl.Float64),
        },
    )


@pytest.mark.integration  # loads matplotlib
def test_the_map_counts_what_it_shows_and_has_the_same_bytes(tmp_path: Path):
    import matplotlib as mpl

    placed = items([[10.0, 48.0, 10.1, 48.1], None])
    assert write_split_map(tmp_path / "a.png", placed, SPLIT, "Splits") == 1
    # A notebook in the dark, whose texts LaTeX sets.
    with mpl.rc_context({"figure.facecolor": "black", "text.usetex": True}):
        assert write_split_map(tmp_path / "b.png", placed, SPLIT, "Splits") == 1
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.integration
def test_without_places_nothing_is_written(tmp_path: Path):
    assert write_split_map(tmp_path / "a.png", items([None, None]), SPLIT, "Splits") == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.integration  # loads matplotlib
def test_blocks_are_drawn(tmp_path: Path):
    placed = items([[10.0, 48.0, 10.1, 48.1], [10.5, 48.0, 10.6, 48.1]])
    write_split_map(tmp_path / "a.png", placed, SPLIT, "Splits")
    write_split_map(tmp_path / "b.png", placed, SPLIT, "Splits", 20_000)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_letters_show_where_each_split_is_and_where_several_are():
    far = items([[10.0, 48.0, 10.1, 48.1], [11.0, 47.0, 11.1, 47.1]])
    *rows, legend = draw_text_map(far, SPLIT)
    assert legend == "# train, o test, + validation, * several"
    assert rows[0] == "#", "north is above, west on the left"
    assert rows[-1].strip() == "o"
    assert len(rows) <= 24
    assert max(map(len, rows)) <= 72
    near = items([[10.0, 48.0, 10.1, 48.1], [10.0, 48.0, 10.1, 48.1]])
    assert draw_text_map(near, SPLIT)[:-1] == ["*"]
    assert draw_text_map(items([None, None]), SPLIT) == []
