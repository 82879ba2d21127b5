"""Names and layouts of files of pairs, as metroem's reader expects them."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.errors import PairFileError
from factory_pipeline.volumes import pair_files
from factory_pipeline.volumes.pair_files import Place


def test_names_are_those_that_metroem_looks_for() -> None:
    place = Place(1024, 0, 7)
    assert pair_files.image_name(place, 5) == "x1024_y0_z7_MIP5.h5"
    assert pair_files.image_name(place, 5, "west") == "x1024_y0_z7_MIP5_west.h5"
    assert pair_files.field_name(place, 5) == "field_0_x1024_y0_z7_MIP5_test.h5"
    assert pair_files.field_name(place, 4, stage=2, tag="fine") == "field_2_x1024_y0_z7_MIP4_fine.h5"
    # As its reader finds a set of images.
    assert re.search(r"x(\d+)_y(\d+)_z(\d+)_(.*)MIP(\d).h5", pair_files.image_name(place, 5))
    assert pair_files.metroem_faults(place, 5) == []


def test_a_name_that_metroem_does_not_find_is_said() -> None:
    faults = pair_files.metroem_faults(Place(-8, 0, -1), 10)
    assert [sentence.split(", and ")[1] for sentence in faults] == [
        "this one's is -8.",
        "this one's is -1.",
        "this one's is 10.",
    ]


def test_layouts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "images.h5", "w") as file:
        images = pair_files.create_images(file, 3, (20, 30))
        assert (images.shape, images.dtype, images.chunks) == ((3, 2, 20, 30), np.float32, (1, 1, 20, 30))
        assert (images.compression, images.scaleoffset, images.name) == ("lzf", None, "/main")
        assert pair_files.images_of(file) == images
    with h5py.File(tmp_path / "fields.h5", "w") as file:
        fields = pair_files.create_fields(file, 3, (20, 30))
        assert (fields.shape, fields.dtype, fields.chunks) == ((3, 2, 20, 30), np.float32, (1, 2, 20, 30))
        assert (fields.compression, fields.scaleoffset, fields.name) == ("lzf", 2, "/main")
        vectors = np.linspace(-3, 4, 1200, dtype=np.float32).reshape(2, 20, 30)
        fields[1] = vectors
    with h5py.File(tmp_path / "fields.h5") as file:
        fields = file["main"]
        np.testing.assert_allclose(fields[1], vectors, atol=0.01)
        assert not np.array_equal(fields[1], vectors)
        assert not fields[0].any()
    with h5py.File(tmp_path / "stretch.h5", "w") as file:
        assert pair_files.create_stretch(file, 2, 600).chunks == (1, 1, 512, 512)
        assert pair_files.images_of(file).name == "/img"
    with h5py.File(tmp_path / "small.h5", "w") as file:
        assert pair_files.create_stretch(file, 2, 64).chunks == (1, 1, 64, 64)


def test_a_file_without_pairs_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["main"] = np.zeros((3, 4))
        with pytest.raises(PairFileError, match=r"other.h5 has no dataset 'main' or 'img'"):
            pair_files.images_of(file)
