"""Items of chunks are read as they were written; what is no such item is told."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from factory_pipeline.datasets.streaming.chunk_layout import ARRAY, CODES, FLAT, TEXT, ItemLayout

LAYOUT = ItemLayout(("name", "image", "place"), (TEXT, ARRAY, f"{FLAT}{CODES['float64']}"))
NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
IMAGES = st.tuples(
    st.lists(st.integers(0, 3), max_size=3), st.sampled_from(sorted(CODES)), st.integers(0, 99)
).map(lambda drawn: np.random.default_rng(drawn[2]).integers(0, 2, drawn[0]).astype(drawn[1]))


@given(NAMES, IMAGES, st.lists(st.floats(allow_nan=False)), st.binary(max_size=5))
def test_an_item_is_read_as_it_was_written_wherever_it_begins(
    name: str, image: NDArray[Any], place: list[float], before: bytes
) -> None:
    item = LAYOUT.encode([name, image, np.array(place)])
    found = LAYOUT.decode(before + item + b"more", len(before))
    assert list(found) == ["name", "image", "place"]
    assert found["name"] == name
    np.testing.assert_array_equal(found["image"], image, strict=True)
    np.testing.assert_array_equal(found["place"], np.array(place))
    assert LAYOUT.decode(item, wanted=["place"]).keys() == {"place"}


def test_arrays_are_copies_and_of_any_byte_order() -> None:
    item = bytearray(LAYOUT.encode(["a", np.array([1, 2], ">i4"), np.zeros(1, ">f8")]))
    found = LAYOUT.decode(item)
    item[:] = bytes(len(item))
    assert found["image"].tolist() == [1, 2]


def test_the_layout_is_read_from_the_index_that_it_makes() -> None:
    config = {"data_spec": LAYOUT.spec(), "data_format": list(LAYOUT.kinds), "compression": None}
    assert ItemLayout.of(json.loads(json.dumps(config))) == LAYOUT


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"compression": "zstd"}, "are compressed or encrypted"),
        ({"encryption": "fernet"}, "are compressed or encrypted"),
        ({"data_format": [TEXT, ARRAY]}, "no dictionaries of texts and arrays"),
        ({"data_format": [TEXT, "jpeg", ARRAY]}, "values of the kind 'jpeg'"),
        ({"data_spec": LAYOUT.spec().replace("builtins.dict", "builtins.list")}, "no dictionaries"),
    ],
)
def test_items_of_another_kind_are_refused(change: dict[str, Any], says: str) -> None:
    config = {"data_spec": LAYOUT.spec(), "data_format": list(LAYOUT.kinds)} | change
    with pytest.raises(ValueError, match=says):
        ItemLayout.of(config)


def test_bytes_that_are_no_item_are_told() -> None:
    with pytest.raises(ValueError, match="another layout than its index says"):
        LAYOUT.decode(b"\x01")
