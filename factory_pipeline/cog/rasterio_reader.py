"""Reading windows by GDAL itself: reads all that GDAL opens, and is the reference for the block engine."""

import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from factory_pipeline.cog.byte_ranges import REFUSED_STATUS, local_path
from factory_pipeline.cog.gdal_warp import window_of
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.masks import side_mask
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, TakeAnswer, WindowRead, WindowReader
from factory_pipeline.cog.warp_raster import Cut, WarpRaster
from factory_pipeline.open_raster import open_raster
from factory_pipeline.redaction import display, gdal_logs

GDAL_OPTIONS = {
    # GDAL reads a small number as megabytes, rasterio passes it as bytes: 512 would be half a kilobyte.
    "GDAL_CACHEMAX": 256 * 2**20,
    # No listing of the folder and no search for side files: a file is opened with one request.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "VSI_CACHE": True,
    "VSI_CACHE_SIZE": 5_000_000,
    # Responses are cached while a file is open, not longer: else a server that was unavailable once stays so.
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": True,
    "GDAL_HTTP_MULTIPLEX": True,
    # Retries after 429 and 5xx, doubling the delay.
    "GDAL_HTTP_MAX_RETRY": 4,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 60,
}
GDAL_PREFIXES = {
    "http://": "/vsicurl/http://",
    "https://": "/vsicurl/https://",
    "s3://": "/vsis3/",
    "gs://": "/vsigs/",
    "az://": "/vsiaz/",
    "file://": "",
}
MASKS = {MaskFlags.per_dataset, MaskFlags.alpha}
"""In a raster with one of these flags another band than the first defines which pixels hold data."""
HTTP_STATUS = re.compile(r"HTTP (?:response|error) code\D*(\d{3})")
HTTP_BUSY = {408, 425, 429}


def no_signature(href: str) -> str:
    """Return the address unchanged: the signer of a source that needs no signature."""
    return href


class RasterioReader(WindowReader):
    """Reads windows with GDAL's warp; every file is opened once per call, many files at a time.

    Each window equals GDAL's warp of the asset with an exact transformer; pixels with the asset's own nodata
    value are left out. Where the window's pixels coincide with the asset's they are copied. Assets on one
    pixel grid are mosaicked before the warp.
    """

    def __init__(
        self,
        sign: Callable[[str], str] = no_signature,
        threads: int = 16,
        options: Mapping[str, object] | None = None,
        *,
        requester_pays: bool = False,
    ) -> None:
        """Create a reader.

        Args:
            sign: returns the signed address of an unsigned one; called once per file and call.
            threads: files read at a time.
            options: GDAL configuration that overrides GDAL_OPTIONS, such as other timeouts.
            requester_pays: whether requests to S3 say that their sender pays for the transfer.
        """
        self._sign = sign
        self._threads = threads
        payer = {"AWS_REQUEST_PAYER": "requester"} if requester_pays else {}
        self._options = {**GDAL_OPTIONS, **payer, **(options or {})}

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        """Read all windows; the answers are in the order of `reads`. A failed window fails alone."""
        answers: dict[int, ReadWindow | ReadFailure] = {}
        self.read_each(reads, answers.__setitem__)
        return [answers[index] for index in range(len(reads))]

    def read_each(self, reads: Sequence[WindowRead], take: TakeAnswer) -> None:
        """Read all windows; each is handed over as soon as the last of its files was read for it.

        Args:
            reads: any number.
            take: is given every answer once, in any order, by several threads at a time. What it raises ends
                the reading.
        """
        wanted: dict[str, list[int]] = {}
        for index, read in enumerate(reads):
            for href in dict.fromkeys(read.hrefs):
                wanted.setdefault(href, []).append(index)
        windows = _Windows(reads, take)
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(lambda href: self._cut(href, wanted[href], windows), wanted):
                pass

    def _cut(self, href: str, indices: Sequence[int], windows: "_Windows") -> None:
        """Add to each of these windows the part of one file that it needs."""
        with closing(self._parts(href, {index: windows.reads[index] for index in indices})) as parts:
            for index, part in parts:
                windows.add(index, href, part)

    def _parts(
        self, href: str, reads: Mapping[int, WindowRead]
    ) -> Generator[tuple[int, Cut | ReadFailure], None, None]:
        """Yield the index of each window, and the part of one file that it needs."""
        left = dict(reads)
        kinds = {index: (read.band, read.nodata, read.default_nodata) for index, read in reads.items()}
        try:
            with (
                gdal_logs.during(),
                rasterio.Env(**{**self._options, **_mask_options(href)}),
                open_raster(gdal_path(self._sign(href))) as dataset,
            ):
                for kind in dict.fromkeys(kinds.values()):
                    alike = [index for index in reads if kinds[index] == kind]
                    for number, cut in cut_windows(dataset, href, [reads[i].grid for i in alike], *kind):
                        del left[alike[number]]
                        yield alike[number], cut
        except RasterioError as error:
            lost = failure(href, error)
        except RasterioUnsupportedError as error:
            lost = ReadFailure(href, f"{display(href)} {error}.", transient=False)
        else:
            return
        for index in left:
            yield index, lost


class _Windows:
    """The windows of one call, which wait for the parts of their files."""

    def __init__(self, reads: Sequence[WindowRead], take: TakeAnswer) -> None:
        self.reads = reads
        self._take = take
        self._cuts: dict[int, dict[str, Cut | ReadFailure]] = {}
        self._counting = threading.Lock()

    def add(self, index: int, href: str, cut: Cut | ReadFailure) -> None:
        """Take the part of a file; hand the window over if it was the last."""
        read = self.reads[index]
        hrefs = dict.fromkeys(read.hrefs)
        with self._counting:
            cuts = self._cuts.setdefault(index, {})
            cuts[href] = cut
            if len(cuts) < len(hrefs):
                return
            del self._cuts[index]
        self._take(index, assemble(read, [cuts[each] for each in hrefs]))


