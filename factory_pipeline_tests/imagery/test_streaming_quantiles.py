"""Exact percentiles of values that come in parts, against numpy over all at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from factory_pipeline.imagery.streaming_quantiles import RadixQuantiles, from_sort_key, sort_key
from factory_pipeline_tests.examples import up_to

PERCENTILES = (0.0, 0.5, 25.0, 50.0, 97.5, 100.0)
DTYPES = [np.float32, np.float64, np.int32, np.uint32, np.int64, np.uint16]


def elements(dtype: type) -> st.SearchStrategy:
    real = np.dtype(dtype).kind == "f"
    most: dict[str, Any] = {"min_value": -(2.0**100), "max_value": 2.0**100} if real else {}
    return hnp.from_dtype(np.dtype(dtype), **most)


def percentiles_of(parts: list[np.ndarray], dtype: type) -> tuple[RadixQuantiles, int]:
    """The percentiles of all parts, and in how many passes they were found."""
    quantiles, passes, more = RadixQuantiles(np.dtype(dtype), PERCENTILES), 0, True
    while more:
        for part in parts:
            quantiles.update(part)
        more = quantiles.next_pass()
        passes += 1
    return quantiles, passes


@pytest.mark.integration
@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=up_to(15), deadline=None)
def test_percentiles_of_parts_are_those_of_numpy(dtype: type, data: st.DataObject) -> None:
    part = hnp.arrays(dtype, st.integers(0, 40), elements=elements(dtype), fill=st.nothing())
    parts = data.draw(st.lists(part, min_size=1, max_size=4).filter(lambda parts: any(map(len, parts))))
    quantiles, passes = percentiles_of(parts, dtype)
    together = np.concatenate(parts).astype(np.float64)
    assert quantiles.count == together.size
    assert passes == np.dtype(dtype).itemsize // 2
    ends = (together.min(), together.max())
    found = quantiles.result()
    assert (found[0.0], found[100.0]) == ends
    # Between two values of far apart sizes the last digit depends on how it is computed.
    expected = np.quantile(together, np.array(PERCENTILES) / 100)
    assert list(found.values()) == pytest.approx(
        expected.tolist(), rel=1e-12, abs=1e-12 * max(map(abs, ends))
    )


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=up_to(10), deadline=None)
def test_keys_sort_as_the_values_do_and_give_them_back(dtype: type, data: st.DataObject) -> None:
    kind = np.dtype(dtype)
    finite: dict[str, Any] = {"allow_nan": False, "allow_infinity": False} if kind.kind == "f" else {}
    values = data.draw(hnp.arrays(dtype, st.integers(1, 80), elements=hnp.from_dtype(kind, **finite)))
    keys = sort_key(values)
    assert (np.argsort(keys, kind="stable") == np.argsort(values, kind="stable")).all()
    assert [from_sort_key(int(key), kind) for key in keys] == [float(value) for value in values]


def test_the_values_of_a_percentile_lie_between_what_is_known_of_it() -> None:
    values = np.random.default_rng(0).normal(500, 90, 1001)
    quantiles = RadixQuantiles(values.dtype, (50.0,))
    widths = []
    for _ in range(4):
        quantiles.update(values)
        quantiles.next_pass()
        low, high = quantiles.between(50.0)
        assert low <= np.median(values) <= high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


def test_threads_lose_no_value() -> None:
    values = np.random.default_rng(0).integers(-9000, 9000, (64, 500), dtype=np.int32)
    quantiles, more = RadixQuantiles(values.dtype, PERCENTILES), True
    with ThreadPoolExecutor(8) as threads:
        while more:
            list(threads.map(quantiles.update, values))
            more = quantiles.next_pass()
    assert quantiles.count == values.size
    assert list(quantiles.result().values()) == pytest.approx(np.percentile(values, PERCENTILES).tolist())


def test_without_values_there_are_no_percentiles() -> None:
    quantiles, _ = percentiles_of([np.empty(0, np.float32)], np.float32)
    assert (quantiles.count, quantiles.result()) == (0, {})
