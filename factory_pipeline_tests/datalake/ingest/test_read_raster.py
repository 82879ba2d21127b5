"""Values of rasters that enter the data lake."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from factory_pipeline.datalake.ingest.read_raster import map_files, nodata_of, values_in
from factory_pipeline.errors import LakeError


def write(path: Path, values: list[list[int]], nodata: float | None = None) -> Path:
    """A raster of one band."""
    pixels = np.array(values, np.uint8)
    rows, columns = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="uint8", nodata=nodata
    ) as out:
        out.write(pixels, 1)
    return path


def test_values_are_distinct_sorted_and_without_no_data(tmp_path: Path):
    path = write(tmp_path / "a.tif", [[3, 1, 255], [1, 1, 3]], nodata=255)
    assert values_in(path) == [1.0, 3.0]
    assert nodata_of(path) == 255.0
    assert nodata_of(write(tmp_path / "b.tif", [[1]])) is None


@pytest.mark.parametrize("task", [nodata_of, values_in])
def test_a_file_that_is_no_raster_is_named(task: object, tmp_path: Path):
    (tmp_path / "a.tif").write_bytes(b"no raster")
    with pytest.raises(LakeError, match=r"a\.tif"):
        task(tmp_path / "a.tif")  # type: ignore[operator]


def test_results_are_in_the_order_of_the_files():
    paths = [Path(f"{number}.tif") for number in range(20)]
    assert list(map_files(lambda path: path.stem, paths)) == [str(number) for number in range(20)]
