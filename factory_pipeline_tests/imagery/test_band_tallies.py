"""The tallies of a file are numpy's counts of its bands, and the same after they were stored."""

import numpy as np
import pytest

from factory_pipeline.imagery.band_tallies import (
    add_tallies,
    count_bands,
    is_countable,
    pack_tallies,
    unpack_tallies,
)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_stored_tallies_are_the_counts_of_each_band(dtype: str) -> None:
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    values = rng.integers(limits.min, limits.max, (3, 30, 20), endpoint=True).astype(dtype)
    values[1] = limits.max
    valid = rng.random(values.shape) < 0.7
    valid[2] = False
    bands = add_tallies(
        count_bands(values[:, :11], valid[:, :11]), count_bands(values[:, 11:], valid[:, 11:])
    )
    found, stored = unpack_tallies(pack_tallies(np.dtype(dtype), bands))
    assert found == dtype
    for band, good, tally in zip(values, valid, stored, strict=True):
        known, times = np.unique(band[good], return_counts=True)
        assert tally.counts.by_value == dict(zip(known.tolist(), times.tolist(), strict=True))
        assert tally.counts.values.tolist() == known.tolist()
        assert (tally.no_data, tally.counts.total) == ((~good).sum(), good.sum())
        assert tally.counts.sum == band[good].astype(np.int64).sum()


def test_counts_take_less_bytes_than_the_pixels_whether_values_are_few_or_far_apart() -> None:
    rng = np.random.default_rng(0)
    near = rng.integers(500, 600, (1, 256, 256)).astype(np.uint16)
    apart = rng.integers(0, 65535, (1, 16, 16)).astype(np.uint16)
    for values in (near, apart):
        packed = pack_tallies(values.dtype, count_bands(values, np.ones(values.shape, np.bool_)))
        assert len(packed) < 2 * values.nbytes
        _, [band] = unpack_tallies(packed)
        assert band.counts.total == values.size


def test_integers_of_up_to_16_bits_are_countable() -> None:
    kinds = ("uint8", "int16", "uint32", "float32", "complex64", "bool")
    assert [kind for kind in kinds if is_countable(np.dtype(kind))] == ["uint8", "int16"]
