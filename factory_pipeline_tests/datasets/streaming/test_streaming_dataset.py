"""Samples of shards on a disk and on a web server, each once per epoch over ranks, kills and resumes."""

import gc
import json
import pickle
import sys
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory_pipeline.datasets.streaming import StreamingDataset, streaming_dataset
from factory_pipeline.errors import ArgumentError, DatasetFileError
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.datasets.streaming.chunks import write_chunks

SIZES = (7, 7, 6, 1, 9)
TOTAL = sum(SIZES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streamed")
    write_chunks(folder / "files" / "train", SIZES)
    return folder


@pytest.fixture(scope="module")
def train(root: Path) -> Path:
    return root / "files" / "train"


@pytest.fixture(autouse=True)
def small_blocks() -> Iterator[None]:
    """Three samples or so in a block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming_dataset, "BLOCK_BYTES", 400)
        yield


def numbers(items: Any) -> list[int]:
    """Which samples these are: their texts and arrays all say the same."""
    found = []
    for item in items:
        number = int(item["place"][0])
        assert item["name"] == f"bild å {number}"
        np.testing.assert_array_equal(item["image"], np.full((2, 4, 4), number, np.uint16))
        found.append(number)
    return found


def test_an_epoch_has_each_sample_once_and_the_next_another_order(train: Path) -> None:
    dataset = StreamingDataset(train)
    first, second = numbers(dataset), numbers(dataset)
    assert sorted(first) == sorted(second) == list(range(TOTAL))
    assert first != second != list(range(TOTAL))
    assert numbers(StreamingDataset(train)) == first
    assert numbers(StreamingDataset(train, mixed_blocks=0)) == list(range(TOTAL))
    third = StreamingDataset(train)
    third.set_epoch(1)
    assert numbers(third) == second


@pytest.mark.integration
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sessions=st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=4), min_size=1, max_size=8),
    seed=st.integers(0, 99),
)
def test_each_sample_comes_once_however_often_ranks_are_killed_and_others_resume(
    train: Path, sessions: list[list[int]], seed: int
) -> None:
    """A session has as many ranks as numbers; each is killed after so many samples."""
    read: list[int] = []
    states: list[Any] = []
    for stops in [*sessions, [TOTAL]]:
        kept = []
        for rank, stop in enumerate(stops):
            dataset = StreamingDataset(train, rank=rank, ranks=len(stops), seed=seed)
            if states:
                dataset.load_state_dict(json.loads(json.dumps(states)))
            if dataset.state_dict()["epoch"]:
                assert sorted(read) == list(range(TOTAL))
                return
            read += numbers(islice(dataset, stop))
            kept.append(dataset.state_dict())
        states = kept
    assert sorted(read) == list(range(TOTAL))


def test_one_state_is_enough_where_all_ranks_read_as_many(train: Path) -> None:
    ranks = [StreamingDataset(train, rank=rank, ranks=3) for rank in range(3)]
    read = [number for rank in ranks for number in numbers(islice(rank, 4))]
    later = [StreamingDataset(train, rank=rank, ranks=2) for rank in range(2)]
    for rank in later:
        rank.load_state_dict(ranks[1].state_dict())
    assert [len(rank) for rank in later] == [9, 9]
    read += [number for rank in later for number in numbers(rank)]
    assert sorted(read) == list(range(TOTAL))
    # A state at the end of an epoch begins the next.
    again = StreamingDataset(train)
    again.load_state_dict([rank.state_dict() for rank in later])
    assert sorted(numbers(again)) == list(range(TOTAL))
    assert again.state_dict()["epoch"] == 1


def test_more_ranks_than_samples_read_each_once_in_every_epoch(train: Path) -> None:
    ranks = [StreamingDataset(train, rank=rank, ranks=TOTAL + 5) for rank in range(TOTAL + 5)]
    for epoch in range(2):
        assert sorted(number for rank in ranks for number in numbers(rank)) == list(range(TOTAL))
        assert {rank.state_dict()["epoch"] for rank in ranks} == {epoch}


class IterableOfTorch(Iterable[Any]):
    """As `torch.utils.data.IterableDataset`, whose metaclass is that of abstract classes."""


def test_workers_of_a_loader_divide_what_is_of_their_rank(
    train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a worker of PyTorch, which says by this function which one it is."""
    read = []
    for rank in range(2):
        for worker in range(3):
            info = SimpleNamespace(id=worker, num_workers=3)
            torch = SimpleNamespace(get_worker_info=lambda info=info: info, IterableDataset=IterableOfTorch)
            monkeypatch.setitem(sys.modules, "torch.utils.data", torch)
            dataset = StreamingDataset(train, rank=rank, ranks=2)
            assert isinstance(dataset, IterableOfTorch)
            read += numbers(pickle.loads(pickle.dumps(dataset)))
    assert sorted(read) == list(range(TOTAL))
    dataset = StreamingDataset(train)
    assert len(list(islice(dataset, 2))) == 2
    monkeypatch.delitem(sys.modules, "torch.utils.data")
    with pytest.raises(ArgumentError, match="reader 0 of 1 can't go on for 2 of 3"):
        next(iter(dataset))


def test_fields_and_a_transform_are_chosen(train: Path) -> None:
    dataset = StreamingDataset(train, fields=["place"], transform=lambda item: float(item["place"][0]))
    assert sorted(dataset) == list(map(float, range(TOTAL)))
    assert [*next(iter(StreamingDataset(train, fields=["place"])))] == ["place"]
    item = next(iter(StreamingDataset(train)))
    item["image"][:] = 0  # a sample is the caller's to change


@pytest.mark.integration
def test_a_web_server_gives_the_same_in_the_same_order(root: Path, train: Path) -> None:
    earlier = set(threading.enumerate())
    with SampleServer(root) as server:
        dataset = StreamingDataset(f"{server.url}/files/train", ahead=3)
        assert numbers(dataset) == numbers(StreamingDataset(train))
        assert numbers(pickle.loads(pickle.dumps(dataset))) == numbers(dataset)
        with pytest.raises(
            DatasetFileError, match=r"validation/index\.json can't be read: it does not exist"
        ):
            StreamingDataset(f"{server.url}/files/validation")
        # What is let go of in the middle ends its thread, whatever it still fetches.
        assert len(numbers(islice(dataset, 2))) == 2
        started = set(threading.enumerate()) - earlier
        ours = [each for each in started if each.name == "fetch-shards"]
        assert ours
        del dataset
        gc.collect()
        for each in ours:
            each.join(10)
        assert not any(each.is_alive() for each in ours)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "chunk-0-0.bin",
            b"\x07\x00\x00\x00" + bytes(40),
            r"chunk-0-0\.bin can't be read: it is not the shard",
        ),
        ("chunk-0-0.bin", b"", r"chunk-0-0\.bin can't be read: it is empty"),
        ("chunk-0-0.bin", None, r"chunk-0-0\.bin can't be read: No such file"),
        ("index.json", b"[]", r"index\.json is no index of chunks"),
        ("index.json", b'{"splits": {}}', "name the folder of a split in an export as LitData"),
        ("index.json", None, r"index\.json can't be read: No such file"),
    ],
)
def test_files_that_are_damaged_are_named(
    tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    write_chunks(tmp_path / "train", (7, 2))
    path = tmp_path / "train" / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DatasetFileError, match=message):
        list(StreamingDataset(tmp_path / "train"))


