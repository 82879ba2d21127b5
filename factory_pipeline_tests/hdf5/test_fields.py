"""Datasets of a file as data: numbers and texts of a table, and what counts as a raster."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.fields import DATA, Field, encode_text, number_field, text_dtype, text_field

SAMPLES = SimpleNamespace(table=pl.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0], "name": ["a", "Ä"]}))


def test_columns_of_the_table_become_datasets() -> None:
    numbers = number_field(DATA, "Place", "<f4", "x and y", ("x", "y"), ("m",))
    assert numbers.path == "data/Place"
    assert (numbers.shape, numbers.band_names) == ((2,), ("x", "y"))
    assert numbers.values(SAMPLES).tolist() == [[1, 3], [2, 4]]
    assert number_field(DATA, "X", "<f4", "x", ("x",)).band_names == ()
    texts = text_field(DATA, "Name", 2, "name", "name")
    assert [text.decode() for text in texts.values(SAMPLES)[:, 0]] == ["a", "Ä"]


def test_numbers_of_two_axes_are_rasters_and_texts_are_not() -> None:
    kinds = {
        (dtype, shape): Field(DATA, "a", dtype, shape, "", len).is_raster
        for dtype in (np.dtype("<u2"), text_dtype(4))
        for shape in ((1,), (2, 2), (3, 2, 2))
    }
    assert [shape for (_, shape), is_raster in kinds.items() if is_raster] == [(2, 2), (3, 2, 2)]
    assert not any(is_raster for (dtype, _), is_raster in kinds.items() if dtype.kind == "S")


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6), min_size=1))
def test_text_is_stored_whole_or_refused(texts: list[str]) -> None:
    longest = max(len(text.encode()) for text in texts)
    assert [each.decode() for each in encode_text("a", texts, max(longest, 1))] == texts
    if longest > 1:
        with pytest.raises(DatasetFileError, match=r"of a has .* bytes; the file stores up to"):
            encode_text("a", texts, longest - 1)
