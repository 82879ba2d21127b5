"""Fusing: the same bytes however the samples are divided, and no batch passed over in silence."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory_pipeline.config.recipe import Recipe, Terrain
from factory_pipeline.errors import DatasetFileError, IncompleteBuildError
from factory_pipeline.hdf5.fuse import fuse_datasets
from factory_pipeline.hdf5.schema import Samples
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.hdf5.factories import made_samples, named_batch, part_of

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

SMALL = Recipe(window_size=8)


def write_batches(folder: Path, batches: Sequence[Samples]) -> list[Path]:
    """A batch file each, named as the samples' batch."""
    paths = []
    for number, batch in enumerate(batches):
        path = folder / f"train-{number:05d}.h5"
        write_dataset(path, named_batch(batch, path.stem), SMALL, "train")
        paths.append(path)
    return paths


@pytest.fixture
def three_batches(tmp_path: Path) -> list[Path]:
    return write_batches(tmp_path, [made_samples(count, seed=count, recipe=SMALL) for count in (3, 0, 2)])


def fuse(paths: Sequence[Path], expected: Sequence[int], **options) -> Path:
    output = paths[0].parent / "train_dataset.h5"
    fuse_datasets(paths, output, SMALL, "train", expected, **options)
    return output


@pytest.mark.integration
@settings(max_examples=up_to(6), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(0, 9), max_size=4))
def test_any_division_into_batches_gives_the_bytes_of_one(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    samples = made_samples(9, seed=1, recipe=SMALL)
    ends = [0, *sorted(cuts), 9]
    parts = [part_of(samples, start, stop) for start, stop in itertools.pairwise(ends)]
    divided = fuse(write_batches(tmp_path_factory.mktemp("divided"), parts), [len(part) for part in parts])
    one = tmp_path_factory.mktemp("one") / "one.h5"
    names = [f"train-{number:05d}" for number, part in enumerate(parts) for _ in range(len(part))]
    write_dataset(one, named_batch(samples, names), SMALL, "train")
    assert divided.read_bytes() == one.read_bytes()


def test_more_rows_than_a_table_chunk(tmp_path: Path) -> None:
    batches = [made_samples(count, seed=count, recipe=SMALL) for count in (700, 800)]
    with h5py.File(fuse(write_batches(tmp_path, batches), [700, 800])) as file:
        shots = file["data/GEDI Shot Number"][:, 0]
        assert shots.tolist() == [shot for batch in batches for shot in batch.table["shot_number"]]
        np.testing.assert_array_equal(file["data/WorldCover"][700:], batches[1].worldcover)


def test_chunks_are_copied_as_they_are(three_batches: list[Path]) -> None:
    with h5py.File(fuse(three_batches, [3, 0, 2])) as fused, h5py.File(three_batches[2]) as last:
        name = "data/Sentinel-2 L2A"
        assert fused[name].id.read_direct_chunk((4, 0, 0, 0)) == last[name].id.read_direct_chunk((1, 0, 0, 0))


def test_shuffling_moves_whole_samples_and_repeats_itself(three_batches: list[Path]) -> None:
    with h5py.File(fuse(three_batches, [3, 0, 2])) as file:
        in_order = {shot: sample for sample, shot in enumerate(file["data/GEDI Shot Number"][:, 0])}
        rasters, stats = file["data/CopDEM"][:], file["data/S2 SCL Stats"][:]
    shuffled = fuse(three_batches, [3, 0, 2], shuffle_seed=3)
    first = shuffled.read_bytes()
    with h5py.File(shuffled) as file:
        order = [in_order[shot] for shot in file["data/GEDI Shot Number"][:, 0]]
        np.testing.assert_array_equal(file["data/CopDEM"][:], rasters[order])
        np.testing.assert_array_equal(file["data/S2 SCL Stats"][:], stats[order])
    assert order != sorted(order)
    assert sorted(order) == list(range(5))
    assert fuse(three_batches, [3, 0, 2], shuffle_seed=3).read_bytes() == first


def test_shuffling_no_samples(tmp_path: Path) -> None:
    paths = write_batches(tmp_path, [made_samples(0, recipe=SMALL)])
    assert fuse(paths, [0], shuffle_seed=3).read_bytes() == fuse(paths, [0]).read_bytes()


def test_a_split_without_batches_is_an_empty_file(tmp_path: Path) -> None:
    assert fuse_datasets([], tmp_path / "fused.h5", SMALL, "test", []) == 0
    write_dataset(tmp_path / "empty.h5", Samples.empty(11, 8), SMALL, "test")
    assert (tmp_path / "fused.h5").read_bytes() == (tmp_path / "empty.h5").read_bytes()


def test_progress_is_told_after_each_batch(three_batches: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    fuse(three_batches, [3, 0, 2], on_batch=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_all_missing_batches_are_named(three_batches: list[Path]) -> None:
    three_batches[0].unlink()
    three_batches[2].unlink()
    with pytest.raises(IncompleteBuildError, match=r"2 of 3 .*\(train-00000, train-00002\)"):
        fuse(three_batches, [3, 0, 2])
    assert not (three_batches[0].parent / "train_dataset.h5").exists()


def test_truncated_and_foreign_files_are_named(three_batches: list[Path]) -> None:
    three_batches[0].write_bytes(three_batches[0].read_bytes()[:-100])
    with h5py.File(three_batches[1], "w") as foreign:
        foreign["values"] = [1, 2, 3]
    with pytest.raises(DatasetFileError, match=r"train-00000.*truncated.*train-00001.*not a dataset file"):
        fuse(three_batches, [3, 0, 2])
    assert not (three_batches[0].parent / "train_dataset.h5").exists()


def test_a_count_that_the_ledger_contradicts(three_batches: list[Path]) -> None:
    with pytest.raises(DatasetFileError, match=r"train-00002: It contains 2 samples, but .* have 7"):
        fuse(three_batches, [3, 0, 7])


def test_a_file_under_the_name_of_another_batch(three_batches: list[Path]) -> None:
    three_batches[2].write_bytes(three_batches[0].read_bytes())
    with pytest.raises(DatasetFileError, match="train-00002: It contains samples of train-00000"):
        fuse(three_batches, [3, 0, 3])


def test_a_batch_of_another_split(three_batches: list[Path]) -> None:
    write_dataset(three_batches[1], made_samples(0, recipe=SMALL), SMALL, "test")
    with pytest.raises(DatasetFileError, match="train-00001: It is of split test, not train"):
        fuse(three_batches, [3, 0, 2])


def test_a_batch_extracted_by_another_recipe(three_batches: list[Path]) -> None:
    steeper = SMALL.model_copy(update={"terrain": Terrain(max_slope=30)})
    write_dataset(three_batches[1], made_samples(0, recipe=SMALL), steeper, "train")
    with pytest.raises(DatasetFileError, match="train-00001: It was extracted by another recipe"):
        fuse(three_batches, [3, 0, 2])


def test_a_batch_of_a_larger_plan_still_fits(three_batches: list[Path]) -> None:
    larger = SMALL.with_sizes(dataset_size_max=10, batch_size=50)
    write_dataset(three_batches[1], made_samples(0, recipe=SMALL), larger, "train")
    with h5py.File(fuse(three_batches, [3, 0, 2])) as file:
        assert file.attrs["recipe_hash"] == SMALL.digest()


def test_a_batch_of_another_window(three_batches: list[Path]) -> None:
    write_dataset(three_batches[1], made_samples(0), Recipe(), "train")
    with pytest.raises(
        DatasetFileError, match=r"train-00001: Its schema differs: data/Sentinel-2 L2A is uint16 \(0, 12, 32"
    ):
        fuse(three_batches, [3, 0, 2])
