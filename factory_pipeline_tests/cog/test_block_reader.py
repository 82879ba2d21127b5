"""Windows read by the block engine are what GDAL's warp gives."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.read_plan import plan_reads
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead, stack_reads
from factory_pipeline_tests.cog.agreement import assert_readers_agree
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, layout_of, random_values, write_raster
from factory_pipeline_tests.cog.oracle import assert_same, expected
from factory_pipeline_tests.examples import up_to

SECOND = 1 / 3600
BOTH = list(Resampling)


def grid_at(x: float, y: float, pixel: float = 10.0, height: int = 32, width: int = 32) -> Grid:
    """A window whose corner is so many metres right of and below the made rasters' corner."""
    return Grid(UTM, LEFT + x, TOP - y, pixel, pixel, width, height)


def check(reads: list[WindowRead], reader: BlockReader | None = None) -> None:
    for read, answer in zip(reads, (reader or BlockReader()).read(reads), strict=True):
        assert_same(answer, read)


@st.composite
def rasters(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels and how they are stored."""
    dtype = draw(st.sampled_from(["uint8", "uint16", "int16", "float32"]))
    nodata = draw(st.sampled_from([None, 0, 7] + ([float("nan")] if dtype == "float32" else [])))
    options: dict[str, Any] = {
        "nodata": nodata,
        "compress": draw(st.sampled_from(["deflate", "lzw", "zstd", "none"] + ["jpeg"] * (dtype == "uint8"))),
        "blockxsize": 16 * draw(st.integers(1, 16)),
        "blockysize": 16 * draw(st.integers(1, 16)),
        "endianness": draw(st.sampled_from(["LITTLE", "BIG"])),
        "bigtiff": draw(st.sampled_from(["YES", "NO"])),
        "sparse_ok": draw(st.booleans()),
        "count": draw(st.integers(1, 3)),
        "interleave": draw(st.sampled_from(["pixel", "band"])),
    }
    if options["compress"] == "jpeg":
        options["count"] = 1
    elif options["compress"] != "none" and draw(st.booleans()):
        options["predictor"] = draw(st.sampled_from([2, 3] if dtype == "float32" else [2]))
    elif dtype == "uint16" and draw(st.booleans()):
        options["nbits"] = 15
    # GDAL resamples a raster of a single row or column as nearest.
    shape = draw(st.integers(2, 150)), draw(st.integers(2, 150))
    values = random_values(shape, dtype, seed=draw(st.integers(0, 99)), nodata=nodata)
    if draw(st.booleans()):
        values[:100, :100] = 0 if nodata is None else nodata
    return values, options


windows = st.builds(
    grid_at,
    x=st.one_of(st.integers(-40, 310).map(lambda n: n * 10.0), st.floats(-400, 3100)),
    y=st.one_of(st.integers(-40, 310).map(lambda n: n * 10.0), st.floats(-400, 3100)),
    pixel=st.sampled_from([20.0, 10.0, 20 / 3, 17.3]),
    height=st.integers(2, 40),
    width=st.integers(2, 40),
)


@pytest.mark.integration
@settings(max_examples=up_to(12), deadline=None)
@given(raster=rasters(), grids=st.lists(windows, min_size=1, max_size=4))
def test_any_window_of_any_raster(
    tmp_path_factory: pytest.TempPathFactory, raster: tuple[np.ndarray, dict[str, Any]], grids: list[Grid]
) -> None:
    values, options = raster
    path = write_raster(tmp_path_factory.mktemp("raster") / "raster.tif", values, **options)

    reads = [WindowRead((path,), grid, resampling) for grid in grids for resampling in BOTH]
    reads += [replace(read, band=options["count"], nodata=5) for read in reads]
    check(reads)
    assert_readers_agree(reads)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_bands_of_one_raster_are_fetched_once(tmp_path: Path, interleave: str) -> None:
    values = random_values((64, 64), "int16")
    path = write_raster(tmp_path / "raster.tif", values, count=4, interleave=interleave)
    reads = [WindowRead((path,), grid_at(200, 200, 20), Resampling.NEAREST, band) for band in (1, 2, 3, 4)]
    check(reads)

    layout, _ = layout_of(path)
    uses = plan_reads(stack_reads(reads), {path: layout}).uses
    assert len(uses[layout]) == {"pixel": 4, "band": 16}[interleave]


def test_a_band_that_a_raster_lacks(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((64, 64)), count=2)
    read = WindowRead((path,), grid_at(0, 0, 20), band=3)
    for reader in (BlockReader(), RasterioReader()):
        (answer,) = reader.read([read])
        assert isinstance(answer, ReadFailure)
        assert not answer.transient
        assert "has 2 bands, not 3" in answer.reason


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("nodata", [None, 0])
def test_degrees_onto_metres(tmp_path: Path, dtype: str, nodata: float | None) -> None:
    values = random_values((100, 120), dtype, nodata=nodata)
    path = write_raster(
        tmp_path / "dem.tif", values, SECOND, left=4.0, top=45.0, crs="EPSG:4326", nodata=nodata
    )
    to_utm = Transformer.from_crs(4326, UTM, always_xy=True)
    corners = [(4.01, 44.99), (4.0, 45.0), (4.0325, 44.98), (4.015, 44.9725), (3.99, 45.0), (9.0, 45.0)]
    grids = [Grid(UTM, *to_utm.transform(x, y), 10, 10, 32, 32) for x, y in corners]

    check([WindowRead((path,), grid, resampling) for grid in grids for resampling in BOTH])


def test_window_on_the_assets_own_pixels_is_a_copy(tmp_path: Path) -> None:
    values = random_values((64, 64))
    path = write_raster(tmp_path / "raster.tif", values)
    reads = [WindowRead((path,), grid_at(40, 600, 20, 8, 8), resampling) for resampling in BOTH]

    for answer in BlockReader().read(reads):
        assert isinstance(answer, ReadWindow)
        np.testing.assert_array_equal(answer.values, values[30:38, 2:10])
        assert answer.valid.all()


def test_pixels_whose_centre_lies_on_the_assets_edge(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((64, 64)))
    grids = [grid_at(64 * 20 - 90, 64 * 20 - 50, 20, 9, 9), grid_at(-50, -90, 20, 9, 9)]

    check([WindowRead((path,), grid, resampling) for grid in grids for resampling in BOTH])


@pytest.mark.parametrize("void", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("nodata", [None, -9999.0])
def test_what_is_no_number_is_no_data_whatever_the_tags_say(
    tmp_path: Path, void: float, nodata: float | None
) -> None:
    values = random_values((64, 64), "float32")
    values[20, 30] = void
    values[25, 35] = -9999
    path = write_raster(tmp_path / "raster.tif", values, nodata=nodata)

    check([WindowRead((path,), grid_at(500, 300), resampling) for resampling in BOTH])


def write_marked(path: Path, marked_by: str) -> str:
    """A raster with a square of no data, as a mask inside or beside the file says, or an alpha band."""
    values = random_values((256, 256))
    holds = np.full(values.shape, 255, np.uint8)
    holds[10:40, 20:70] = 0
    options = {"photometric": "MINISBLACK", "alpha": "YES", "count": 2} if marked_by == "alpha" else {}
    write_raster(path, values, **options)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=marked_by != "beside"), rasterio.open(path, "r+") as dataset:
        if marked_by == "alpha":
            dataset.write(holds, 2)
        else:
            dataset.write_mask(holds > 0)
        if marked_by == "after overviews":
            dataset.build_overviews([2, 4])
    return str(path)


@pytest.mark.parametrize("marked_by", ["inside", "after overviews", "beside", "alpha"])
def test_masks_and_alpha_bands_are_honoured(tmp_path: Path, marked_by: str) -> None:
    path = write_marked(tmp_path / "raster.tif", marked_by)
    assert (tmp_path / "raster.tif.msk").exists() == (marked_by == "beside")
    reads = [WindowRead((path,), grid_at(500, 300), resampling) for resampling in BOTH]
    reader = BlockReader(fallback=RasterioReader())

    for answer, read in zip(reader.read(reads), reads, strict=True):
        assert_same(answer, read)
        assert isinstance(answer, ReadWindow)
        assert not answer.valid.all()


def test_outside_of_all_assets_there_is_no_data(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((64, 64), "int16"))

    (answer,) = BlockReader().read([WindowRead((path,), grid_at(9000, 0))])

    assert isinstance(answer, ReadWindow)
    assert answer.values.dtype == np.int16
    assert not answer.values.any()
    assert not answer.valid.any()


@pytest.mark.integration
@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize("overlap", [0, 9])
def test_tiles_on_one_pixel_grid_are_joined_before_resampling(
    tmp_path: Path, nodata: float | None, overlap: int
) -> None:
    step = (50 - overlap) * 20
    paths = tuple(
        write_raster(
            tmp_path / f"{row}{column}.tif",
            random_values((50, 50), seed=2 * row + column, nodata=nodata),
            left=LEFT + column * step,
            top=TOP - row * step,
            nodata=nodata,
        )
        for row, column in ((0, 1), (0, 0), (1, 0), (1, 1))
    )
    places = [(step - 160, step - 160), (step - 155, 100), (123.4, step - 77), (-100, step - 100)]
    grids = [grid_at(x, y) for x, y in places]

    check(
        [
            WindowRead(hrefs, grid, resampling)
            for hrefs in (paths, paths[:2], paths[:3], paths[::-1])
            for grid in grids
            for resampling in BOTH
        ]
    )


@pytest.mark.integration
def test_tiles_on_different_grids(tmp_path: Path) -> None:
    """By nearest one by one, as GDAL does; bilinearly joined (see `test_join`) by both readers alike."""
    near = write_raster(
        tmp_path / "near.tif", random_values((60, 60), "float32", nodata=-9), nodata=-9, left=LEFT + 7
    )
    wide = write_raster(tmp_path / "wide.tif", random_values((30, 40), "float32", 1), 30, left=LEFT + 900)
    grids = [grid_at(850, 200), grid_at(100, 100), grid_at(1050.5, 333.3)]

    reads = [WindowRead(hrefs, grid) for hrefs in ((near, wide), (wide, near)) for grid in grids]
    check(reads)
    bilinear = [WindowRead(read.hrefs, read.grid, Resampling.BILINEAR) for read in reads]
    by_blocks, by_gdal = BlockReader().read(bilinear), RasterioReader().read(bilinear)
    for one, other in zip(by_blocks, by_gdal, strict=True):
        assert isinstance(one, ReadWindow)
        assert isinstance(other, ReadWindow)
        np.testing.assert_array_equal(one.valid, other.valid)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-5)


def test_answers_come_in_the_order_of_the_reads(tmp_path: Path) -> None:
    paths = [
        write_raster(tmp_path / f"{place}.tif", np.full((64, 64), place, np.uint8)) for place in (1, 2, 3)
    ]
    reads = [WindowRead((paths[place % 3],), grid_at(place * 10, 50)) for place in range(30)]

    answers = BlockReader().read(reads)

    assert [int(answer.values[0, 0]) for answer in answers if isinstance(answer, ReadWindow)] == [
        1,
        2,
        3,
    ] * 10


@pytest.mark.integration
@pytest.mark.parametrize("resampling", BOTH)
@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 0), ("float32", None)])
def test_window_holds_the_same_pixels_whatever_is_read_with_it(
    tmp_path: Path, resampling: Resampling, dtype: str, nodata: float | None
) -> None:
    values = random_values((200, 200), dtype, nodata=nodata)
    path = write_raster(tmp_path / "raster.tif", values, nodata=nodata)
    random = np.random.default_rng(0)
    places = random.integers(-10, 410, (1300, 2)) * 10.0 + random.choice([0, 1.7], (1300, 1))
    reads = [WindowRead((path,), grid_at(x, y, 10, 8, 6), resampling) for x, y in places]

    together = BlockReader().read(reads)

    for number in random.choice(len(reads), 25, replace=False):
        (alone,) = BlockReader().read([reads[number]])
        answer = together[number]
        assert isinstance(alone, ReadWindow)
        assert isinstance(answer, ReadWindow)
        np.testing.assert_array_equal(answer.values, alone.values)
        np.testing.assert_array_equal(answer.valid, alone.valid)


def test_reader_works_within_a_running_event_loop(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((64, 64)))
    read = WindowRead((path,), grid_at(0, 0))

    async def in_a_notebook() -> list[ReadWindow | ReadFailure]:
        return BlockReader().read([read])

    assert_same(asyncio.run(in_a_notebook())[0], read)


def test_damaged_block_fails_only_its_windows(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((64, 64)))
    good, bad = WindowRead((path,), grid_at(0, 0)), WindowRead((path,), grid_at(700, 700))
    wanted = expected(good)
    layout, _ = layout_of(path)
    with Path(path).open("r+b") as file:
        file.seek(int(layout.offsets[3]) + 20)
        file.write(b"\xff" * 40)

    answers = BlockReader().read([bad, good])

    assert answers[0] == ReadFailure(path, f"{path} can't be read: its block 3 is damaged.", transient=False)
    assert_same(answers[1], good, wanted)


def test_file_that_is_cut_off_fails_only_where_it_ends(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((64, 64)))
    good, bad = WindowRead((path,), grid_at(0, 0)), WindowRead((path,), grid_at(700, 700))
    wanted = expected(good)
    Path(path).write_bytes(Path(path).read_bytes()[:-30])

    answers = BlockReader().read([good, bad])

    assert_same(answers[0], good, wanted)
    reason = "the file ends before its block 3"
    assert answers[1] == ReadFailure(path, f"{path} can't be read: {reason}.", transient=False)


def test_missing_file_fails_only_its_windows(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "raster.tif", random_values((64, 64)))
    missing = str(tmp_path / "missing.tif")
    reads = [WindowRead((missing,), grid_at(0, 0)), WindowRead((path,), grid_at(0, 0))]

    answers = BlockReader().read([*reads, WindowRead((path, missing), grid_at(0, 0))])

    reason = f"{missing} can't be read: it does not exist."
    failure = ReadFailure(missing, reason, transient=False, refused=True)
    assert answers[0] == answers[2] == failure
    assert_same(answers[1], reads[1])


def test_what_the_engine_cant_read_goes_to_the_fallback(tmp_path: Path) -> None:
    readable = write_raster(tmp_path / "readable.tif", random_values((64, 64)))
    odd = write_raster(tmp_path / "odd.tif", random_values((64, 64), seed=1), compress="lzma")
    reads = [
        WindowRead((odd,), grid_at(30, 30)),
        WindowRead((readable,), grid_at(40, 40)),
        WindowRead((readable,), grid_at(0, 0, 45, 16, 16), Resampling.BILINEAR),
    ]
    reader = BlockReader(fallback=RasterioReader())

    check(reads[:2], reader)
    assert reader.fell_back == {odd: "its compression (34925) is not supported"}

    check(reads, reader)
    assert set(reader.fell_back) == {odd, readable}


def test_without_a_fallback_such_windows_fail(tmp_path: Path) -> None:
    odd = write_raster(tmp_path / "odd.tif", random_values((64, 64)), compress="lzma")

    (answer,) = BlockReader().read([WindowRead((odd,), grid_at(0, 0))])

    assert answer == ReadFailure(
        odd, f"{odd} can't be read: its compression (34925) is not supported.", transient=False
    )
