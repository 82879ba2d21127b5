"""One shard: its pairs, its fields at the mip that is needed, and what is refused."""

import h5py
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.errors import AlignerError, PairFileError
from factory_pipeline.volumes.fields.shards import MOST_PAIRS, PairRange, divide, is_finished, write_shard
from factory_pipeline_tests.volumes.fields.pairs import HERE, read, task_of, write_dataset, write_pairs

MEANS = f"{HERE}:mean_of_source"


def shard_of(task, pairs, folder):
    path = folder / pairs.file_name
    write_shard(task, task.aligner.load("cpu"), pairs, path)
    return path


@given(st.integers(0, 5000))
def test_every_pair_is_in_one_shard_the_remainder_too(pairs):
    shards = divide(pairs)
    covered = [pair for shard in shards for pair in range(shard.start, shard.stop)]
    assert covered == list(range(pairs))
    assert all(shard.stop - shard.start <= MOST_PAIRS for shard in shards)


def test_a_shard_is_a_file_that_h5py_alone_reads(tmp_path):
    task = task_of(write_pairs(tmp_path, 5), MEANS, src_mip=1, dst_mip=1)
    path = shard_of(task, PairRange(2, 5), tmp_path)
    assert path.name == "2_5.h5"
    with h5py.File(path) as file:
        main = file["main"]
        assert (main.shape, main.dtype, main.chunks) == ((3, 2, 12, 20), np.float32, (1, 2, 12, 20))
        assert (main.compression, main.scaleoffset) == ("lzf", 2)
        np.testing.assert_allclose(main[:, 0].mean(axis=(1, 2)), [3, 4, 5], atol=0.005)
        np.testing.assert_allclose(main[:, 1], 1, atol=0.005)


def test_residual_and_previous_field_are_composed(tmp_path):
    images = write_pairs(tmp_path, 1, (16, 16))
    ramp = np.broadcast_to(np.arange(16), (1, 2, 16, 16)) / 10
    previous = write_dataset(tmp_path / "previous.h5", ramp)
    task = task_of(images, MEANS, previous=previous)
    found = read(shard_of(task, PairRange(0, 1), tmp_path))[0]
    for row in range(16):
        for column in range(16):
            # The residual moves one pixel along the last axis, then the previous field there is added.
            there = min(column + 1, 15) / 10
            assert found[0, row, column] == pytest.approx(1 + there, abs=0.006)
            assert found[1, row, column] == pytest.approx(there, abs=0.006)


def test_fields_of_a_finer_mip_are_longer_and_cut_equally_on_all_sides(tmp_path):
    images = write_pairs(tmp_path, 1, (8, 12))
    ramp = np.zeros((1, 2, 8, 12))
    ramp[0, 1] = np.arange(8)[:, None]
    previous = write_dataset(tmp_path / "previous.h5", ramp)
    task = task_of(images, f"{HERE}:mean_of_source", previous=previous, src_mip=2, dst_mip=1)
    found = read(shard_of(task, PairRange(0, 1), tmp_path))[0]
    assert found.shape == (2, 8, 12)
    for row in range(8):
        # Row 4 + row of 16 fine rows; its centre in coarse pixels; the residual moves by 2 (the mip) more.
        centre = (4 + row + 0.5) / 2 - 0.5
        low = int(np.floor(centre))
        coarse = [2 + min(at + 2, 7) for at in (low, low + 1)]
        expected = 2 * (coarse[0] + (centre - low) * (coarse[1] - coarse[0]))
        assert found[1, row] == pytest.approx(expected, abs=0.006)
    assert found[0] == pytest.approx(2, abs=0.006)


def test_a_black_section_keeps_the_previous_field(tmp_path):
    pairs = np.ones((2, 2, 8, 8))
    pairs[0, 1] = 0
    images = write_dataset(tmp_path / "images.h5", pairs)
    previous = write_dataset(tmp_path / "previous.h5", np.full((2, 2, 8, 8), 0.5))
    task = task_of(images, MEANS, previous=previous)
    found = read(shard_of(task, PairRange(0, 2), tmp_path))
    assert found[0] == pytest.approx(0.5)
    assert found[1, 0] == pytest.approx(1.5)


def test_the_correlation_before_and_after_is_stored_beside_the_fields(tmp_path):
    pairs = np.random.default_rng(0).random((1, 2, 24, 24)) + 1
    pairs[0, 1, :, :-1] = pairs[0, 0, :, 1:]  # the target is the source one pixel further
    task = task_of(write_dataset(tmp_path / "images.h5", pairs), MEANS)
    before, after = read(shard_of(task, PairRange(0, 1), tmp_path), "correlation")[0]
    assert before < 0.5
    assert after == pytest.approx(1)


def test_a_stretch_of_sections_is_read_too(tmp_path):
    task = task_of(write_pairs(tmp_path, 2, name="img"), MEANS)
    assert read(shard_of(task, PairRange(0, 2), tmp_path)).shape == (2, 2, 12, 20)


