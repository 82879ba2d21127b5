"""WebDataset: tar files of arrays, which loaders stream from disk, a web server or an object store.

https://github.com/webdataset/webdataset: consecutive members with one name before the first dot are one
sample; what follows says how each is decoded. Arrays are `.npy` (NumPy's format 1.0), all else is `json`.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.datasets.exports.clip_annotations import has_area
from factory_pipeline.datasets.exports.rasterize import index_mask
from factory_pipeline.datasets.exports.raw import shape_record
from factory_pipeline.datasets.exports.shards import divide, read_shards, write_index
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.errors import ExportError
from factory_pipeline.splits.names import SPLITS

RECORD, MASK, TARGET = "json", "mask", "target"
MEMBER_BYTES = 1024
"""What a member takes beside its content: a header, and zeros up to a block."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: `train-000000.tar` and so on, of nearly equal sizes, and the index."""
    _require_names(version)
    shards: dict[str, list[dict[str, Any]]] = {}
    for split in SPLITS:
        writer: _ShardWriter | None = None
        for number, sample in enumerate(version.samples(split)):
            members = _members(sample, version, number)
            if writer is None:
                each = sum(len(content) + MEMBER_BYTES for _, content in members)
                writer = _ShardWriter(folder, split, divide(version.counts[split], each))
            writer.add(members)
        if writer is not None:
            shards[split] = writer.shards
    write_index(version, folder, shards)


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`: every member of every shard."""
    shards = read_shards(folder)
    for split in SPLITS:
        found = _read_samples(folder, shards.get(split, []))
        for number, sample in enumerate(version.samples(split)):
            expected = dict(_members(sample, version, number))
            if next(found, None) != expected:
                raise ExportError(f"{sample.name} differs when its shard is read back.")
        if next(found, None) is not None:
            raise ExportError(f"The shards of {split} have more samples than the version.")


def is_media(path: PurePosixPath) -> bool:
    """Return whether a file is a shard, which holds images and annotations."""
    return path.suffix == ".tar"


def _require_names(version: VersionContent) -> None:
    names = [*map(_member_name, version.modalities), MASK, TARGET, RECORD]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ExportError(
            f"The modality {sorted(twice)[0]} has the name of another member of a sample (modalities without"
            f" regard to case, {MASK}, {TARGET}, {RECORD}); rename it, or export as RAW."
        )


def _members(sample: Sample, version: VersionContent, number: int) -> list[tuple[str, bytes]]:
    """Return the members of a sample: their names begin with its number, as names may contain dots."""
    key = f"{number:08d}"
    rasters = {
        modality: sample.images[modality] for modality in version.modalities if modality in sample.images
    }
    if sample.mask is not None or any(map(has_area, sample.shapes)):
        rasters[MASK] = index_mask(sample, version)
    if sample.target is not None:
        rasters[TARGET] = sample.target
    arrays = [(f"{key}.{_member_name(name)}.npy", _npy(raster.values)) for name, raster in rasters.items()]
    record = {
        "name": sample.name,
        "origin": sample.origin,
        "original_name": sample.original_name or sample.name,
        "crs": sample.crs,
        "transform": sample.transform,
        "datetime": sample.acquired.isoformat() if sample.acquired else None,
        "metadata": dict(sample.metadata),
        "shapes": [shape_record(shape) for shape in sample.shapes],
    }
    text = json.dumps(record, sort_keys=True, ensure_ascii=False)
    return [*arrays, (f"{key}.{RECORD}", text.encode())]


def _member_name(raster: str) -> str:
    """Return the name of a raster's member: readers take what follows a dot as an ending, and fold case."""
    return raster.replace(".", "_").lower()


def _npy(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(values), version=(1, 0))
    return buffer.getvalue()


class _ShardWriter:
    """Writes the samples of a split into shards of given sizes."""

    def __init__(self, folder: Path, split: str, sizes: Sequence[int]) -> None:
        self.shards: list[dict[str, Any]] = []
        """What the index says of each that is complete."""
        self._folder = folder
        self._names = [f"{split}-{number:06d}.tar" for number in range(len(sizes))]
        self._sizes = sizes
        self._tar: tarfile.TarFile | None = None
        self._missing = 0

    def add(self, members: Iterable[tuple[str, bytes]]) -> None:
        """Append a sample; the shard that is full then is closed."""
        number = len(self.shards)
        path = self._folder / self._names[number]
        if self._tar is None:
            self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
            self._missing = self._sizes[number]
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            self._tar.addfile(member, io.BytesIO(content))
        self._missing -= 1
        if not self._missing:
            self._tar.close()
            self._tar = None
            size = path.stat().st_size
            self.shards.append({"file": path.name, "samples": self._sizes[number], "bytes": size})


def _read_samples(folder: Path, shards: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, bytes]]:
    for shard in shards:
        count, members = 0, {}
        with tarfile.open(folder / shard["file"], "r|") as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                members[member.name] = file.read()
                if member.name.endswith(f".{RECORD}"):
                    yield members
                    count, members = count + 1, {}
        if members or count != shard["samples"]:
            raise ExportError(f"{shard['file']} has {count} samples when it is read back.")
