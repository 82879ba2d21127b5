"""The windows that a build reads from the sample archive, around the footprints of its granules."""

from pathlib import Path

import numpy as np
import rasterio

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import Resampling, WindowRead
from factory_pipeline.synthetic.granules import usable_footprints
from factory_pipeline.synthetic.mgrs import to_utm

SIZE = 32
UTM = 32633
"""The zone of the sample's area."""


def sample_reads(archive: Path, root: str = "", every: int = 1) -> list[WindowRead]:
    """All bands of every product, the DEM and the land cover at the footprints that a product shows.

    Args:
        archive: the sample archive's folder.
        root: address that it is served at; the folder itself by default.
        every: takes only every so manieth footprint.
    """
    reads: list[WindowRead] = []
    tiled = {
        Resampling.BILINEAR: _hrefs(archive, root, "cop-dem-glo-30/*.tif"),
        Resampling.NEAREST: _hrefs(archive, root, "esa-worldcover/*_2021_*.tif"),
    }
    for product in sorted((archive / "rasters/sentinel-2-l2a").iterdir()):
        bands = _hrefs(archive, root, f"sentinel-2-l2a/{product.name}/*.tif")
        for window in _windows(archive, next(product.glob("*_B02_10m.tif")), every):
            reads += [WindowRead((href,), window, _resampling(href)) for href in bands]
            reads += [WindowRead(hrefs, window.padded(1), resampling) for resampling, hrefs in tiled.items()]
    return reads


def _hrefs(archive: Path, root: str, pattern: str) -> tuple[str, ...]:
    paths = sorted((archive / "rasters").glob(pattern))
    return tuple(f"{root}/{path.relative_to(archive)}" if root else str(path) for path in paths)


def _resampling(href: str) -> Resampling:
    return Resampling.NEAREST if "_SCL_" in href else Resampling.BILINEAR


def _windows(archive: Path, band: Path, every: int) -> list[Grid]:
    """The windows of all granules' footprints on the pixels of a product, those inside of it."""
    with rasterio.open(band) as dataset:
        grid = Grid.from_transform(UTM, dataset.transform, dataset.width, dataset.height)
    windows = []
    for granule in sorted((archive / "granules").glob("*.h5")):
        footprints = usable_footprints(granule)[::every]
        x, y = to_utm(UTM, footprints["lon"].to_numpy(), footprints["lat"].to_numpy())
        rows = np.floor((grid.top - y) / 10).astype(int) - SIZE // 2
        columns = np.floor((x - grid.left) / 10).astype(int) - SIZE // 2
        windows += [
            grid.window(row, column, SIZE, SIZE)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if 0 <= row <= grid.height - SIZE and 0 <= column <= grid.width - SIZE
        ]
    return windows
