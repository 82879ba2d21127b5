"""A stretch of sections without a spec."""

from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.errors import ArgumentError, PairFileError, VolumeError
from factory_pipeline.volumes.stretch import Stretch, download_image
from factory_pipeline_tests.volumes.factories import halved, serve, texture, write_volume

IMAGE = texture((64, 64, 5))
IMAGE[..., 2] = 0
MASK = np.zeros((64, 64, 5), np.uint8)
MASK[10:30, 20:26, 3] = 2
MASK[40:, 40:, 3] = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stretch")
    write_volume(folder / "image", {0: IMAGE, 1: halved(IMAGE)})
    write_volume(folder / "mask", {0: MASK, 1: halved(MASK)})
    return folder


def test_pairs_of_neighbours_with_masked_defects(folder: Path, tmp_path: Path) -> None:
    stretch = Stretch(str(folder / "image"), 4, 8, 1, 5, str(folder / "mask"), mask_value=2)
    path = download_image(stretch, 0, 40, tmp_path)
    assert path.name == "x4_y8_z1_MIP0.h5"
    with h5py.File(path) as file:
        images = file["img"]
        assert (images.shape, images.dtype, images.chunks) == ((4, 2, 40, 40), np.float32, (1, 1, 40, 40))
        cut = np.where(MASK >= 2, 0, IMAGE)[4:44, 8:48]
        for row, z in enumerate(range(1, 5)):
            np.testing.assert_array_equal(images[row, 0], cut[..., z])
            np.testing.assert_array_equal(images[row, 1], cut[..., z - 1])
    table = pl.read_parquet(tmp_path / "x4_y8_z1_MIP0.pairs.parquet")
    assert table.select("row", "src_z", "tgt_z", "split").rows()[1] == (1, 2, 1, "train")
    assert table["src_masked"].to_list() == [0, 0, 20 * 6 / 1600, 0]
    assert table["src_black"][1] == 1


def test_other_mips_and_sizes_in_chunks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory_pipeline.volumes.pair_files.LARGEST_CHUNK", 12)
    stretch = Stretch(str(folder / "image"), 8, 4, 4, 5, suffix="west")
    path = download_image(stretch, 1, 20, tmp_path)
    assert path.name == "x8_y4_z4_MIP1_west.h5"
    with h5py.File(path) as file:
        assert file["img"].chunks == (1, 1, 12, 12)
        np.testing.assert_array_equal(file["img"][0, 1], halved(IMAGE)[4:24, 2:22, 3])


@pytest.mark.integration
def test_each_section_is_read_once(folder: Path, tmp_path: Path) -> None:
    with serve(folder) as server:
        download_image(Stretch(f"{server.url}/image", 0, 0, 1, 5), 0, 64, tmp_path, parallel=3)
        assert len(server.chunks()) == 5 * 16
        assert set(server.chunks().values()) == {1}


def test_finished_files_are_left_and_others_are_not_overwritten(folder: Path, tmp_path: Path) -> None:
    stretch = Stretch(str(folder / "image"), 0, 0, 1, 3)
    path = download_image(stretch, 0, 16, tmp_path)
    before = path.stat().st_mtime_ns
    assert download_image(stretch, 0, 16, tmp_path).stat().st_mtime_ns == before
    with pytest.raises(PairFileError, match=r"x0_y0_z1_MIP0\.h5 exists"):
        download_image(Stretch(str(folder / "image"), 0, 0, 1, 4), 0, 16, tmp_path)
    with pytest.raises(PairFileError, match=r"x0_y0_z1_MIP0\.h5 exists"):
        download_image(stretch, 0, 32, tmp_path)


def test_what_is_not_allowed(folder: Path, tmp_path: Path) -> None:
    image = str(folder / "image")
    with pytest.raises(ArgumentError, match="z_end is 3; it must be greater than z_start, 3"):
        download_image(Stretch(image, 0, 0, 3, 3), 0, 16, tmp_path)
    with pytest.raises(ArgumentError, match="y_offset is 5; it must be a multiple of 2"):
        download_image(Stretch(image, 4, 5, 1, 3), 1, 16, tmp_path)
    with pytest.raises(VolumeError, match=r"z -1: z -1\.\.0 of 0\.\.5 at MIP 0"):
        download_image(Stretch(image, 0, 0, 0, 3), 0, 16, tmp_path)
    with pytest.raises(VolumeError, match="has no MIP 2"):
        download_image(Stretch(image, 0, 0, 1, 3), 2, 16, tmp_path)
    assert list(tmp_path.iterdir()) == []
    filled = download_image(Stretch(image, 56, 0, 0, 1), 0, 16, tmp_path, fill_missing=True)
    with h5py.File(filled) as file:
        np.testing.assert_array_equal(file["img"][0, 0, :8], IMAGE[56:, :16, 0])
        assert not file["img"][0, 0, 8:].any()
        assert not file["img"][0, 1].any()
