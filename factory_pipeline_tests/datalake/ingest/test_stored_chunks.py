"""Chunks read by position are what h5py reads."""

from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.datalake.ingest.stored_chunks import SAMPLES_PER_TASK, StoredChunks
from factory_pipeline.errors import LakeError

COUNT = SAMPLES_PER_TASK + 3
VALUES = np.random.default_rng(0).integers(0, 9, (COUNT, 2, 4, 4)).astype(np.uint16)


def stored(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("data/S2", data=VALUES, chunks=(1, 2, 4, 4), shuffle=True, compression="gzip")
    return path


def test_values_and_hashes_are_those_of_the_chunks(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.h5")
    rows = range(1, COUNT)
    with h5py.File(path) as file, StoredChunks(path, file, ["data/S2"]) as chunks:
        found = chunks.map_values("data/S2", rows, np.copy)
        hashes = chunks.hashes("data/S2", range(2))
        raw = [file["data/S2"].id.read_direct_chunk((row, 0, 0, 0))[1] for row in range(2)]
    np.testing.assert_array_equal(found, VALUES[1:])
    assert hashes == [sha256(chunk).hexdigest() for chunk in raw]


def test_a_chunk_that_can_not_be_decoded_names_its_sample(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.h5")
    with h5py.File(path) as file:
        place = file["data/S2"].id.get_chunk_info(5)
    content = bytearray(path.read_bytes())
    content[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    path.write_bytes(content)
    row = place.chunk_offset[0]
    with (
        h5py.File(path) as file,
        StoredChunks(path, file, ["data/S2"]) as chunks,
        pytest.raises(LakeError, match=rf"Sample {row} of .*a\.h5 is damaged"),
    ):
        chunks.map_values("data/S2", range(COUNT), np.copy)


def test_a_chunk_that_is_missing_names_its_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = {"chunks": (1, 2, 4, 4), "shuffle": True, "compression": "gzip"}
        file.create_dataset("data/S2", (3, 2, 4, 4), "u2", **made)[0] = 1
    with (
        h5py.File(path) as file,
        StoredChunks(path, file, ["data/S2"]) as chunks,
        pytest.raises(LakeError, match=r"a\.h5 is damaged: data/S2 lacks the chunk of sample 1"),
    ):
        chunks.hashes("data/S2", range(3))


def test_a_chunk_without_its_filters_counts_as_missing(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["data/S2"].id.write_direct_chunk((1, 0, 0, 0), VALUES[1].tobytes(), filter_mask=1)
    with (
        h5py.File(path) as file,
        StoredChunks(path, file, ["data/S2"]) as chunks,
        pytest.raises(LakeError, match="lacks the chunk of sample 1"),
    ):
        chunks.hashes("data/S2", range(3))


def test_a_raster_that_is_stored_otherwise_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/S2", (3, 2, 4, 4), "u2", chunks=(1, 2, 4, 4))[0] = 1
    with h5py.File(path) as file, pytest.raises(LakeError, match=r"a\.h5 is damaged"):
        StoredChunks(path, file, ["data/S2"])
