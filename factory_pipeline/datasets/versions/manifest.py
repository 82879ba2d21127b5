"""The manifest of a version: its items with splits and annotations, in Parquet, and their totals.

The content hash is SHA-256 over every item, the labels with their values and the augmentations. It ignores
ids of the registry, and paths of files with a hash, so that the same version made in another home has the
same one.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from factory_pipeline.datalake.tables.annotations import objects_by_label
from factory_pipeline.datalake.tables.content_hash import RowsHash
from factory_pipeline.datalake.tables.schemas import MANIFEST_SCHEMA, AnnotationType
from factory_pipeline.datasets.versions.class_values import class_values
from factory_pipeline.errors import LakeError
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.parquet import ParquetBatches, read_key_values

HEADER = "factory-version"
"""Key of the header in the metadata of the Parquet file."""
READ_ROWS = 256
"""Number of rows that are read at once."""

_ELEMENT = pl.element().struct.field


def raster_alone(raster: pl.Expr, *others: str) -> pl.Expr:
    """Return a raster by its hash, or by its path if it has none, with other fields of it.

    Null stays null.

    Args:
        raster: structs of a raster.
        *others: names of fields that are kept too.
    """
    field = raster.struct.field
    unhashed = field("sha256").is_null()
    places = [pl.when(unhashed).then(field(name)).alias(name) for name in ("path", "member", "row")]
    return pl.when(raster.is_not_null()).then(pl.struct(*places, *(field(name) for name in others)))


HASHED_ANNOTATIONS = pl.col("annotations").list.eval(
    pl.struct(
        *(_ELEMENT(name) for name in ("source", "type", "label", "bbox", "rings")),
        raster_alone(_ELEMENT("raster"), "value", "nodata", "sha256").alias("raster"),
        *(_ELEMENT(name) for name in ("confidence", "metadata", "attributes")),
    )
)
"""The content of an annotation, without the id of its operation and the path of its raster."""
_HASHED_MEDIA = pl.col("media").list.eval(
    raster_alone(pl.element(), "modality", "bands", "rgb", "dtype", "nodata", "sha256")
)
_HASHED = (pl.exclude("collection", "geometry", "media", "annotations"), _HASHED_MEDIA, HASHED_ANNOTATIONS)


@dataclass(frozen=True)
class ManifestHeader:
    """What is known of a version as a whole."""

    content_hash: str
    """SHA-256 in hex."""
    labels: tuple[str, ...]
    """In the order of the classes."""
    values: Mapping[str, int]
    """The class value of each label."""
    modalities: Mapping[str, tuple[str, ...]]
    """The bands that most items have, by modality; the modality that most items have comes first."""
    augmentations: tuple[Mapping[str, Any], ...]
    """The augmentations as requested."""
    items: Mapping[str, int]
    """Items by split."""
    annotations: Mapping[str, int]
    """Annotations by label."""
    dated: datetime | None
    """The latest time of an item."""


def write_manifest(
    path: Path, chunks: Iterable[pl.DataFrame], labels: tuple[str, ...], augmentations: list[dict[str, Any]]
) -> ManifestHeader:
    """Write a manifest atomically; the same rows become the same bytes.

    Args:
        path: of the manifest.
        chunks: rows in MANIFEST_SCHEMA, ordered by `name` throughout.
        labels: in the order of the classes.
        augmentations: as JSON.
    """
    tally = _Totals(labels, augmentations)
    with atomic_write(path) as temporary, ParquetBatches(temporary) as file:
        for chunk in chunks:
            rows = chunk.select(list(MANIFEST_SCHEMA)).cast(pl.Schema(MANIFEST_SCHEMA))
            file.append(rows)
            tally.add(rows)
        header = tally.header()
        file.describe({HEADER: asdict(header) | {"dated": header.dated and header.dated.isoformat()}})
    return header


def read_header(path: Path) -> ManifestHeader:
    """Return what is known of a version as a whole.

    Raises:
        LakeError: the manifest is missing, damaged or not a manifest.
    """
    with _manifest_errors(path, pl.exceptions.PolarsError):
        stored = read_key_values(path).get(HEADER)
    if stored is None:
        raise LakeError(f"The file {path} is not a manifest of a dataset version: it has no header.")
    try:
        values = json.loads(stored)
        return ManifestHeader(
            content_hash=values["content_hash"],
            labels=tuple(values["labels"]),
            values=values["values"],
            modalities={modality: tuple(bands) for modality, bands in values["modalities"].items()},
            augmentations=tuple(values["augmentations"]),
            items=values["items"],
            annotations=values["annotations"],
            dated=datetime.fromisoformat(values["dated"]) if values["dated"] else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LakeError(f"The manifest {path} has a header that can't be read: {error!r}.") from error


def check_header(path: Path, content_hash: str | None) -> ManifestHeader:
    """Return the header of a manifest, which must have the content hash of its version; rows are not read.

    Args:
        path: of the manifest.
        content_hash: of the version in the registry; None while it is written.

    Raises:
        LakeError: the manifest is missing, damaged, or has another content hash.
    """
    header = read_header(path)
    if header.content_hash != content_hash:
        raise _changed_error(path, header.content_hash, content_hash)
    return header


def check_manifest(path: Path, content_hash: str | None) -> ManifestHeader:
    """Read a manifest completely and compare its rows with the content hash of its version.

    Call this before using the rows of a version: a changed manifest would be another dataset under the number
    of this one.

    Args:
        path: of the manifest.
        content_hash: as the registry has it.

    Returns:
        Its header, which agrees with its rows.

    Raises:
        LakeError: the manifest is missing, damaged, or has another content hash.
    """
    header = check_header(path, content_hash)
    tally = _Totals(header.labels, [dict(each) for each in header.augmentations])
    for rows in read_rows(path):
        tally.add(rows)
    found = tally.header()
    if found != header:
        raise _changed_error(path, found.content_hash, content_hash)
    return header


def _changed_error(path: Path, found: str, expected: str | None) -> LakeError:
    differs = (
        "" if found == expected else f" (its content hash is {found[:12]}..., not {str(expected)[:12]}...)"
    )
    return LakeError(
        f"The manifest {path} has changed since its version was made{differs}; restore the original, or"
        " delete the version and create it again."
    )


def scan_manifest(path: Path) -> pl.LazyFrame:
    """Return the rows of a manifest as a lazy table.

    Raises:
        LakeError: the manifest is missing.
    """
    if not path.exists():
        raise LakeError(f"The manifest {path} is missing; its version can't be read.")
    return pl.scan_parquet(path).cast(pl.Schema(MANIFEST_SCHEMA))


def read_rows(path: Path, *columns: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a manifest in its order, few at a time.

    Args:
        path: of the manifest.
        columns: to read; all if empty.

    Raises:
        LakeError: the manifest is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _manifest_errors(path, pa.ArrowException), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(READ_ROWS, columns=list(columns) or None):
            rows = pl.DataFrame(pl.from_arrow(batch))
            yield rows.cast({name: MANIFEST_SCHEMA[name] for name in rows.columns})


@contextmanager
def _manifest_errors(path: Path, of_reader: type[Exception]) -> Iterator[None]:
    """Raise LakeError, in one sentence, for a manifest that can't be read by a reader with such errors."""
    try:
        yield
    except FileNotFoundError:
        raise LakeError(f"The manifest {path} is missing; its version can't be read.") from None
    except (OSError, of_reader) as error:
        raise LakeError(f"The manifest {path} can't be read: {error}.") from error