def test_compressed_chunks_are_refused(tmp_path: Path) -> None:
    write_chunks(tmp_path / "train", (2,))
    index = json.loads((tmp_path / "train" / "index.json").read_text())
    index["config"]["compression"] = "zstd"
    (tmp_path / "train" / "index.json").write_text(json.dumps(index))
    with pytest.raises(DatasetFileError, match="chunks are compressed"):
        StreamingDataset(tmp_path / "train")


def test_an_index_leads_to_no_file_outside_its_folder(tmp_path: Path) -> None:
    write_chunks(tmp_path / "train", (2,))
    index = json.loads((tmp_path / "train" / "index.json").read_text())
    index["chunks"][0]["filename"] = "../private.bin"
    (tmp_path / "train" / "index.json").write_text(json.dumps(index))
    with pytest.raises(DatasetFileError, match="no name of a file in this folder"):
        StreamingDataset(tmp_path / "train")


def test_arguments_that_can_not_be_are_refused(train: Path) -> None:
    with pytest.raises(ArgumentError, match="0 to 1"):
        StreamingDataset(train, rank=2, ranks=2)
    with pytest.raises(ArgumentError, match="1 or more"):
        StreamingDataset(train, ahead=0)
    with pytest.raises(DatasetFileError, match="no field 'label'; it has name, place, image"):
        StreamingDataset(train, fields=["label"])
    dataset = StreamingDataset(train, rank=1, ranks=2)
    state = dataset.state_dict()
    for wrong, message in (
        ([state], "each must be given once"),
        ([state, state], "each must be given once"),
        ([], "at least one"),
        ([state, {**state, "epoch": 3}], "of one epoch"),
        ({**state, "samples": 4}, "it is of 4 samples"),
        ({"epoch": 1}, "what state_dict has returned"),
    ):
        with pytest.raises(ArgumentError, match=message):
            dataset.load_state_dict(wrong)
