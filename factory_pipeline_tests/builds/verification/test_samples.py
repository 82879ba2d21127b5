"""One sample against what it was made of: nothing is told of a right one, of a wrong one what is wrong."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from factory_pipeline.builds.verification.originals import Originals
from factory_pipeline.builds.verification.product import GEDI_EPOCH, Shot
from factory_pipeline.builds.verification.samples import LABEL_NODATA, Sources, StoredSample, compare_sample
from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.schema import SCL_CLASSES
from factory_pipeline.stac.items import Product, RasterTile

RECIPE = Recipe(window_size=8)
SIZE = RECIPE.window_size
UTM = 32633
TIME = datetime(2020, 6, 10, 12, tzinfo=UTC)
SHOT = Shot(15.0, 47.0, (TIME - GEDI_EPOCH).total_seconds())
X, Y = SHOT.project(UTM)
LEFT, TOP = np.floor(X / 10) * 10 - 10 * (SIZE // 2), np.ceil(Y / 10) * 10 + 10 * (SIZE // 2)
"""Corner of the window that has the shot in its middle pixel."""
BORDER = 12
"""Pixels that the rasters are larger than the window, on each side."""
GRANULE = "GEDI04_A_2020162113000_O06515_02_T00198_02_002_01_V002"
NUMBER = 7
OFFSET = 1000
FOOTPRINT = {
    "lon_lowestmode": SHOT.longitude,
    "lat_lowestmode": SHOT.latitude,
    "delta_time": SHOT.delta_time,
    "granule": GRANULE,
    "beam": "BEAM0101",
    "batch": "train-00000-0a1b2c3d",
    "agbd": 120.5,
    "agbd_se": 10.25,
}
LAYERS = [
    ("Sentinel-2 L2A", 1, "Sentinel-2 B02"),
    ("Sentinel-2 L2A", len(RECIPE.sentinel2.bands), f"Sentinel-2 {RECIPE.sentinel2.bands[-1]}"),
    ("WorldCover", 0, "land cover"),
    ("CopDEM", 0, "altitude"),
    ("CopDEM", 1, "slope"),
]


def write(path: Path, values: NDArray[Any]) -> str:
    """A raster of 10 m around the window."""
    with rasterio.open(
        path, "w", driver="GTiff", count=1, width=values.shape[1], height=values.shape[0],
        dtype=values.dtype, crs=f"EPSG:{UTM}",
        transform=Affine(10, 0, LEFT - 10 * BORDER, 0, -10, TOP + 10 * BORDER),
    ) as file:  # fmt: skip
        file.write(values, 1)
    return str(path)


class Made:
    """The originals of a sample, and the sample as it must be."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        shape = (SIZE + 2 * BORDER,) * 2
        inner = (slice(BORDER, BORDER + SIZE),) * 2
        bands = {band: rng.integers(900, 4000, shape, np.uint16) for band in RECIPE.sentinel2.bands}
        scl = rng.choice([4, 5, 6], shape).astype(np.uint8)
        hrefs = {band: write(folder / f"{band}.tif", values) for band, values in bands.items()}
        hrefs["SCL"] = write(folder / "SCL.tif", scl)
        row, column = np.mgrid[: shape[0], : shape[1]]
        altitude = (300 + 0.3 * column + 0.4 * row).astype(np.float32)
        cover = rng.choice([10, 30, 80], shape).astype(np.uint8)
        box = (14.0, 46.5, 15.5, 48.0)
        product = Product(
            "item", "product", TIME, 5.0, "05.00", Grid(UTM, 399_960, 5_300_040, 10, 10, 10_980, 10_980),
            hrefs, OFFSET, shapely.box(13.6, 46.5, 15.5, 48),
        )  # fmt: skip
        self.sources = Sources(
            RECIPE,
            {"item": product},
            {"dem": RasterTile("dem", "a dem", box, write(folder / "dem.tif", altitude), 2015)},
            {"cover": RasterTile("cover", "a cover", box, write(folder / "cover.tif", cover), 2020)},
            {NUMBER: FOOTPRINT},
            Originals(lambda href: href),
        )
        counts = [np.maximum(values[inner].astype(int) - OFFSET, 1) for values in bands.values()]
        classes = scl[inner]
        near = np.mgrid[:SIZE, :SIZE]
        # How far the square of each pixel is from the shot.
        across = 10 * np.abs(near[1] + 0.5 - (X - LEFT) / 10) - 5
        down = 10 * np.abs(near[0] + 0.5 - (TOP - Y) / 10) - 5
        disc = np.hypot(across.clip(0), down.clip(0)) <= RECIPE.footprint_radius
        places = [SHOT.latitude, SHOT.longitude]
        self.sample = StoredSample(
            {
                "data/Sentinel-2 L2A": np.stack([classes, *counts]).astype(np.uint16),
                "data/S2 SCL Stats": np.array(
                    [[code, (classes == code).mean()] for code in range(len(SCL_CLASSES))]
                ),
                "data/CopDEM": np.stack([altitude[inner], np.full((SIZE, SIZE), 5, np.float32)]),
                "data/WorldCover": cover[inner][None],
                "data/AGBD Raster": np.where(disc, 120.5, LABEL_NODATA).astype(np.float32)[None],
                "data/Transforms": np.array([10, 0, LEFT, 0, -10, TOP, 0, 0, 1]),
                "data/CRS": texts(f"EPSG:{UTM}"),
                "data/GEDI Shot Number": np.array([NUMBER]),
                "data/GEDI Lat Lon": np.array(places, np.float32),
                "data/AGBD Values": np.array([120.5], np.float32),
                "data/AGBD Standard Error": np.array([10.25], np.float32),
                "data/GEDI Product Name": texts(GRANULE),
                "data/GEDI Acquisition Time": texts("2020-06-10T11:30:00Z"),
                "data/GEDI Delta Time": texts(repr(SHOT.delta_time)),
                "data/Sentinel-2 Product Name": texts("product"),
                "data/CopDEM Tile Name": texts("a dem"),
                "data/WorldCover Tile Name": texts("a cover"),
                "provenance/GEDI Granule": texts(GRANULE),
                "provenance/GEDI Beam": texts("BEAM0101"),
                "provenance/Batch": texts("train-00000-0a1b2c3d"),
                "provenance/Lat Lon": np.array(places),
                "provenance/Sentinel-2 Item": texts("item"),
                "provenance/Sentinel-2 Baseline": texts("05.00"),
                "provenance/Sentinel-2 Offset Removed": np.array([OFFSET]),
                "provenance/CopDEM Items": texts("dem"),
                "provenance/WorldCover Items": texts("cover"),
            }
        )

    def changed(self, path: str, value: Any) -> StoredSample:
        """The sample with another value at a path; a callable changes a copy of what is there."""
        if callable(value):
            array = self.sample.values[path].copy()
            value(array)
            value = array
        return StoredSample({**self.sample.values, path: value})

    def differences(self, path: str, value: Any) -> list[str]:
        differences, unreadable = compare_sample(self.changed(path, value), self.sources)
        assert unreadable == []
        return differences


