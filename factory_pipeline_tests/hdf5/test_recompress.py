"""A dataset file whose rasters are stored in another way holds the same, and is read the same."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.codec import Compression
from factory_pipeline.hdf5.fuse import fuse_datasets
from factory_pipeline.hdf5.read import FusedDataset, describe
from factory_pipeline.hdf5.recompress import ALIGNMENT, recompress
from factory_pipeline.hdf5.verify import check_dataset
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples

COUNT = 9
BATCH = "train-00000-0a1b2c3d"


@pytest.fixture(scope="module")
def deflated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deflated") / f"{BATCH}.h5"
    write_dataset(path, made_samples(COUNT, BATCH), Recipe(), "train")
    return path


@pytest.fixture(scope="module", params=list(Compression))
def stored(request: pytest.FixtureRequest, deflated: Path) -> tuple[Compression, Path]:
    """The file in each compression."""
    path = deflated.with_name(f"{request.param}.h5")
    assert recompress(deflated, path, request.param) == COUNT
    return request.param, path


def test_samples_in_any_order_are_the_same(deflated: Path, stored: tuple[Compression, Path]) -> None:
    names = ("Sentinel-2 L2A", "WorldCover", "CopDEM", "AGBD Raster")
    one, other = FusedDataset(deflated, names), FusedDataset(stored[1], names)
    for wanted in ([3], [8, 0, 8, 2], [], range(COUNT), [-1, -COUNT]):
        expected, found = one.read_batch(wanted), other.read_batch(wanted)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values)
    found["Sentinel-2 L2A"][:] = 0  # a batch is a copy: it is the caller's to change
    np.testing.assert_array_equal(other[0]["Sentinel-2 L2A"], one[0]["Sentinel-2 L2A"])
    with pytest.raises(IndexError, match="there is no sample 9; the file has 9 samples"):
        other[COUNT]


@pytest.mark.integration
def test_every_dataset_and_attribute_is_the_same(deflated: Path, stored: tuple[Compression, Path]) -> None:
    compression, path = stored
    with h5py.File(deflated) as one, h5py.File(path) as other:
        names: list[str] = []
        one.visit(names.append)
        found: list[str] = []
        other.visit(found.append)
        assert found == names
        assert attributes_of(other) == attributes_of(one)
        for name in names:
            assert attributes_of(other[name]) == attributes_of(one[name])
            if not isinstance(one[name], h5py.Dataset):
                continue
            assert (other[name].shape, other[name].dtype) == (one[name].shape, one[name].dtype)
            if compression is not Compression.ZSTD or name != "data/CopDEM":
                continue
            # What h5py reads with hdf5plugin: the bytes of a chunk are shuffled and then a frame of zstd.
            chunk = imagecodecs.zstd_decode(other[name].id.read_direct_chunk((2, 0, 0, 0))[1])
            shuffled = np.frombuffer(chunk, np.uint8).reshape(4, -1)
            np.testing.assert_array_equal(shuffled.T.copy().view("f4").ravel(), one[name][2].ravel())
        if compression is not Compression.ZSTD:
            for name in names:
                if isinstance(one[name], h5py.Dataset):
                    np.testing.assert_array_equal(other[name][:], one[name][:])


def attributes_of(node: h5py.Group | h5py.Dataset) -> dict[str, str]:
    """As text, in which NaN equals NaN."""
    return {name: repr(value) for name, value in node.attrs.items()}


def test_all_checks_of_a_file_pass(stored: tuple[Compression, Path]) -> None:
    assert [each.name for each in check_dataset(stored[1]) if not each.passed] == []
    assert describe(stored[1]).samples == COUNT


@pytest.mark.integration
def test_the_same_file_gives_the_same_bytes_and_deflate_is_as_before(
    deflated: Path, stored: tuple[Compression, Path], tmp_path: Path
) -> None:
    compression, path = stored
    recompress(deflated, tmp_path / "again.h5", compression)
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()
    recompress(path, tmp_path / "back.h5", Compression.DEFLATE)
    recompress(deflated, tmp_path / "deflated.h5", Compression.DEFLATE)
    assert (tmp_path / "back.h5").read_bytes() == (tmp_path / "deflated.h5").read_bytes()


def test_uncompressed_rasters_begin_at_a_page(deflated: Path, tmp_path: Path) -> None:
    recompress(deflated, tmp_path / "plain.h5", Compression.NONE)
    with h5py.File(tmp_path / "plain.h5") as file:
        assert file["data/Sentinel-2 L2A"].id.get_offset() % ALIGNMENT == 0


@pytest.mark.integration
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_and_threads_read_an_uncompressed_file(deflated: Path, tmp_path: Path, method: str) -> None:
    recompress(deflated, tmp_path / "plain.h5", Compression.NONE)
    dataset = FusedDataset(tmp_path / "plain.h5", threads=1)
    expected = [sample["CopDEM"].tobytes() for sample in dataset]
    with get_context(method).Pool(2) as pool:
        assert pool.map(_copdem, [(pickle.dumps(dataset), number) for number in range(COUNT)]) == expected
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda number: dataset[number % COUNT]["CopDEM"].tobytes(), range(80))
        assert list(found) == (expected * 9)[:80]


def _copdem(asked: tuple[bytes, int]) -> bytes:
    pickled, number = asked
    content: bytes = pickle.loads(pickled)[number]["CopDEM"].tobytes()
    return content


def test_a_file_that_is_cut_short_is_named(deflated: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.h5"
    recompress(deflated, path, Compression.NONE)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(DatasetFileError, match=r"plain\.h5 is truncated"):
        FusedDataset(path)


def test_no_samples_stay_none(tmp_path: Path) -> None:
    write_dataset(tmp_path / "empty.h5", made_samples(0), Recipe(), "train")
    assert recompress(tmp_path / "empty.h5", tmp_path / "plain.h5", Compression.NONE) == 0
    assert len(FusedDataset(tmp_path / "plain.h5")) == 0


def test_what_can_not_be_done_is_said(deflated: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetFileError, match="can't be written over itself"):
        recompress(deflated, deflated, Compression.NONE)
    recompress(deflated, tmp_path / f"{BATCH}.h5", Compression.NONE)
    with pytest.raises(DatasetFileError, match="rasters are not deflated"):
        fuse_datasets([tmp_path / f"{BATCH}.h5"], tmp_path / "fused.h5", Recipe(), "train", [COUNT])
    assert not (tmp_path / "fused.h5").exists()
