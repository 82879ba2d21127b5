"""Shards of a folder, mapped into memory: runs are where the chunk says, and damage is told."""

from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.datasets.streaming.shard_source import MappedShards, Shard, offsets_of, unreadable
from factory_pipeline.errors import DatasetFileError
from factory_pipeline_tests.datasets.streaming.chunks import LAYOUT, write_chunks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_chunks(tmp_path / "train", [4, 2])
    return tmp_path / "train"


def shard_of(folder: Path, number: int, samples: int) -> Shard:
    path = folder / f"chunk-0-{number}.bin"
    return Shard(path.name, samples, path.stat().st_size)


def test_a_run_has_its_samples_in_their_order(folder: Path) -> None:
    source = MappedShards(folder)
    run = source.request(shard_of(folder, 0, 4), 1, 2).result()
    assert (run.first, len(run.starts)) == (1, 2)
    items = [LAYOUT.decode(run.content, int(start)) for start in run.starts]
    assert [item["name"] for item in items] == ["bild å 1", "bild å 2"]
    last = source.request(shard_of(folder, 1, 2), 1, 1).result()
    assert LAYOUT.decode(last.content, int(last.starts[0]))["place"][0] == 5


def test_the_index_is_read_and_one_that_is_not_there_told(folder: Path) -> None:
    assert MappedShards(folder).read_index("index.json").startswith(b"{")
    with pytest.raises(DatasetFileError, match=r"none\.json can't be read: No such file"):
        MappedShards(folder).read_index("none.json")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "it is empty"),
        (b"short", "it is not the shard that its index is of"),
    ],
)
def test_a_shard_that_can_not_be_read_fails_when_it_is_asked_for(
    content: bytes | None, says: str, folder: Path
) -> None:
    shard = shard_of(folder, 0, 4)
    (folder / shard.name).unlink()
    if content is not None:
        (folder / shard.name).write_bytes(content)
    future = MappedShards(folder).request(shard, 0, 1)
    with pytest.raises(DatasetFileError, match=says):
        future.result()


def test_offsets_are_those_of_the_index_and_rise(folder: Path) -> None:
    shard = shard_of(folder, 0, 4)
    content = (folder / shard.name).read_bytes()
    found = offsets_of(memoryview(content), shard, "a")
    assert len(found) == 5
    assert found[-1] == shard.bytes
    for other in (Shard("a", 3, shard.bytes), Shard("a", 4, shard.bytes + 1)):
        with pytest.raises(DatasetFileError, match="it is not the shard"):
            offsets_of(memoryview(content), other, "a")
    numbers = np.frombuffer(content[:24], "<u4").copy()
    numbers[2] = numbers[1] - 1
    with pytest.raises(DatasetFileError, match="where its samples are is damaged"):
        offsets_of(memoryview(numbers.tobytes() + content[24:]), shard, "a")


def test_an_address_is_told_without_its_credentials() -> None:
    told = str(unreadable("https://user:SECRET@host/a.bin?sig=SECRET", "it is gone"))
    assert told == "https://host/a.bin can't be read: it is gone."
