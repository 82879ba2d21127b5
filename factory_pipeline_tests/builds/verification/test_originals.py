"""Windows of original rasters: copied on the same pixels, resampled elsewhere, joined where tiles meet."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import Resampling

from factory_pipeline.builds.verification.originals import Originals, OriginalUnreadableError, Target

UTM = 32633
LEFT, TOP, PIXEL = 500_000.0, 5_200_000.0, 10.0
ORIGINALS = Originals(lambda href: href)
"""The address of a file is readable as it is."""


def write(
    path: Path,
    values: NDArray[Any],
    left: float = LEFT,
    pixel: float = PIXEL,
    top: float = TOP,
    nodata: float | None = None,
) -> str:
    """Write a raster whose first pixel is at `left`, `top`."""
    with rasterio.open(
        path, "w", driver="GTiff", count=1, width=values.shape[1], height=values.shape[0],
        dtype=values.dtype, crs=f"EPSG:{UTM}", nodata=nodata,
        transform=Affine(pixel, 0, left, 0, -pixel, top),
    ) as file:  # fmt: skip
        file.write(values, 1)
    return str(path)


def target(column: float, row: float, size: int = 8, pixel: float = PIXEL) -> Target:
    """A window that begins so many pixels of 10 m right of and below the corner."""
    left, top = LEFT + column * PIXEL, TOP - row * PIXEL
    return Target(UTM, Affine(pixel, 0, left, 0, -pixel, top), size)


def ramp(rows: int = 40, columns: int = 40) -> NDArray[np.float32]:
    """Values that rise evenly: a bilinear kernel gives them back at any place."""
    row, column = np.mgrid[:rows, :columns]
    return (100 + 3 * column + 7 * row).astype(np.float32)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, NDArray[np.uint16]]:
    values = np.random.default_rng(0).integers(1, 10_000, (40, 40), np.uint16)
    return write(tmp_path_factory.mktemp("originals") / "noise.tif", values), values


@given(st.integers(-100, 100), st.integers(-100, 100), st.integers(1, 64))
def test_a_padded_window_has_one_more_pixel_on_each_side(column: int, row: int, size: int) -> None:
    window = target(column, row, size)
    padded = window.padded()
    assert padded.size == size + 2
    assert padded.transform @ (1, 1) == pytest.approx(window.transform @ (0, 0))
    left, bottom, right, top = window.bounds
    assert (right - left, top - bottom) == pytest.approx((size * PIXEL,) * 2)
    assert padded.bounds == pytest.approx((left - PIXEL, bottom - PIXEL, right + PIXEL, top + PIXEL))


@given(st.integers(0, 32), st.integers(0, 32), st.sampled_from([Resampling.nearest, Resampling.bilinear]))
def test_pixels_of_the_same_grid_are_copied(
    noise: tuple[str, NDArray[np.uint16]], column: int, row: int, resampling: Resampling
) -> None:
    href, values = noise
    found = ORIGINALS.read_band(href, target(column, row), resampling)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, values[row : row + 8, column : column + 8])


def test_over_the_edge_of_a_raster_there_is_nothing(noise: tuple[str, NDArray[np.uint16]]) -> None:
    href, values = noise
    found = ORIGINALS.read_band(href, target(36, -2), Resampling.nearest)
    np.testing.assert_array_equal(found[2:, :4], values[:6, 36:])
    assert not found[:2].any()
    assert not found[:, 4:].any()


def test_pixels_of_20_m_are_each_four_of_10_m_or_between_them(tmp_path: Path) -> None:
    values = ramp()
    href = write(tmp_path / "a.tif", values, pixel=20)
    nearest = ORIGINALS.read_band(href, target(8, 4), Resampling.nearest)
    np.testing.assert_array_equal(nearest, np.kron(values[2:6, 4:8], np.ones((2, 2))))
    bilinear = ORIGINALS.read_band(href, target(8, 4), Resampling.bilinear)
    row, column = np.mgrid[:8, :8]
    expected = 100 + 3 * ((column + 8.5) / 2 - 0.5) + 7 * ((row + 4.5) / 2 - 0.5)
    np.testing.assert_allclose(bilinear, expected, atol=1e-3)


def test_the_pixel_grid_of_a_raster_is_read_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def sign(href: str) -> str:
        asked.append(href)
        return href

    href = write(tmp_path / "a.tif", ramp())
    originals = Originals(sign)
    assert [originals.pixel_grid(href) for _ in range(2)] == [(UTM, Affine(10, 0, LEFT, 0, -10, TOP))] * 2
    assert asked == [href]


def test_the_first_tile_with_data_at_a_pixel_counts(tmp_path: Path) -> None:
    one, other = np.zeros((40, 40), np.uint8), np.full((40, 40), 20, np.uint8)
    one[:4] = 10
    other[:, 2] = 0
    hrefs = [write(tmp_path / "one.tif", one), write(tmp_path / "other.tif", other)]
    found = ORIGINALS.read_classes(hrefs, target(0, 0))
    assert (found[:4] == 10).all()
    assert (np.delete(found[4:], 2, axis=1) == 20).all()
    assert not found[4:, 2].any()
    assert (ORIGINALS.read_classes(hrefs[::-1], target(0, 0))[:4, [0, 1, 3]] == 20).all()
    assert not ORIGINALS.read_classes([], target(0, 0)).any()


# Altitude


def test_tiles_of_one_grid_have_no_seam(tmp_path: Path) -> None:
    """A window between two tiles is as of one raster, also between its pixels."""
    whole = ramp(40, 80)
    hrefs = [
        write(tmp_path / "west.tif", whole[:, :40]),
        write(tmp_path / "east.tif", whole[:, 40:], left=LEFT + 40 * PIXEL),
    ]
    for places in (target(36, 10), target(35.5, 10.25)):
        altitude, known = ORIGINALS.read_altitude(hrefs, places)
        expected, _ = ORIGINALS.read_altitude([write(tmp_path / "whole.tif", whole)], places)
        assert known.all()
        np.testing.assert_allclose(altitude, expected, atol=1e-6)
    # By the ramp itself, not by the same code.
    row, column = np.mgrid[:8, :8]
    np.testing.assert_allclose(altitude, 100 + 3 * (column + 35.5) + 7 * (row + 10.25), atol=1e-3)


def test_where_no_tile_is_or_a_tile_has_no_data_nothing_is_known(tmp_path: Path) -> None:
    values = ramp()
    values[3, 3] = -9999
    href = write(tmp_path / "a.tif", values, nodata=-9999)
    altitude, known = ORIGINALS.read_altitude([href], target(0, -2))
    assert not known[:2].any()
    assert not known[5, 3]
    assert known.sum() == 8 * 6 - 1
    np.testing.assert_allclose(altitude[known], np.delete(values[:6, :8].ravel(), 3 * 8 + 3))


def test_at_the_seam_of_two_pixel_grids_nothing_is_compared(tmp_path: Path) -> None:
    hrefs = [
        write(tmp_path / "a.tif", ramp(40, 20)),
        write(tmp_path / "b.tif", np.full((40, 20), 500, np.float32), left=LEFT + 200, pixel=20),
    ]
    altitude, known = ORIGINALS.read_altitude(hrefs, target(8, 10, size=24))
    inside, beyond = known[:, :8], known[:, 18:]
    assert inside.all()
    assert beyond.all()
    assert not known[:, 11:13].any(), "the seam is at column 12"
    assert (altitude[:, 18:] == 500).all()


@pytest.mark.parametrize("content", [None, b"no raster"])
def test_a_raster_that_can_not_be_read_is_named_without_its_signature(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "a.tif").write_bytes(content)
    originals = Originals(
        lambda href: f"{tmp_path / href}?sig=SECRET" if content is None else str(tmp_path / href)
    )
    for read in (
        lambda: originals.read_band("a.tif", target(0, 0), Resampling.nearest),
        lambda: originals.pixel_grid("a.tif"),
        lambda: originals.read_classes(["a.tif"], target(0, 0)),
        lambda: originals.read_altitude(["a.tif"], target(0, 0)),
    ):
        with pytest.raises(OriginalUnreadableError) as error:
            read()
        assert str(error.value) == "a.tif can't be read."
