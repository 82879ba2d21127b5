"""Make the binary files of the corpus anew: `python -m factory_pipeline_tests.fuzz.make_corpus`."""

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import rasterio
import shapely
from affine import Affine
from rasterio.io import MemoryFile

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.builds.gedi.factories import NAME_2020, beam
from factory_pipeline_tests.datalake.ingest.factories import collection_of, picture, placed
from factory_pipeline_tests.hdf5.factories import made_samples
from factory_pipeline_tests.stac.small_snapshots import columns_of, write_table

CORPUS = Path(__file__).parent / "corpus"


def make(folder: Path) -> None:
    """Write all of them."""
    with h5py.File(folder / NAME_2020, "w", libver="latest") as file:
        group = file.create_group("BEAM0101")
        for name, values in beam(3).items():
            group[name] = values
    recipe = Recipe(window_size=8, sentinel2={"bands": ["B02", "B03", "B04"]})
    write_dataset(folder / "dataset.h5", made_samples(2, batch="dataset", recipe=recipe), recipe, "train")
    for name, profile in {
        "deflate.tif": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
        "strips.tif": {"compress": "lzw", "predictor": 2},
    }.items():
        _write_tiff(folder / name, **profile)
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", width=8, height=8, count=1, dtype="uint8") as image:
            image.write(np.arange(64, dtype=np.uint8).reshape(1, 8, 8) % 3)
        mask = bytes(memory.getbuffer())
    files = {
        "masks/a_mask.tif": mask,
        "images/a.tif": b"II*\0 not much",
        "labels/a.json": b'{"type": "Feature"}' * 9,
        "notes.txt": b"",
    }
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        for index, (name, content) in enumerate(files.items()):
            archive.writestr(
                zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED if index else zipfile.ZIP_STORED
            )
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {**files, "images/\N{LATIN SMALL LETTER E WITH ACUTE}.tif": b"x"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    (folder / "archive.tar").write_bytes(tar.getvalue())
    (folder / "archive.tar.gz").write_bytes(gzip.compress(tar.getvalue(), mtime=0))
    write_table(folder / "snapshot.parquet", columns_of([json.loads((folder / "item.json").read_bytes())]))
    _write_fields(folder / "fields.parquet")
    with tempfile.TemporaryDirectory() as scratch:
        home = FactoryHome(Path(scratch))
        registry = Registry.open(home.registry)
        collection = collection_of(registry, home, picture("one", 20), placed("two", size=20))
        (folder / "items.parquet").write_bytes(resolve(collection.items_path, home).read_bytes())
        registry.close()


def _write_fields(path: Path) -> None:
    rows = pl.read_csv(path.with_name("fields.csv")).with_columns(
        pl.col("surveyed").str.slice(0, 10).str.to_date()
    )
    points = shapely.to_wkb(shapely.points(rows["lon"].to_numpy(), rows["lat"].to_numpy()))
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    table = rows.drop("lon", "lat").with_columns(geometry=pl.Series(points, dtype=pl.Binary))
    table.write_parquet(path, metadata={"geo": json.dumps(about)})


def _write_tiff(path: Path, **profile: object) -> None:
    pixels = np.arange(2 * 32 * 32, dtype=np.uint16).reshape(2, 32, 32)
    place = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=32,
        height=32,
        count=2,
        dtype="uint16",
        crs="EPSG:32633",
        transform=place,
        nodata=0,
        **profile,
    ) as image:
        image.write(pixels)


if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    make(CORPUS)