@pytest.mark.parametrize(
    ("aligner", "message"),
    [("wrong_shape", "returned an array of shape"), ("not_finite", "not finite for pair 1 of .*images.h5")],
)
def test_what_is_not_a_field_is_refused_and_leaves_nothing(tmp_path, aligner, message):
    task = task_of(write_pairs(tmp_path, 2), f"{HERE}:{aligner}")
    with pytest.raises(AlignerError, match=message):
        shard_of(task, PairRange(1, 2), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["images.h5"]


def test_values_that_are_not_finite_are_named(tmp_path):
    pairs = np.ones((2, 2, 8, 8))
    pairs[1, 0, 0, 0] = np.nan
    task = task_of(write_dataset(tmp_path / "images.h5", pairs), MEANS)
    with pytest.raises(PairFileError, match=r"Pair 1 of .*images.h5 has values that are not finite"):
        shard_of(task, PairRange(0, 2), tmp_path)


def test_a_shard_of_another_task_is_not_taken_for_finished(tmp_path):
    images = write_pairs(tmp_path, 2)
    path = shard_of(task_of(images, MEANS), PairRange(0, 1), tmp_path)
    assert is_finished(task_of(images, MEANS), path)
    with pytest.raises(PairFileError, match=r"0_1.h5 is of other images, fields or aligners"):
        is_finished(task_of(images, MEANS, src_mip=1), path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dst_mip": 1}, "--dst_mip 1 must be at most --src_mip 0"),
        ({"shape": (13, None)}, "can't be 13 pixels long in x"),
        ({"shape": (None, 7), "src_mip": 1}, "cut out of 40 pixels, so 7 must be at most that and even"),
    ],
)
def test_fields_that_can_not_be_made_are_refused_before_the_first(tmp_path, options, message):
    with pytest.raises(PairFileError, match=message):
        task_of(write_pairs(tmp_path, 2), MEANS, **options)


def test_files_that_do_not_fit_are_named(tmp_path):
    images = write_pairs(tmp_path, 2)
    other = write_dataset(tmp_path / "previous.h5", np.zeros((1, 2, 12, 20)))
    with pytest.raises(
        PairFileError, match=r"previous.h5 have the shape \(1, 2, 12, 20\); .*\(2, 2, 12, 20\)"
    ):
        task_of(images, MEANS, previous=other)
    with pytest.raises(PairFileError, match=r"There is no file .*absent.h5"):
        task_of(tmp_path / "absent.h5", MEANS)
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(PairFileError, match=r"text.h5 is not an HDF5 file"):
        task_of(tmp_path / "text.h5", MEANS)
    flat = write_dataset(tmp_path / "flat.h5", np.zeros((2, 8, 8)))
    with pytest.raises(PairFileError, match=r"flat.h5 has no dataset 'main' or 'img' of the shape"):
        task_of(flat, MEANS)


def test_previous_fields_are_found_by_the_places_of_the_pairs_whatever_their_order(tmp_path):
    coarse, fine = tmp_path / "coarse", tmp_path / "fine"
    places = {0: (64, 32, 5), 1: (64, 32, 7), 2: (128, 32, 9)}
    for folder in (coarse, fine):
        folder.mkdir()
    coarse_task = task_of(
        write_set(coarse, (12, 20), [places[n] for n in (0, 1, 2)]), MEANS, src_mip=2, dst_mip=1
    )
    shard = shard_of(coarse_task, PairRange(0, 3), coarse)
    # The same centres at MIP 1, in another order, one of them rejected: 24 - 12 and 40 - 20 pixels less.
    images = write_set(fine, (12, 20), [tuple(np.add(places[n], (12, 20, 0)).tolist()) for n in (2, 0)])
    task = task_of(images, f"{HERE}:nothing", previous=shard, src_mip=1, dst_mip=1)
    assert task.previous_rows == (2, 0)
    found = read(shard_of(task, PairRange(0, 2), fine))
    np.testing.assert_allclose(found, read(shard)[[2, 0]], atol=0.006)
    other = write_set(fine, (12, 20), [(0, 0, 0)])
    with pytest.raises(PairFileError, match=r"no field of 1 pair of .*, such as pair 0, .* at 12, 20, 0"):
        task_of(other, MEANS, previous=shard, src_mip=1, dst_mip=1)


def write_set(folder, shape, starts):
    """Pairs with the table that says where they are: the tgt is the section before the src."""
    images = write_pairs(folder, len(starts), shape)
    rows = [
        {"row": row, "src_x": x, "src_y": y, "src_z": z, "tgt_x": x, "tgt_y": y, "tgt_z": z - 1}
        for row, (x, y, z) in enumerate(starts)
    ]
    pl.DataFrame([*rows, dict.fromkeys(rows[0])], schema=dict.fromkeys(rows[0], pl.Int64)).write_parquet(
        images.with_suffix(".pairs.parquet")
    )
    return images
