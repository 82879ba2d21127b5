"""The aggregation's record of each granule: read or skipped, and the state of its file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from factory_pipeline.builds.gedi.granules import GranuleFile
from factory_pipeline.errors import GranuleError
from factory_pipeline.storage.atomic import write_text

FORMAT = 1
READER = 2
"""Raised when granules are read that were refused before: failures of an earlier reader are forgotten."""


@dataclass(frozen=True)
class GranuleRecord:
    """One granule as it was when it was read."""

    size: int
    """Bytes."""
    version: str
    """As in GranuleFile; empty where the granule must be tried again in any case."""
    extra_fields: tuple[str, ...]
    """Fields that were read beside those of FOOTPRINT_SCHEMA."""
    rows: int | None = None
    """Number of footprints; None if the granule was skipped."""
    reason: str | None = None
    """Why it was skipped, as one sentence."""
    missing: tuple[str, ...] = ()
    """Fields that were requested and that the granule lacks in some beam; they are null."""
    reader: int = 1
    """READER of the software that read it."""

    def describes(self, granule: GranuleFile) -> bool:
        """Return whether the file is still the one that was read."""
        return (self.size, self.version) == (granule.size, granule.version)

    @property
    def is_unavailable(self) -> bool:
        """Whether the granule could not be read for a reason that may pass."""
        return self.rows is None and not self.version

    def has_fields(self, extra_fields: tuple[str, ...]) -> bool:
        """Return whether the record answers for these fields.

        What was read may have more fields; a granule that was set aside may lack one that is not asked for
        any more, so it is read again when other fields are requested.
        """
        asked, known = set(extra_fields), set(self.extra_fields)
        return asked <= known if self.rows is not None else asked == known


@dataclass(frozen=True)
class SourceState:
    """What the last listing of the source showed beside the granules that are read."""

    gone: tuple[str, ...] = ()
    """Granules that are no longer in the source and whose footprints are kept."""
    ignored: Mapping[str, str] = field(default_factory=dict)
    """What looks like a granule and is not read: by its path in the source, why."""


def manifest_path(store: Path) -> Path:
    """Return where the manifest of a store of footprints is."""
    return store / "manifest.json"


def load_manifest(store: Path) -> dict[str, GranuleRecord]:
    """Return the records by granule file name; none where nothing was aggregated yet.

    Raises:
        GranuleError: the manifest can't be read or is not one of this format.
    """
    return _load(store)[0]


def load_source_state(store: Path) -> SourceState:
    """Return what the last aggregation saw in the source.

    Raises:
        GranuleError: as `load_manifest`.
    """
    return _load(store)[1]


def _load(store: Path) -> tuple[dict[str, GranuleRecord], SourceState]:
    path = manifest_path(store)
    if not path.exists():
        return {}, SourceState()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']} is not {FORMAT}")
        records = {name: _record(entry) for name, entry in document["granules"].items()}
        state = SourceState(tuple(document.get("gone", ())), dict(document.get("ignored", {})))
        known = {
            name: record
            for name, record in records.items()
            if record.rows is not None or record.reader == READER
        }
        return known, state
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GranuleError(
            f"The granule manifest {path} can't be used ({error}); remove {store} to read all granules again."
        ) from error


def save_manifest(store: Path, records: Mapping[str, GranuleRecord], state: SourceState) -> None:
    """Write the manifest atomically, ordered by name.

    Args:
        store: the folder of an aggregation.
        records: by the granule's name.
        state: of the source when it was listed.
    """
    granules = {name: asdict(records[name]) for name in sorted(records)}
    document = {
        "format": FORMAT,
        "granules": granules,
        "gone": sorted(state.gone),
        "ignored": dict(sorted(state.ignored.items())),
    }
    write_text(manifest_path(store), json.dumps(document, indent=1) + "\n")


def _record(entry: dict[str, Any]) -> GranuleRecord:
    lists = {name: tuple(entry.get(name, ())) for name in ("extra_fields", "missing")}
    return GranuleRecord(**{**entry, **lists})
