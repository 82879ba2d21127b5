"""Samples as rows of a table: one shape and type per column, and what is read back is compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from factory_pipeline.datasets.exports.sample_rows import (
    TEXTS,
    TRANSFORM,
    bytes_of,
    check_rows,
    columns_of,
    row_of,
    transform_of_array,
    transform_to_array,
)
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.errors import ExportError


def raster(value: float, dtype: str = "uint8", nodata: float | None = None, size: int = 3) -> SampleRaster:
    return SampleRaster(np.full((1, size, size), value, dtype), ("a",), nodata)


def sample(name: str, **more: Any) -> Sample:
    return Sample(name, "train", {"S2": raster(len(name))}, **more)


@dataclass
class _Version:
    """Samples of one split."""

    content: list[Sample]
    values: Mapping[str, int]
    modalities: Mapping[str, tuple[str, ...]]

    def samples(self, split: str) -> Iterator[Sample]:
        yield from (each for each in self.content if each.split == split)


def version(*content: Sample) -> Any:
    return _Version(list(content), {"Water": 1}, {"S2": ("a",)})


PLAIN = sample("a", transform=(10, 0, 5, 0, -10, 7))
LABELLED = sample(
    "bb", mask=raster(1, nodata=0), target=raster(0.5, "float32", float("nan")), metadata={"x": 1}
)


def test_a_row_has_every_column_and_what_a_sample_lacks_is_filled() -> None:
    both = version(PLAIN, LABELLED)
    columns = columns_of(both, "train")
    assert sorted(columns) == ["images/S2", "masks", "targets"]
    assert bytes_of(columns) == 9 + 9 + 36
    first, second = (row_of(each, both, columns) for each in (PLAIN, LABELLED))
    assert first.keys() == second.keys() == {*TEXTS, TRANSFORM, *columns}
    assert (first[TRANSFORM], second[TRANSFORM]) == ([10, 0, 5, 0, -10, 7], None)
    assert set(first["masks"].ravel()) == {0}
    assert np.isnan(first["targets"]).all()
    assert set(second["targets"].ravel()) == {0.5}
    assert second["metadata"] == '{"x": 1}'


@pytest.mark.parametrize("other", [raster(1, "uint16"), raster(1, size=4)])
def test_another_shape_or_type_in_a_column_is_refused(other: SampleRaster) -> None:
    odd = replace(PLAIN, name="odd", images={"S2": other})
    both = version(PLAIN, odd)
    with pytest.raises(ExportError, match=r"images/S2 of odd is .*, but of a uint8 \(1, 3, 3\)"):
        row_of(odd, both, columns_of(both, "train"))


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(ExportError, match="in this format numbers can't be complex"):
        columns_of(version(replace(PLAIN, images={"S2": raster(1, "complex64")})), "train")


def test_rows_are_compared_with_the_samples() -> None:
    both = version(PLAIN, LABELLED)
    columns = columns_of(both, "train")
    rows = [row_of(each, both, columns) for each in (PLAIN, LABELLED)]
    check_rows(both, "train", iter(rows), "a.parquet")
    changed = rows[1] | {"targets": rows[1]["targets"] + 1}
    for wrong, told in (
        ([rows[0], changed], "bb differs when"),
        (rows[:1], "bb differs when"),
        ([*rows, rows[0]], "has more rows than the version has samples"),
    ):
        with pytest.raises(ExportError, match=told):
            check_rows(both, "train", iter(wrong), "a.parquet")


def test_a_transform_of_numbers_alone_is_the_same_again() -> None:
    for transform in (None, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]):
        assert transform_of_array(transform_to_array(transform)) == transform
