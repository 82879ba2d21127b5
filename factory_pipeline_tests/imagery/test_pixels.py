"""Every pixel of a raster in strips, with its no data."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery import pixels
from factory_pipeline.imagery.pixels import strips

VALUES = np.arange(60, dtype=np.float32).reshape(2, 6, 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two bands; one pixel is no data, one NaN."""
    values = VALUES.copy()
    values[0, 1, 1], values[1, 2, 2] = -9999, np.nan
    with rasterio.open(
        tmp_path / "a.tif",
        "w",
        driver="GTiff",
        width=5,
        height=6,
        count=2,
        dtype="float32",
        nodata=-9999,
        blockysize=2,
    ) as out:
        out.write(values)
    return tmp_path / "a.tif"


def test_strips_are_the_raster_from_top_to_bottom(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pixels, "VALUES_PER_STRIP", 20)
    parts = list(strips(path))
    assert len(parts) > 1
    with rasterio.open(path) as source:
        expected = source.read()
    np.testing.assert_array_equal(np.concatenate([values for values, _ in parts], axis=1), expected)
    valid = np.concatenate([part for _, part in parts], axis=1)
    assert sorted(map(tuple, np.argwhere(~valid).tolist())) == [(0, 1, 1), (1, 2, 2)]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [({"bands": 3}, "2 bands, not 3"), ({"dtype": np.dtype("uint8")}, "float32, not uint8")],
)
def test_other_bands_or_types_are_refused(wanted: dict[str, object], told: str, path: Path):
    with pytest.raises(OnboardingError, match=told):
        next(strips(path, **wanted))  # type: ignore[arg-type]


def test_a_file_that_is_no_raster_is_named(tmp_path: Path):
    (tmp_path / "b.tif").write_bytes(b"no raster")
    with pytest.raises(OnboardingError, match=r"b\.tif can't be read as a raster"):
        next(strips(tmp_path / "b.tif"))