def texts(text: str) -> NDArray[np.bytes_]:
    return np.array([text.encode()])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("samples"))


def test_a_right_sample_is_told_nothing_of(made: Made) -> None:
    assert compare_sample(made.sample, made.sources) == ([], [])
    labelled = made.sample.array("AGBD Raster")[0] == 120.5
    assert labelled[SIZE // 2, SIZE // 2]
    assert 4 < labelled.sum() <= 12


@given(st.sampled_from(LAYERS), st.integers(0, SIZE - 1), st.integers(0, SIZE - 1), st.sampled_from([-1, 1]))
@settings(max_examples=10)
def test_each_pixel_that_is_changed_is_named(
    made: Made, layer: tuple[str, int, str], row: int, column: int, step: int
) -> None:
    dataset, number, named = layer

    def change(array: NDArray[Any]) -> None:
        array[number, row, column] = array[number, row, column].item() + step

    (told,) = made.differences(f"data/{dataset}", change)
    assert told.startswith(f"{named} differs in 1 of {SIZE * SIZE} pixels")
    assert f": [{row}, {column}] is " in told


def test_no_more_than_some_pixels_are_named_and_all_are_counted(made: Made) -> None:
    (told,) = made.differences("data/WorldCover", lambda cover: cover.fill(77))
    assert told.startswith(f"land cover differs in {SIZE * SIZE} of {SIZE * SIZE} pixels: [0, 0] is 77, ")
    assert told.count(" is 77") == 3


def test_what_the_tolerance_allows_is_right(made: Made) -> None:
    def by(step: float) -> Callable[[NDArray[Any]], None]:
        return lambda copdem: copdem.__setitem__((0, 2, 2), copdem[0, 2, 2] + step)

    assert made.differences("data/CopDEM", by(0.009)) == []
    assert len(made.differences("data/CopDEM", by(0.02))) == 1
    assert len(made.differences("data/CopDEM", by(np.nan))) == 1, "no number is a difference"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("provenance/Batch", texts("b"), "provenance/Batch is 'b', but must be 'train-00000-0a1b2c3d'."),
        ("data/CRS", texts("EPSG:32632"), "data/CRS is 'EPSG:32632', but must be 'EPSG:32633'."),
        ("data/AGBD Values", np.array([1], np.float32), "data/AGBD Values is [1.0], but must be [120.5]."),
        (
            "provenance/Sentinel-2 Offset Removed",
            np.array([0]),
            "provenance/Sentinel-2 Offset Removed is [0], but must be [1000].",
        ),
        (
            "provenance/CopDEM Items",
            texts("dem;moon"),
            "provenance/CopDEM Items: moon is none that the searches found.",
        ),
        (
            "data/WorldCover Tile Name",
            texts("other"),
            "data/WorldCover Tile Name is 'other', but must be 'a cover'.",
        ),
        (
            "data/Transforms",
            np.array([10, 0, LEFT + 3, 0, -10, TOP, 0, 0, 1]),
            "data/Transforms: the window is not on the pixels of product.",
        ),
        (
            "data/Transforms",
            np.array([10, 0, LEFT, 0, -10, TOP + 20, 0, 0, 1]),
            "not in pixel [4, 4].",
        ),
    ],
)
def test_a_wrong_fact_is_told_with_the_right_one(made: Made, path: str, value: Any, told: str) -> None:
    assert any(told in difference for difference in made.differences(path, value))


