"""Rasters of manifests are read as they were when the version was made, or refused."""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio

from factory_pipeline.datasets.versions.media import MediaReader
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.layout import FactoryHome

VALUES = np.random.default_rng(0).integers(0, 900, (2, 8, 12)).astype(np.uint16)
ROWS = np.random.default_rng(1).integers(0, 900, (3, 2, 4, 4)).astype(np.uint16)


@pytest.fixture
def reader(tmp_path: Path) -> MediaReader:
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=2, height=8, width=12, dtype="uint16"
    ) as file:
        file.write(VALUES)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        options = {"chunks": (1, 2, 4, 4), "compression": "gzip", "shuffle": True}
        file.create_dataset("chunks", data=ROWS, **options)
        file.create_dataset("plain", data=ROWS)
        file.create_dataset("series", data=ROWS[:, None].repeat(3, axis=1))
    return MediaReader(FactoryHome(tmp_path))


def place(path: str, member: str | None = None, row: int | None = None, sha256: Any = None) -> dict[str, Any]:
    return {"path": path, "member": member, "row": row, "sha256": sha256}


def test_rasters_and_rows_have_their_bands_first(reader: MediaReader) -> None:
    np.testing.assert_array_equal(reader.read(place("a.tif")), VALUES)
    for member in ("chunks", "plain"):
        np.testing.assert_array_equal(reader.read(place("a.h5", member, 1)), ROWS[1])
    assert reader.read(place("a.h5", "series", 2)).shape == (6, 4, 4)
    small = reader.read_small(place("a.tif"), 4)
    np.testing.assert_allclose(small, VALUES.reshape(2, 4, 2, 4, 3).mean(axis=(2, 4)), atol=1)
    np.testing.assert_array_equal(reader.read_small(place("a.h5", "plain", 0), 2), ROWS[0])
    reader.close()


def test_what_has_changed_is_refused(reader: MediaReader, tmp_path: Path) -> None:
    digest = hashlib.sha256((tmp_path / "a.tif").read_bytes()).hexdigest()
    reader.check(place("a.tif", sha256=digest))
    np.testing.assert_array_equal(reader.read(place("a.tif", sha256=digest)), VALUES)
    with h5py.File(tmp_path / "a.h5") as file:
        chunk = file["chunks"].id.read_direct_chunk((2, 0, 0, 0))[1]
    row = hashlib.sha256(chunk).hexdigest()
    reader.check(place("a.h5", "chunks", 2, row))
    for wrong in (place("a.tif", sha256="0" * 64), place("a.h5", "chunks", 1, row)):
        for asked in (reader.read, reader.check):
            with pytest.raises(LakeError, match="has changed since the version was made"):
                asked(wrong)
    reader.close()


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (place("none.tif"), r"none\.tif is missing; restore it"),
        (place("b.tif"), r"b\.tif can't be read as a raster; restore it\.$"),
        (place("a.h5", "chunks", 3), "Can't read row 3 of 'chunks' in .*it has 3 rows"),
        (place("a.h5", "none", 0), "Can't read row 0 of 'none'"),
        (place("b.tif", "chunks", 0), "Can't read row 0 of 'chunks'"),
    ],
)
def test_what_can_not_be_read_is_told(reader: MediaReader, wanted: Any, told: str, tmp_path: Path) -> None:
    (tmp_path / "b.tif").write_text("no raster")
    with pytest.raises(LakeError, match=told):
        reader.read(wanted)
    reader.close()
