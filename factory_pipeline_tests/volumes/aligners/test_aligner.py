"""What an aligner returns: the field so far, and what a function adds to it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from factory_pipeline.errors import AlignerError
from factory_pipeline.volumes.aligners.aligner import compose_with_previous

IMAGE = np.zeros((8, 6), np.float32)


def field(across: float, down: float) -> NDArray[np.float32]:
    return np.stack([np.full(IMAGE.shape, across), np.full(IMAGE.shape, down)]).astype(np.float32)


def test_constant_fields_add_up() -> None:
    align = compose_with_previous(lambda *_: field(0.5, -1), "own")
    found = align(IMAGE, IMAGE, field(2, 3), 1)
    assert found.dtype == np.float32
    assert found[:, 3:-3, 2:-2] == pytest.approx(field(2.5, 2)[:, 3:-3, 2:-2])


def test_a_function_is_given_what_is_known_so_far() -> None:
    seen = {}

    def residual(src: object, tgt: object, previous: NDArray[np.float32], mip: int) -> NDArray[np.float64]:
        seen.update(src=src, tgt=tgt, previous=previous, mip=mip)
        return np.zeros(previous.shape)

    previous = field(1, 0)
    found = compose_with_previous(residual, "own")(IMAGE, IMAGE + 1, previous, 3)
    assert np.array_equal(found, previous)
    assert seen["mip"] == 3
    assert seen["previous"] is previous
    assert seen["tgt"][0, 0] == 1


def test_a_field_of_another_shape_is_refused_by_the_name_of_the_function() -> None:
    align = compose_with_previous(lambda *_: np.zeros((2, 3, 3)), "own:align")
    with pytest.raises(
        AlignerError, match=r"own:align returned an array of shape \(2, 3, 3\); .*\(2, 8, 6\) is"
    ):
        align(IMAGE, IMAGE, field(0, 0), 1)
