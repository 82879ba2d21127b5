"""Samples of an exported split, streamed from a disk, a web server or a bucket for training."""

import json
import os
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datasets.streaming.chunk_layout import ItemLayout
from factory_pipeline.datasets.streaming.epoch_order import Positions, epoch_order, remaining, stretch_of
from factory_pipeline.datasets.streaming.shard_source import MappedShards, Run, Shard, ShardSource
from factory_pipeline.errors import ArgumentError, DatasetFileError
from factory_pipeline.extras import extras_named
from factory_pipeline.redaction import redact

INDEX = "index.json"
BLOCK_BYTES = 1 << 20
"""About so much is fetched at once."""

Item = dict[str, Any]
State = Mapping[str, Any]
"""JSON: `seed`, `epoch`, `samples`, `rounds`, `consumers`, `consumer` and `read`."""


class StreamingDataset:
    """The samples of a split that was exported as LitData, each once per epoch over all ranks and workers.

    An iterable dataset as `torch.utils.data.DataLoader` takes it, where PyTorch is imported before the
    dataset is made; needs no PyTorch. Blocks of about 1 MiB come in random order and are fetched ahead; the
    samples of some blocks are mixed. What was read is known at any time (`state_dict`), and an epoch goes on
    from there, also with another number of ranks or workers.

    Workers may be forked or spawned; with an address of a server or a bucket they must be spawned.
    """

    def __init__(
        self,
        address: str | Path,
        fields: Sequence[str] | None = None,
        transform: Callable[[Item], Any] | None = None,
        *,
        rank: int = 0,
        ranks: int = 1,
        seed: int = 0,
        mixed_blocks: int = 16,
        ahead: int = 8,
    ) -> None:
        """Read the index of the shards.

        Args:
            address: the folder of a split, such as `out/train`, `https://host/out/train`, `s3://bucket/train`,
                `gs://bucket/train` or `az://container/train`.
            fields: keys of a sample, by their names in the index; None for all.
            transform: applied to every sample; what it returns is the sample then.
            rank: which of `ranks` processes this is.
            ranks: processes that share an epoch.
            seed: of the order, the same in all ranks.
            mixed_blocks: so many blocks are in memory, and mixed; 0 keeps the order of the samples.
            ahead: blocks that are fetched before they are needed.

        Raises:
            ArgumentError: there is no such rank, or a number is negative.
            DatasetFileError: the index can't be read, is damaged, or lacks a field.
        """
        if not 0 <= rank < ranks:
            raise ArgumentError("rank", rank, f"of {ranks} ranks it is 0 to {ranks - 1}")
        for name, value, least in (("mixed_blocks", mixed_blocks, 0), ("ahead", ahead, 1), ("seed", seed, 0)):
            if value < least:
                raise ArgumentError(name, value, f"it must be {least} or more")
        if (torch := sys.modules.get("torch.utils.data")) is not None:
            # Its DataLoader iterates over what is an instance of this, and indexes all else.
            torch.IterableDataset.register(StreamingDataset)
        self._address = str(address)
        self._transform = transform
        self._rank, self._ranks = rank, ranks
        self._seed, self._mixed, self._ahead = seed, mixed_blocks, ahead
        self._source: ShardSource | None = None
        self._process = os.getpid()
        self._shards, self._layout = self._read_index()
        self._fields = tuple(fields) if fields is not None else self._layout.names
        if unknown := [name for name in self._fields if name not in self._layout.names]:
            there = ", ".join(self._layout.names)
            raise DatasetFileError(f"{redact(self._address)} has no field {unknown[0]!r}; it has {there}.")
        self._shard_of_block, self._first_of_block, self._blocks = _divide(self._shards)
        self._samples = sum(self._blocks)
        self._epoch = 0
        self._rounds: list[list[int]] = []
        self._read = 0
        self._is_read = False
        """Whether this consumer has come to the end of the epoch."""
        self._consumer, self._consumers = rank, ranks

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_source": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._process = os.getpid()

    def __len__(self) -> int:
        """Return how many samples this rank reads, of the epoch or of what is left of one that goes on."""
        return len(stretch_of(self._sequence(), self._rank, self._ranks))

    def __iter__(self) -> Iterator[Any]:
        """Yield what this rank, or this worker of it, has not read yet of the epoch; then the next epoch.

        Raises:
            DatasetFileError: a shard can't be read or is damaged.
            ArgumentError: part of the epoch was read by another number of workers.
        """
        consumer = self._this_consumer()
        if self._is_read:
            self.set_epoch(self._epoch + 1)
        if self._read and consumer != (self._consumer, self._consumers):
            now, before = f"{consumer[0]} of {consumer[1]}", f"{self._consumer} of {self._consumers}"
            raise ArgumentError(
                "rank", self._rank, f"reader {now} can't go on for {before}: load_state_dict divides anew"
            )
        self._consumer, self._consumers = consumer
        mine = stretch_of(self._sequence(), self._consumer, self._consumers)
        for item in self._items(mine[self._read :]):
            self._read += 1
            yield item if self._transform is None else self._transform(item)
        self._is_read = True

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, all of it: needed where workers are started anew for each.

        Args:
            epoch: from 0.
        """
        self._epoch, self._rounds, self._read, self._is_read = epoch, [], 0, False

    def state_dict(self) -> dict[str, Any]:
        """Return what was read so far, as JSON: of this rank, or in a worker, of this worker."""
        return {
            "seed": self._seed,
            "epoch": self._epoch,
            "samples": self._samples,
            "rounds": [list(counts) for counts in self._rounds],
            "consumers": self._consumers,
            "consumer": self._consumer,
            "read": self._read,
        }

    def load_state_dict(self, state: State | Sequence[State]) -> None:
        """Go on where an epoch stopped, with any number of ranks and workers.

        Args:
            state: those of all ranks (and workers); or one of them, if all had read as many samples.

        Raises:
            ArgumentError: the states aren't those of one epoch of these samples, or one is missing.
        """
        states = [state] if isinstance(state, Mapping) else list(state)
        if not states:
            raise ArgumentError("state", state, "at least one is needed")
        shared = ("seed", "epoch", "samples", "rounds", "consumers")
        if any(key not in each for each in states for key in (*shared, "consumer", "read")):
            raise ArgumentError("state", state, "it must be what state_dict has returned")
        if any(each[key] != states[0][key] for each in states for key in shared):
            raise ArgumentError("state", state, "all must be of one epoch, and of as many ranks and workers")
        first = states[0]
        if first["samples"] != self._samples:
            told = f"it is of {first['samples']:,} samples, and here are {self._samples:,}"
            raise ArgumentError("state", state, told)
        consumers = int(first["consumers"])
        read = {int(each["consumer"]): int(each["read"]) for each in states}
        if isinstance(state, Mapping):
            read = dict.fromkeys(range(consumers), int(first["read"]))
        if sorted(read) != list(range(consumers)) or (len(states) != len(read) and len(states) > 1):
            told = f"it is of {consumers} ranks and workers, of which each must be given once"
            raise ArgumentError("state", state, told)
        self._seed = int(first["seed"])
        self.set_epoch(int(first["epoch"]))
        self._rounds = [list(counts) for counts in first["rounds"]] + [[read[each] for each in sorted(read)]]
        if not len(self._sequence()):
            self.set_epoch(self._epoch + 1)

    def _sequence(self) -> Positions:
        """Return what was left of the epoch when this round began."""
        return remaining(epoch_order(self._blocks, self._seed, self._epoch, self._mixed), self._rounds)

    def _this_consumer(self) -> tuple[int, int]:
        torch = sys.modules.get("torch.utils.data")
        worker = torch.get_worker_info() if torch is not None else None
        if worker is None:
            return self._rank, self._ranks
        return self._rank * worker.num_workers + worker.id, self._ranks * worker.num_workers

    def _items(self, wanted: Positions) -> Iterator[Item]:
        """Yield samples in the given order; a block is fetched ahead, and kept until its last sample."""
        starts = np.cumsum(self._blocks) - self._blocks
        block_of = np.searchsorted(starts, wanted, side="right") - 1
        found, first_use, places = np.unique(block_of, return_index=True, return_inverse=True)
        least, most = np.full(len(found), self._samples), np.zeros(len(found), np.int64)
        np.minimum.at(least, places, wanted)
        np.maximum.at(most, places, wanted)
        uses = np.bincount(places, minlength=len(found)).tolist()
        coming = iter(np.argsort(first_use).tolist())
        requested: deque[Future[Run]] = deque()
        runs: dict[int, Run] = {}

        def request_next() -> None:
            place = next(coming, None)
            if place is not None:
                block = int(found[place])
                shift = int(self._first_of_block[block] - starts[block])
                shard = self._shards[int(self._shard_of_block[block])]
                ends = int(least[place]) + shift, int(most[place]) + shift
                requested.append(self._open_source().request(shard, *ends))

        for _ in range(self._ahead):
            request_next()
        for sample, block, place in zip(wanted.tolist(), block_of.tolist(), places.tolist(), strict=True):
            if place not in runs:
                # Blocks are requested in the order in which their first samples are needed.
                runs[place] = requested.popleft().result()
                request_next()
            run = runs[place]
            in_shard = sample + int(self._first_of_block[block] - starts[block])
            try:
                item = self._layout.decode(run.content, int(run.starts[in_shard - run.first]), self._fields)
            except ValueError as error:
                name = self._shards[int(self._shard_of_block[block])].name
                raise DatasetFileError(f"{redact(self._address)}/{name} is damaged: {error}.") from error
            uses[place] -= 1
            if not uses[place]:
                del runs[place]
            yield item

    def _read_index(self) -> tuple[list[Shard], ItemLayout]:
        content = self._open_source().read_index(INDEX)
        try:
            index = json.loads(content)
            if isinstance(index, dict) and "chunks" not in index:
                raise ValueError("it has no chunks; name the folder of a split in an export as LitData")
            shards = [
                Shard(each["filename"], int(each["chunk_size"]), int(each["chunk_bytes"]))
                for each in index["chunks"]
            ]
            if outside := [shard.name for shard in shards if "/" in shard.name or "\\" in shard.name]:
                raise ValueError(f"{outside[0]!r} is no name of a file in this folder")
            return shards, ItemLayout.of(index["config"])
        except (ValueError, KeyError, TypeError) as error:
            place = f"{redact(self._address)}/{INDEX}"
            raise DatasetFileError(f"{place} is no index of chunks that can be read: {error}.") from error

    def _open_source(self) -> ShardSource:
        """Return where the shards are; opened once per process."""
        if self._source is None and "://" not in self._address:
            self._source = MappedShards(Path(self._address))
        elif self._source is None:
            with extras_named():
                from factory_pipeline.datasets.streaming.fetched_shards import FetchedShards

                self._source = FetchedShards(self._address)
            weakref.finalize(self, self._source.close)
        elif os.getpid() != self._process and not isinstance(self._source, MappedShards):
            raise DatasetFileError(
                f"{redact(self._address)} can't be read in a worker that was forked; start workers with"
                " multiprocessing_context='spawn'."
            )
        return self._source


def _divide(shards: Sequence[Shard]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Divide shards into blocks.

    Returns:
        Of each block, the number of its shard, the position in it of the first sample, and its samples.
    """
    numbers, firsts, counts = [], [], []
    for number, shard in enumerate(shards):
        each = max(1, BLOCK_BYTES * shard.samples // max(shard.bytes, 1))
        for first in range(0, shard.samples, each):
            numbers.append(number)
            firsts.append(first)
            counts.append(min(each, shard.samples - first))
    return np.array(numbers, np.int64), np.array(firsts, np.int64), counts