class _Totals:
    """Adds up the rows of a manifest."""

    def __init__(self, labels: tuple[str, ...], augmentations: list[dict[str, Any]]) -> None:
        self._labels = labels
        self._augmentations = augmentations
        self._hash = RowsHash("dataset version")
        self._items: Counter[str] = Counter()
        self._annotations: Counter[str] = Counter()
        self._values: dict[str, set[int]] = defaultdict(set)
        self._bands: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._dated: datetime | None = None

    def add(self, rows: pl.DataFrame) -> None:
        self._hash.update(rows.select(_HASHED))
        self._items.update(dict(rows.group_by("split").len().iter_rows()))
        exploded = rows.select("name", "annotations").explode("annotations", empty_as_null=False)
        annotations = exploded.unnest("annotations")
        counts = objects_by_label(annotations.lazy(), "name", "operation").collect()
        self._annotations.update(dict(counts.iter_rows()))
        masks = annotations.filter(pl.col("type") == AnnotationType.MASK)
        for label, value in (
            masks.select("label", pl.col("raster").struct.field("value")).unique().iter_rows()
        ):
            self._values[label].add(value)
        media = rows.select(pl.col("media").explode(empty_as_null=False).struct.unnest())
        alike = media.group_by("modality", "bands", maintain_order=True).len()
        for modality, bands, count in alike.iter_rows():
            self._bands[modality][tuple(bands)] += count
        latest = rows["datetime"].max()
        if isinstance(latest, datetime):
            self._dated = max(latest, self._dated or latest)

    def header(self) -> ManifestHeader:
        values = class_values(self._labels, self._values)
        classes = [{"label": label, "value": values[label]} for label in self._labels]
        self._hash.update(pl.DataFrame(classes))
        self._hash.update(pl.DataFrame({"augmentations": [json.dumps(self._augmentations, sort_keys=True)]}))
        # Sorting is stable: modalities that equally many items have stay in the order of the first item's.
        modalities = sorted(self._bands, key=lambda modality: -self._bands[modality].total())
        return ManifestHeader(
            content_hash=self._hash.hexdigest(),
            labels=self._labels,
            values=values,
            modalities={
                modality: max(self._bands[modality], key=lambda bands: (self._bands[modality][bands], bands))
                for modality in modalities
            },
            augmentations=tuple(self._augmentations),
            items={split: self._items[split] for split in SPLITS},
            annotations={label: self._annotations[label] for label in self._labels},
            dated=self._dated,
        )
