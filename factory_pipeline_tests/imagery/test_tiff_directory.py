"""Directories have the same layout where files differ in pixels and place alone; the unusual has none."""

import io
import struct

import numpy as np
import pytest

from factory_pipeline.imagery.tiff_directory import TiffDirectory, read_directory
from factory_pipeline_tests.onboarding.uploads import geotiff

WIDTH, NODATA = 256, 42113


def directory_of(content: bytes) -> TiffDirectory | None:
    return read_directory(io.BytesIO(content))


@pytest.mark.parametrize(
    "form", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}, {"tiled": True, "blockxsize": 16}]
)
def test_files_that_differ_in_pixels_and_place_have_one_layout(form: dict[str, object]) -> None:
    pixels = np.ones((2, 40, 30), np.uint16)
    form = {**form, "blockysize": 16}
    one, other = (directory_of(geotiff(pixels * n, left=100.0 * n, **form)) for n in (1, 2))
    assert one is not None
    assert other is not None
    assert one.layout == other.layout
    assert one.numbers(WIDTH) == (30,)
    assert (one.tie_point, other.tie_point) == ((0, 0, 0, 100, 5e6, 0), (0, 0, 0, 200, 5e6, 0))
    content = geotiff(pixels, left=100.0, **form)
    number = np.dtype(f"{one.order}u2")
    first = np.frombuffer(content[one.offsets[0] :][: one.byte_counts[0]], number)
    assert (first == 1).any()


@pytest.mark.parametrize(
    "change", [{"nodata": 7}, {"crs": "EPSG:32633"}, {"names": ("a", "b")}, {"compress": "lzw"}]
)
def test_files_that_differ_in_anything_else_have_another_layout(change: dict[str, object]) -> None:
    plain, changed = directory_of(geotiff()), directory_of(geotiff(**change))
    assert plain is not None
    assert changed is not None
    assert plain.layout != changed.layout


def layout_with(**tags: str) -> tuple[object, ...]:
    """The layout of a file with GDAL's metadata."""
    found = directory_of(geotiff(tags=tags))
    assert found is not None
    return found.layout


def test_what_metadata_say_of_the_file_is_not_of_its_layout() -> None:
    plain = layout_with(shot="17", day="2019-07-01")
    assert layout_with(shot="1234", day="today") == plain
    for other in ({"shot": "17"}, {"shot": "1 & 2", "day": "x"}, {"shot": "é", "day": "x"}):
        assert layout_with(**other) != plain
    assert layout_with(NODATA_VALUES="0 0 0") != layout_with(NODATA_VALUES="1 0 0")


def test_what_is_damaged_or_no_tiff_is_left_to_others() -> None:
    content = geotiff()
    assert directory_of(content) is not None
    for other in (b"", b"II", b"no TIFF at all, but long enough", content[:200], content[:-1]):
        assert directory_of(other) is None
    # A second directory.
    (start,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, start)
    after = start + 2 + 12 * entries
    assert directory_of(content[:after] + struct.pack("<I", start) + content[after + 4 :]) is None
