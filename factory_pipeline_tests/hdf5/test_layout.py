"""The frame of a dataset file: datasets without content, and attributes."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.hdf5.fields import Field
from factory_pipeline.hdf5.layout import FILE_ATTRIBUTES, TABLE_CHUNK, chunk_shape, lay_out
from factory_pipeline.version import __version__
from factory_pipeline_tests.hdf5.track_order import order_tracked

RASTER = Field(
    "data",
    "Image",
    np.dtype(np.uint16),
    (2, 8, 8),
    "Reflectance.",
    np.asarray,
    units=("1",),
    band_names=("B02", "B03"),
    nodata=0,
    attributes={"scale": 0.0001},
)
ROW = Field("provenance", "Time", np.dtype(np.float64), (), "Acquired.", np.asarray, units=("s", "days"))


class Recipe:
    """A recipe of which only the names are known."""

    def canonical_json(self) -> str:
        return "{}"

    def digest(self) -> str:
        return "whole"

    def extraction_digest(self) -> str:
        return "part"


def lay(path: Path, recipe: Recipe | None = None, length: int = 3) -> Path:
    with h5py.File(path, "w", track_order=False) as file:
        lay_out(file, (RASTER, ROW), length, recipe, "train")
    return path


def test_datasets_have_their_shape_chunks_and_attributes(tmp_path: Path) -> None:
    with h5py.File(lay(tmp_path / "a.h5")) as file:
        image, time = file["data/Image"], file["provenance/Time"]
        assert (image.shape, image.chunks, image.dtype) == ((3, 2, 8, 8), (1, 2, 8, 8), np.uint16)
        assert (time.shape, time.chunks) == ((3,), (TABLE_CHUNK,))
        assert (image.compression, image.shuffle) == ("gzip", True)
        assert image.attrs["description"] == "Reflectance."
        assert image.attrs["units"] == "1"
        assert list(time.attrs["units"]) == ["s", "days"]
        assert list(image.attrs["band_names"]) == ["B02", "B03"]
        assert image.attrs["nodata"].dtype == np.uint16
        assert image.attrs["scale"] == 0.0001
        assert "nodata" not in time.attrs


def test_the_recipe_is_stored_with_its_hashes_and_others_have_none(tmp_path: Path) -> None:
    with h5py.File(lay(tmp_path / "a.h5", Recipe())) as file:
        assert dict(file.attrs) == dict(
            zip(FILE_ATTRIBUTES, ("{}", "whole", "part", __version__, "train"), strict=True)
        )
    with h5py.File(lay(tmp_path / "b.h5")) as file:
        assert set(file.attrs) == {"software_version", "split"}


@pytest.mark.parametrize("length", [0, 3])
def test_the_same_content_gives_the_same_bytes(tmp_path: Path, length: int) -> None:
    one = lay(tmp_path / "a.h5", Recipe(), length)
    with order_tracked():
        other = lay(tmp_path / "b.h5", Recipe(), length)
    assert one.read_bytes() == other.read_bytes()


def test_a_raster_has_a_chunk_per_sample() -> None:
    assert chunk_shape(RASTER) == (1, 2, 8, 8)
    assert chunk_shape(ROW) == (TABLE_CHUNK,)