def test_without_its_footprint_or_product_nothing_else_is_compared(made: Made) -> None:
    assert made.differences("data/GEDI Shot Number", np.array([8])) == [
        "the shot 8 is not in the batch plan."
    ]
    assert made.differences("provenance/Sentinel-2 Item", texts("moon")) == [
        "the item moon is none that the searches found."
    ]


def test_the_land_cover_is_of_the_year_of_the_shot(made: Made) -> None:
    tile = replace(made.sources.worldcover["cover"], year=2021)
    assert compare_sample(made.sample, replace(made.sources, worldcover={"cover": tile})) == (
        ["the land cover a cover is of 2021, not of 2020 as for a shot of 2020."],
        [],
    )


def test_an_original_that_is_gone_is_no_difference_and_the_rest_is_compared(made: Made) -> None:
    tile = replace(made.sources.copdem["dem"], href="gone.tif")
    sources = replace(made.sources, copdem={"dem": tile})
    sample = made.changed("data/WorldCover", lambda cover: cover.__setitem__((0, 1, 1), 99))
    differences, unreadable = compare_sample(sample, sources)
    assert unreadable == ["gone.tif can't be read."]
    assert [told.partition(" differs")[0] for told in differences] == ["land cover"]


def test_a_sample_is_read_with_all_its_arrays_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data/AGBD Values"] = np.array([[1.5], [2.5]])
        file["provenance/deeper/Batch"] = np.array([[b"one"], [b"zwei"]])
    with h5py.File(path) as file:
        sample = StoredSample.read(file, 1)
    assert sorted(sample.values) == ["data/AGBD Values", "provenance/deeper/Batch"]
    assert sample.array("AGBD Values").tolist() == [2.5]
    assert sample.text("provenance/deeper/Batch") == "zwei"
