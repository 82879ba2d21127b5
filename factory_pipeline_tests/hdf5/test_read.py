"""Reading samples for training gives what h5py gives, in this process and in workers."""

import multiprocessing
import pickle
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.read import FusedDataset, describe, open_dataset
from factory_pipeline.hdf5.schema import Samples
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.hdf5.factories import made_samples


def test_a_sample_is_what_h5py_reads(written: Path) -> None:
    dataset = FusedDataset(written)
    assert len(dataset) == 12
    with h5py.File(written) as file:
        for index in range(12):
            sample = dataset[index]
            assert set(sample) == {"Sentinel-2 L2A", "WorldCover", "CopDEM", "label"}
            np.testing.assert_array_equal(sample.pop("label"), file["data/AGBD Values"][index])
            for name, values in sample.items():
                assert values.dtype == file["data"][name].dtype
                np.testing.assert_array_equal(values, file["data"][name][index])


@settings(max_examples=up_to(20), deadline=None)
@given(indices=st.lists(st.integers(-12, 11), max_size=20), threads=st.integers(1, 3))
def test_a_batch_is_the_samples_in_the_order_asked_for(
    written: Path, indices: list[int], threads: int
) -> None:
    dataset = FusedDataset(written, fields=["CopDEM", "CRS"], label="AGBD Raster", threads=threads)
    batch = dataset.read_batch(indices)
    with h5py.File(written) as file:
        for key, name in {"CopDEM": "CopDEM", "CRS": "CRS", "label": "AGBD Raster"}.items():
            stored = file["data"][name][:]
            np.testing.assert_array_equal(batch[key], stored[np.array(indices, dtype=int)])
    for sample, values in zip(dataset.__getitems__(indices), batch["label"], strict=True):
        np.testing.assert_array_equal(sample["label"], values)


def test_an_index_beyond_the_end(written: Path) -> None:
    with pytest.raises(IndexError):
        FusedDataset(written)[12]
    assert len(list(FusedDataset(written))) == 12


def test_a_transform_makes_the_sample(written: Path) -> None:
    dataset = FusedDataset(written, transform=_mean_altitude)
    assert [dataset[3], dataset[5]] == dataset.__getitems__([3, 5])
    with h5py.File(written) as file:
        assert dataset[3] == float(file["data/CopDEM"][3, 0].mean())


@pytest.mark.integration
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_the_same(written: Path, method: str) -> None:
    dataset = FusedDataset(written, transform=_mean_altitude)
    here = dataset.__getitems__(range(12))
    with multiprocessing.get_context(method).Pool(2) as workers:
        parts = workers.map(dataset.__getitems__, [range(0, 6), range(6, 12)])
    assert [value for part in parts for value in part] == here


def test_a_pickle_holds_no_samples(written: Path) -> None:
    dataset = FusedDataset(written)
    assert len(pickle.dumps(dataset)) < 1000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset))[2]["CopDEM"], dataset[2]["CopDEM"])


def test_a_file_that_is_replaced_while_it_is_read(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "dataset.h5"
    path.write_bytes(written.read_bytes())
    dataset = FusedDataset(path)
    before = dataset[11]["CopDEM"]
    write_dataset(path, made_samples(3, seed=9), Recipe(), "train")
    np.testing.assert_array_equal(dataset[11]["CopDEM"], before)


def test_an_unknown_field_is_named_with_the_known_ones(written: Path) -> None:
    with pytest.raises(DatasetFileError, match="no field 'NDVI'; it has Sentinel-2 L2A, WorldCover"):
        FusedDataset(written, fields=["NDVI"])


def test_a_damaged_sample_is_named(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    content = bytearray(written.read_bytes())
    with h5py.File(written) as file:
        chunk = file["data/CopDEM"].id.get_chunk_info_by_coord((4, 0, 0, 0))
    content[chunk.byte_offset + 100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DatasetFileError, match=r"Sample 4 of .*damaged.h5 is damaged in CopDEM"):
        FusedDataset(path)[4]


def test_an_empty_dataset_has_no_samples(tmp_path: Path) -> None:
    write_dataset(tmp_path / "empty.h5", Samples.empty(11, 32), Recipe(), "test")
    dataset = FusedDataset(tmp_path / "empty.h5")
    assert len(dataset) == 0
    assert dataset.__getitems__([]) == []
    summary = describe(tmp_path / "empty.h5")
    assert (summary.samples, summary.split, summary.agbd_range, summary.dates) == (0, "test", None, None)
    assert "Samples:  0" in str(summary)


def test_a_description_is_the_same_whatever_is_read_at_a_time(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = describe(written)
    monkeypatch.setattr("factory_pipeline.hdf5.read._READ", 5)
    assert describe(written) == at_once


def test_a_description_tells_what_is_in_the_file(written: Path, samples: Samples) -> None:
    summary = describe(written)
    agbd = samples.table["agbd"].to_numpy()
    assert summary.samples == 12
    assert summary.split == "train"
    assert summary.shapes["Sentinel-2 L2A"] == (12, 12, 32, 32)
    assert summary.agbd_range == (agbd.min(), agbd.max())
    assert summary.crs == {"EPSG:32640": 12}
    assert summary.recipe_hash == Recipe().digest()
    assert summary.dates is not None
    # 66 150 838 s after 2018-01-01 00:00.
    assert datetime(2020, 2, 5, 15, 13, 58) <= summary.dates[0] < summary.dates[1]
    assert "Acquired: 2020-02-05 to 2020-02-05" in str(summary)


def test_files_that_are_no_dataset_files(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetFileError, match="missing"), open_dataset(tmp_path / "none.h5"):
        pass
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DatasetFileError, match="truncated or not"), open_dataset(tmp_path / "text.h5"):
        pass
    (tmp_path / "half.h5").write_bytes(written.read_bytes()[: written.stat().st_size // 2])
    with pytest.raises(DatasetFileError, match="truncated"):
        describe(tmp_path / "half.h5")


def _mean_altitude(sample: dict[str, np.ndarray]) -> float:
    return float(sample["CopDEM"][0].mean())
