"""Statistics over many files are numpy's of all their pixels together, whatever the number of threads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.band_statistics import PERCENTILES, EmptyBand, band_statistics


def stored(path: Path, values: NDArray[Any], nodata: float | None = None) -> str:
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype, nodata=nodata
    ) as file:
        file.write(values)
    return path.name


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32"])
@pytest.mark.parametrize("workers", [1, 3])
def test_they_are_those_of_all_pixels_of_all_files(dtype: str, workers: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 200, (2, 9, 7)).astype(dtype) for _ in range(4)]
    names = [stored(tmp_path / f"{number}.tif", image) for number, image in enumerate(images)]
    found, empty = band_statistics(names, "optical", ["red", "nir"], workers, tmp_path)
    assert empty == []
    assert [(each.modality, each.band, each.dtype) for each in found] == [
        ("optical", "red", dtype),
        ("optical", "nir", dtype),
    ]
    for band, statistics in enumerate(found):
        pixels = np.concatenate([image[band].ravel() for image in images]).astype(np.float64)
        assert (statistics.pixels, statistics.no_data) == (pixels.size, 0)
        assert statistics.mean == pytest.approx(pixels.mean())
        assert statistics.std == pytest.approx(pixels.std())
        assert (statistics.minimum, statistics.maximum) == (pixels.min(), pixels.max())
        expected = {f"p{each:g}": np.percentile(pixels, each) for each in PERCENTILES}
        assert statistics.percentiles == pytest.approx(expected)
        histogram = statistics.histogram
        assert histogram is not None
        assert histogram.below + sum(histogram.counts) + histogram.above == pixels.size
        assert histogram.below == (pixels < histogram.low).sum()


def test_pixels_without_data_count_apart_and_a_band_of_nothing_else_is_named(tmp_path: Path) -> None:
    half, nothing = np.full((2, 4, 4), 7, np.int16), np.full((2, 4, 4), -1, np.int16)
    half[0, :2] = -1
    nothing[1] = 5
    names = [stored(tmp_path / "half.tif", half, -1), stored(tmp_path / "nothing.tif", nothing, -1)]
    (first, second), empty = band_statistics(names, "radar", ["vv", "vh"], root=tmp_path)
    assert empty == [EmptyBand("nothing.tif", "radar", "vv")]
    assert (first.pixels, first.no_data, first.mean) == (8, 24, 7.0)
    assert (second.pixels, second.no_data, second.mean) == (32, 0, 6.0)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_band_without_a_valid_pixel_has_no_numbers(dtype: str, tmp_path: Path) -> None:
    name = stored(tmp_path / "a.tif", np.full((1, 3, 3), -1, dtype), -1)
    [found], _ = band_statistics([name], "radar", ["vv"], root=tmp_path)
    assert (found.pixels, found.no_data) == (0, 9)
    assert (found.mean, found.std, found.minimum, found.maximum, found.histogram) == (None,) * 5
    assert found.percentiles == {}


def test_files_that_differ_or_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OnboardingError, match="No training image is of the modality optical"):
        band_statistics([], "optical", ["red"])
    one = stored(tmp_path / "one.tif", np.ones((1, 3, 3), np.uint8))
    other = stored(tmp_path / "other.tif", np.ones((1, 3, 3), np.uint16))
    with pytest.raises(OnboardingError, match=r"other\.tif .*uint16, not uint8"):
        band_statistics([one, other], "optical", ["red"], root=tmp_path)
    wave = stored(tmp_path / "wave.tif", np.ones((1, 3, 3), np.complex64))
    with pytest.raises(OnboardingError, match=r"wave\.tif has the data type complex64"):
        band_statistics([wave], "optical", ["red"], root=tmp_path)
