"""Files of a layout that GDAL has read before are read as GDAL reads them; what differs is left to GDAL."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery import known_tiffs, pixels
from factory_pipeline.imagery.headers import open_image, read_header
from factory_pipeline.imagery.known_tiffs import (
    KnownTiff,
    known_tiff,
    quick_header,
    quick_strips,
    remember_tiff,
)
from factory_pipeline.imagery.pixels import Strip, strips
from factory_pipeline_tests.onboarding.uploads import geotiff

FORMS: list[dict[str, Any]] = [
    {},
    {"nodata": 3, "names": ("red", "nir", "mask")},
    {"compress": "deflate", "predictor": 2},
    {"compress": "lzw", "interleave": "pixel"},
    {"tiled": True, "blockxsize": 16, "blockysize": 32, "compress": "deflate"},
    {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "pixel", "ENDIANNESS": "BIG"},
    {"crs": "EPSG:4326", "left": 10, "top": 50, "AREA_OR_POINT": "Point"},
    {"BIGTIFF": "YES", "blockysize": 7},
]


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_tiffs, "_LAYOUTS", known_tiffs._Layouts())


def remembered(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    header, image = open_image(path)
    assert image is not None
    with image:
        remember_tiff(content, image, header)


def pixels_of(found: KnownTiff) -> np.ndarray:
    strips = found.strips()
    assert strips is not None
    return np.concatenate([values for values, _ in strips], axis=1)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_header_and_pixels_are_those_of_gdal(form: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    if dtype == "float32":
        form = {key: value for key, value in form.items() if key != "predictor"}
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 120, (3, 50, 41)).astype(dtype) for _ in range(2)]
    first, second = (
        geotiff(image, **{"top": 5e6, **form, "left": form.get("left", 4e5) + 10.3 * number})
        for number, image in enumerate(images)
    )
    remembered(tmp_path / "a.tif", first)
    found = known_tiff(second)
    assert found is not None
    assert found.header == read_header(io.BytesIO(second))
    assert quick_header(io.BytesIO(second)) == found.header
    strips = found.strips()
    assert strips is not None
    [(values, valid)] = strips
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, images[1])
    np.testing.assert_array_equal(valid, images[1] != form.get("nodata", -1))


def test_places_that_are_those_of_centres_are_shifted_as_gdal_does(tmp_path: Path) -> None:
    def point(left: float) -> bytes:
        with MemoryFile() as memory:
            with memory.open(
                driver="GTiff",
                width=4,
                height=4,
                count=1,
                dtype="uint8",
                crs="EPSG:32632",
                transform=rasterio.transform.from_origin(left, 5e6, 10, 10),
            ) as image:
                image.update_tags(AREA_OR_POINT="Point")
                image.write(np.ones((1, 4, 4), np.uint8))
            return bytes(memory.getbuffer())

    remembered(tmp_path / "a.tif", point(500_000))
    found = known_tiff(point(600_000.7))
    assert found is not None
    assert found.header == read_header(io.BytesIO(point(600_000.7)))
    assert found.header.transform is not None
    assert found.header.transform[2] == 600_000.7


def test_a_file_of_another_layout_is_not_known(tmp_path: Path) -> None:
    remembered(tmp_path / "a.tif", geotiff())
    assert known_tiff(geotiff(nodata=1)) is None
    assert known_tiff(b"no TIFF") is None
    assert known_tiff(geotiff()[:-3]) is None


def test_pixels_are_left_to_gdal_where_they_are_not_understood_or_damaged(tmp_path: Path) -> None:
    values = np.arange(1600, dtype=np.uint16).reshape(1, 40, 40)
    content = geotiff(values, compress="zstd")
    remembered(tmp_path / "a.tif", content)
    found = known_tiff(content)
    assert found is not None
    assert found.strips() is None
    content = geotiff(values, compress="deflate")
    remembered(tmp_path / "b.tif", content)
    found = known_tiff(content)
    assert found is not None
    np.testing.assert_array_equal(pixels_of(found), values)
    at = content.index(b"\x78", 300)
    found = known_tiff(content[: at + 40] + bytes(40) + content[at + 80 :])
    assert found is not None
    assert found.strips() is None


def test_strips_of_a_file_are_those_of_gdal_whether_its_layout_is_known_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "VALUES_PER_STRIP", 1 << 16)
    rng = np.random.default_rng(0)
    first, second = tmp_path / "a.tif", tmp_path / "b.tif"
    for path in (first, second):
        values = rng.random((2, 300, 200)).astype("float32")
        path.write_bytes(geotiff(values, left=rng.random(), nodata=0.5))
    float32 = np.dtype("float32")
    expected = as_bytes(strips(second))
    assert len(expected) > 1
    assert as_bytes(quick_strips(second)) == expected
    remembered(first, first.read_bytes())
    known = known_tiff(second.read_bytes())
    assert known is not None
    assert known.strips() is not None
    assert as_bytes(quick_strips(second)) == as_bytes(quick_strips(second, 2, float32)) == expected
    with pytest.raises(OnboardingError, match="2 bands, not 3"):
        list(quick_strips(second, bands=3))
    with pytest.raises(OnboardingError, match="float32, not uint8"):
        list(quick_strips(second, dtype=np.dtype("uint8")))
    with pytest.raises(OnboardingError, match=r"none\.tif"):
        list(quick_strips(tmp_path / "none.tif"))


def as_bytes(found: Iterator[Strip]) -> list[tuple[bytes, bytes]]:
    return [(values.tobytes(), valid.tobytes()) for values, valid in found]


def test_only_the_layouts_that_were_used_last_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_tiffs, "MOST_LAYOUTS", 2)
    files = [geotiff(nodata=value) for value in range(3)]
    for content in files[:2]:
        remembered(tmp_path / "a.tif", content)
    assert known_tiff(files[0]) is not None
    remembered(tmp_path / "a.tif", files[2])
    assert [known_tiff(content) is not None for content in files] == [True, False, True]
