"""Operations that move pixels, against scikit-image, a plain loop and the places on Earth."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from shapely import Polygon
from skimage import transform as oracle

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.augment import geometric
from factory_pipeline.datasets.augment.geometric import crop, flip_horizontal, flip_vertical, rotate, shear
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape
from factory_pipeline_tests.datasets.augment.factories import (
    DTYPES,
    NODATA,
    TRANSFORM,
    drawn,
    made_raster,
    made_sample,
)
from factory_pipeline_tests.examples import up_to

Move = Callable[[Sample], Sample]


def transposed(pixels: Any) -> Any:
    return np.swapaxes(pixels, 1, 2)


EXACT: dict[str, tuple[Move, Callable[[Any], Any]]] = {
    "flip horizontal": (flip_horizontal, lambda pixels: np.flip(pixels, 2)),
    "flip vertical": (flip_vertical, lambda pixels: np.flip(pixels, 1)),
    "clockwise": (geometric.turn_clockwise, lambda pixels: np.flip(transposed(pixels), 2)),
    "counter-clockwise": (geometric.turn_counter_clockwise, lambda pixels: np.flip(transposed(pixels), 1)),
    "upside down": (geometric.turn_upside_down, lambda pixels: np.flip(pixels, (1, 2))),
    "crop": (lambda sample: crop(sample, 3, 5, 11, 17), lambda pixels: pixels[:, 3:14, 5:22]),
}
RESAMPLED: dict[str, Move] = {
    "rotation": lambda sample: rotate(sample, 27.5),
    "shear": lambda sample: shear(sample, 20, -13),
}
SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))
ANGLES = st.floats(-360, 360)


def rasters(sample: Sample) -> list[SampleRaster]:
    assert sample.mask is not None
    assert sample.target is not None
    return [*sample.images.values(), sample.mask, sample.target]


def assert_alike(one: Sample, other: Sample) -> None:
    for mine, theirs in zip(rasters(one), rasters(other), strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)
    np.testing.assert_allclose(one.transform, other.transform, rtol=1e-12)
    for mine, theirs in zip(one.shapes, other.shapes, strict=True):
        np.testing.assert_allclose(mine.bbox, theirs.bbox, atol=1e-12)
        for ring, its in zip(mine.rings, theirs.rings, strict=True):
            np.testing.assert_allclose(ring, its, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bands", [1, 3, 12])
@pytest.mark.parametrize("operation", EXACT)
def test_flips_turns_and_crops_move_every_pixel_as_it_is(operation: str, dtype: str, bands: int) -> None:
    sample = made_sample(made_raster(dtype, bands, nodata=True))
    move, expected = EXACT[operation]
    copy = move(sample)
    for raster, before in zip(rasters(copy), rasters(sample), strict=True):
        assert (raster.values.dtype, raster.nodata, raster.bands) == (
            before.values.dtype,
            before.nodata,
            before.bands,
        )
        assert raster.values.flags.c_contiguous
        np.testing.assert_array_equal(raster.values, expected(before.values))


@given(size=SIZES)
def test_two_flips_and_four_turns_give_the_sample_back(size: tuple[int, int]) -> None:
    height, width = size
    shapes = (
        Shape(AnnotationType.RECTANGLE, "lake", (0, 0, width, height)),
        drawn(AnnotationType.POLYGON, [(0, 0), (width, 0), (width / 3, height * 0.7)]),
        drawn(AnnotationType.LINE, [(0, height), (width / 7, 0)]),
    )
    sample = replace(made_sample(made_raster(size=size)), shapes=shapes)
    for flip in (flip_horizontal, flip_vertical, geometric.turn_upside_down):
        assert_alike(flip(flip(sample)), sample)
    for turn in (geometric.turn_clockwise, geometric.turn_counter_clockwise):
        assert_alike(turn(turn(turn(turn(sample)))), sample)
        assert_alike(turn(turn(sample)), geometric.turn_upside_down(sample))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bands", [1, 3, 12])
@pytest.mark.parametrize("degrees", [-200.0, -10, 33.3, 90, 360])
def test_a_rotation_is_that_of_scikit_image(dtype: str, bands: int, degrees: float) -> None:
    sample = made_sample(made_raster(dtype, bands))
    copy = rotate(sample, degrees)
    _assert_as_scikit_image(
        copy, sample, lambda pixels, **how: oracle.rotate(pixels, degrees, center=_centre(sample), **how)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angles", [(20, 0), (0, -35.5), (40, 40), (-12, 31)])
def test_a_shear_is_that_of_scikit_image(dtype: str, angles: tuple[float, float]) -> None:
    sample = made_sample(made_raster(dtype))
    x, y = _centre(sample)
    along_rows, along_columns = np.eye(3), np.eye(3)
    along_rows[0, 1], along_columns[1, 0] = np.tan(np.radians(angles))
    there, back = oracle.AffineTransform(translation=(-x, -y)), oracle.AffineTransform(translation=(x, y))
    whole = there + oracle.AffineTransform(along_rows) + oracle.AffineTransform(along_columns) + back
    _assert_as_scikit_image(
        shear(sample, *angles), sample, lambda pixels, **how: oracle.warp(pixels, whole.inverse, **how)
    )


def _centre(sample: Sample) -> tuple[float, float]:
    """scikit-image counts from the centre of the first pixel."""
    height, width = sample.size
    return (width - 1) / 2, (height - 1) / 2


def _assert_as_scikit_image(copy: Sample, sample: Sample, warp: Callable[..., Any]) -> None:
    how = {"preserve_range": True, "clip": False}
    before = sample.images["S2"].values.astype(np.float64)
    seen = warp(np.ones(sample.size), order=1, mode="constant", cval=0, **how) > 1 - 1e-9
    tolerance = 1e-4 if copy.images["S2"].values.dtype.kind == "f" else 0.5 + 1e-6
    for band, values in zip(copy.images["S2"].values, before, strict=True):
        expected = warp(values, order=1, mode="constant", cval=0, **how)
        np.testing.assert_allclose(band[seen], expected[seen], atol=tolerance)
    for raster, stored in ((copy.mask, sample.mask), (copy.target, sample.target)):
        assert raster is not None
        assert stored is not None
        expected = warp(
            stored.values[0].astype(np.float64), order=0, mode="constant", cval=stored.nodata, **how
        )
        # A centre between two pixels goes to either, as rounding decides.
        assert np.mean(raster.values[0] == expected) > 0.98
        assert set(np.unique(raster.values)) <= {*np.unique(stored.values), stored.nodata}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operation", RESAMPLED)
def test_nodata_never_mixes_into_a_value_and_stays_where_it_is_nearest(operation: str, dtype: str) -> None:
    sample = made_sample(made_raster(dtype, 3, nodata=True))
    copy = RESAMPLED[operation](sample)
    inverse = ~_affine(sample, copy)
    image, raster = copy.images["S2"].values, sample.images["S2"]
    for band in range(3):
        for row, column in np.ndindex(*copy.size):
            expected = _bilinear(raster.values[band], raster.nodata, *(inverse @ (column + 0.5, row + 0.5)))
            tolerance = 1e-5 if dtype == "float32" else 0.5 + 1e-6
            assert image[band, row, column] == pytest.approx(expected, abs=tolerance)
            assert (image[band, row, column] == raster.nodata) == (expected == raster.nodata)


def _affine(sample: Sample, copy: Sample) -> Affine:
    """From pixels of the sample to those of the copy, as the two geotransforms have it."""
    assert sample.transform is not None
    assert copy.transform is not None
    return ~Affine(*copy.transform) @ Affine(*sample.transform)


def _bilinear(band: Any, nodata: Any, x: float, y: float) -> float:
    """The plain way, one pixel."""
    height, width = band.shape
    # The two geotransforms tell the place to some digits only, which must not lead out of the pixel.
    row, column = math.floor(round(y, 6)), math.floor(round(x, 6))
    if not (0 <= row < height and 0 <= column < width) or band[row, column] == nodata:
        return float(nodata)
    total = weights = 0.0
    for i in range(math.floor(y - 0.5), math.floor(y - 0.5) + 2):
        for j in range(math.floor(x - 0.5), math.floor(x - 0.5) + 2):
            if 0 <= i < height and 0 <= j < width and band[i, j] != nodata:
                weight = (1 - abs(y - 0.5 - i)) * (1 - abs(x - 0.5 - j))
                total, weights = total + weight * float(band[i, j]), weights + weight
    return total / weights


@given(
    size=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    angles=st.tuples(ANGLES, st.floats(-40, 40), st.floats(-40, 40)),
    skewed=st.booleans(),
)
@settings(deadline=None)
def test_every_pixel_keeps_its_place_on_earth(
    size: tuple[int, int], angles: tuple[float, float, float], skewed: bool
) -> None:
    """Each pixel holds its own place, which bilinear interpolation keeps."""
    height, width = size
    transform = Affine(10, 3, 399_960, 2, -10, 5_000_040) if skewed else Affine(10, 0, 0, 0, -20, 90)
    places = np.stack(transform @ (np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5))
    moves: list[Move] = [exact for exact, _ in EXACT.values() if exact is not EXACT["crop"][0]]
    moves += [lambda s: crop(s, 1, 2, height - 2, width - 2)]
    moves += [lambda s: rotate(s, angles[0]), lambda s: shear(s, *angles[1:])]
    nodata = float("nan")
    for move in moves:
        sample = Sample(
            "a", "train", {"place": SampleRaster(places, ("x", "y"), nodata)}, transform=transform[:6]
        )
        copy = move(sample)
        held = copy.images["place"].values
        rows, columns = np.mgrid[: copy.size[0], : copy.size[1]] + 0.5
        expected = np.stack(Affine(*copy.transform) @ (columns, rows))
        # Within half a pixel of the edge there is nothing to interpolate between.
        x, y = ~transform @ expected
        within = (x >= 0.5) & (y >= 0.5) & (x <= width - 0.5) & (y <= height - 0.5)
        np.testing.assert_allclose(held[:, within], expected[:, within], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("operation", RESAMPLED)
def test_what_comes_from_outside_has_no_data(operation: str) -> None:
    sample = made_sample({tag: made_raster(nodata=tag == "with") for tag in ("with", "without")})
    sample = replace(sample, images={**sample.images, "float": made_raster("float32", nodata=True)})
    copy = RESAMPLED[operation](sample)
    corner = np.s_[:, 0, 0]
    assert [raster.values[corner].max() for raster in copy.images.values()] == [0, 0, NODATA["float32"]]
    assert copy.mask is not None
    assert copy.mask.values[corner] == 255
    assert copy.target is not None
    assert copy.target.values[corner] == -9999
    assert (copy.images["without"].values[:, 12, 15] > 0).all()


def test_measured_values_without_nodata_are_nan_outside() -> None:
    sample = made_sample()
    assert sample.target is not None
    copy = rotate(replace(sample, target=replace(sample.target, nodata=None)), 45)
    assert copy.target is not None
    assert np.isnan(copy.target.values[0, 0, 0])


@pytest.mark.parametrize("operation", RESAMPLED)
def test_class_codes_among_the_bands_are_never_mixed(operation: str) -> None:
    raster = made_raster("uint16", 2, nodata=True)
    codes = np.random.default_rng(1).choice(np.array([4, 8, 11], np.uint16), raster.values.shape[1:])
    raster = replace(raster, values=np.stack([codes, raster.values[1]]), bands=("SCL", "B02"))
    image = RESAMPLED[operation](made_sample(raster)).images["S2"].values
    assert set(np.unique(image[0])) == {0, 4, 8, 11}
    assert len(np.unique(image[1])) > 100


@pytest.mark.parametrize("degrees", [0.0, 360, -360])
def test_a_rotation_by_nothing_changes_nothing(degrees: float) -> None:
    sample = made_sample(made_raster("float32", nodata=True))
    assert_alike(rotate(sample, degrees), sample)


@given(degrees=ANGLES, values=st.integers(0, 10_000))
@settings(max_examples=up_to(30))
def test_an_even_image_stays_even(degrees: float, values: int) -> None:
    sample = made_sample(SampleRaster(np.full((2, 9, 14), values, np.uint16), ("B1", "B2"), 65_535))
    image = rotate(sample, degrees).images["S2"].values
    assert set(np.unique(image)) <= {values, 65_535}


@pytest.mark.parametrize("move", [*(exact for exact, _ in EXACT.values()), *RESAMPLED.values()])
def test_an_image_that_is_not_georeferenced_stays_so(move: Move) -> None:
    copy = move(replace(made_sample(), crs=None, transform=None, mask=None, target=None))
    assert (copy.crs, copy.transform, copy.mask, copy.target) == (None, None, None, None)


@given(
    degrees=ANGLES,
    angles=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=up_to(60), deadline=None)
def test_polygons_and_the_mask_stay_together(degrees: float, angles: tuple[float, float], seed: int) -> None:
    """What is drawn from a moved polygon is the moved drawing, but for pixels that lie on its edge."""
    noise = np.random.default_rng(seed)
    size = (40, 52)
    turns = (np.arange(9) + noise.uniform(0, 0.9, 9)) * 2 * np.pi / 9
    reach = noise.uniform(4, 30, (9, 1))
    star = noise.uniform(10, 35, 2) + reach * np.column_stack([np.cos(turns), np.sin(turns)])
    mask = rasterize([Polygon(star)], out_shape=size)[None]
    sample = Sample(
        "a",
        "train",
        {"S2": made_raster(size=size)},
        (drawn(AnnotationType.POLYGON, star),),
        SampleRaster(mask, ("class",), 0),
        transform=TRANSFORM,
    )
    edge = shapely.intersection(Polygon(star), shapely.box(0, 0, size[1], size[0])).boundary
    for copy in (
        rotate(sample, degrees),
        shear(sample, *angles),
        flip_vertical(sample),
        crop(sample, 9, 8, 20, 30),
    ):
        assert copy.mask is not None
        polygons = [Polygon(shape.rings[0], shape.rings[1:]) for shape in copy.shapes]
        burned = rasterize(polygons, out_shape=copy.size) if polygons else np.zeros(copy.size, np.uint8)
        rows, columns = np.nonzero(burned != copy.mask.values[0])
        x, y = ~_affine(sample, copy) @ (columns + 0.5, rows + 0.5)
        # Half the diagonal of a pixel is as far as the nearest one can be.
        assert (shapely.distance(edge, shapely.points(x, y)) < np.sqrt(0.5) + 1e-6).all()
        for shape in copy.shapes:
            x, y, width, height = shape.bbox
            assert x >= 0
            assert y >= 0
            assert x + width <= copy.size[1] + 1e-9
            assert y + height <= copy.size[0] + 1e-9