def _mask_options(href: str) -> dict[str, object]:
    """Return the GDAL options that find a mask beside a local raster."""
    path = local_path(href)
    return {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"} if path is not None and side_mask(path) else {}


class RasterioUnsupportedError(Exception):
    """A raster that is not on a north-up grid; the message completes "<address> ..."."""


def gdal_path(href: str) -> str:
    """Return an address or path in GDAL's notation."""
    for prefix, replacement in GDAL_PREFIXES.items():
        if href.startswith(prefix):
            return replacement + href.removeprefix(prefix)
    return href


def cut_windows(
    dataset: rasterio.DatasetReader,
    href: str,
    windows: Sequence[Grid],
    band: int = 1,
    nodata: float | None = None,
    default_nodata: float | None = None,
) -> Iterator[tuple[int, Cut | ReadFailure]]:
    """Read the part of each window from an open raster, in the order of its blocks in the file.

    Args:
        dataset: the raster.
        href: its unsigned address.
        windows: on any grids.
        band: counted from 1.
        nodata: the value without data; None takes the one that the file states.
        default_nodata: the same of a file that states none.

    Yields:
        The index of each window, and its part.

    Raises:
        RasterioUnsupportedError: it has no such band, no CRS, or is not north-up.
    """
    if band > dataset.count:
        raise RasterioUnsupportedError(f"has {dataset.count} bands, not {band}")
    raster = describe(dataset)
    if nodata is not None:
        raster = replace(raster, nodata=nodata)
    elif raster.nodata is None:
        raster = replace(raster, nodata=default_nodata)
    reaches = raster.reaches(windows)
    parts = [raster.source_part(window, reach) for window, reach in zip(windows, reaches, strict=True)]
    block_rows, block_columns = dataset.block_shapes[band - 1]
    wanted: list[tuple[int, tuple[int, int, int, int]]] = []
    for index, part in enumerate(parts):
        if part is None:
            nothing = np.zeros((0, 0), dataset.dtypes[band - 1])
            yield index, Cut(raster, 0, 0, nothing)
        else:
            wanted.append((index, part))
    wanted.sort(key=lambda entry: (entry[1][0] // block_rows, entry[1][1] // block_columns))
    is_masked = not MASKS.isdisjoint(dataset.mask_flag_enums[band - 1])
    lost: ReadFailure | None = None
    for index, (row, column, rows, columns) in wanted:
        if lost:
            yield index, lost
            continue
        try:
            window = Window(column, row, columns, rows)
            values = dataset.read(band, window=window)
            mask = dataset.read_masks(band, window=window) > 0 if is_masked else None
        except RasterioError as error:
            unread = failure(href, error)
            # Each further block would wait for the same server again; a damaged block affects only its
            # windows.
            lost = unread if unread.transient else None
            yield index, unread
        else:
            yield index, Cut(raster, row, column, values, mask)


def describe(dataset: rasterio.DatasetReader) -> WarpRaster:
    """Return the grid and nodata value of an open raster.

    Raises:
        RasterioUnsupportedError: it has no CRS, or isn't north-up.
    """
    if dataset.crs is None:
        raise RasterioUnsupportedError("has no coordinate reference system")
    try:
        grid = Grid.from_transform(
            dataset.crs.to_epsg() or 0, dataset.transform, dataset.width, dataset.height
        )
    except ValueError as error:
        raise RasterioUnsupportedError("is rotated or not north-up") from error
    return WarpRaster(dataset.crs, grid, dataset.nodata)


def assemble(read: WindowRead, cuts: Sequence[Cut | ReadFailure]) -> ReadWindow | ReadFailure:
    """Return the window from the parts of its assets; a failure if one of them could not be read.

    Args:
        read: the window that is requested.
        cuts: one for each asset, the preferred one first.
    """
    whole: list[Cut] = []
    for cut in cuts:
        if isinstance(cut, ReadFailure):
            return cut
        whole.append(cut)
    return window_of(whole, read.grid, read.resampling)


def failure(href: str, error: BaseException) -> ReadFailure:
    """Return the failure of a read without GDAL's text, which contains the signed address.

    Args:
        href: of the raster, which may be signed; only its redacted form is in the failure.
        error: of rasterio or GDAL.

    Returns:
        Whether a retry or a new signature may help follows from the HTTP status or GDAL's text.
    """
    text = gdal_text(error)
    if status := HTTP_STATUS.search(text):
        code = int(status[1])
        return ReadFailure(
            href,
            f"{display(href)} responded with HTTP status {code}.",
            transient=code in HTTP_BUSY or code >= 500,
            refused=code in REFUSED_STATUS,
        )
    if "CURL error" in text:
        return ReadFailure(href, f"{display(href)} did not respond.", transient=True)
    if "No such file" in text:
        return ReadFailure(href, f"{display(href)} does not exist.", transient=False)
    if "Read error" in text and gdal_path(href).startswith("/vsi"):
        return ReadFailure(href, f"{display(href)} was truncated while it was read.", transient=True)
    return ReadFailure(href, f"{display(href)} is damaged or is not a raster.", transient=False)


def gdal_text(error: BaseException | None) -> str:
    """Return the messages of an error and of its causes."""
    messages = []
    while error is not None:
        messages.append(str(error))
        error = error.__cause__ or error.__context__
    return " ".join(messages)
