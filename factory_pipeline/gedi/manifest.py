"""What the aggregation knows about each granule: read or set aside, and in which state of the file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from factory_pipeline.errors import GranuleError
from factory_pipeline.gedi.granules import GranuleFile
from factory_pipeline.storage import write_text

FORMAT = 1


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
    """Footprints; None where the granule was set aside."""
    reason: str | None = None
    """Why it was set aside: one sentence."""

    def describes(self, granule: GranuleFile) -> bool:
        """Whether the file is still the one that was read."""
        return (self.size, self.version) == (granule.size, granule.version)

    def has_fields(self, extra_fields: tuple[str, ...]) -> bool:
        """Whether the record answers for these fields.

        What was read may have more fields; a granule that was set aside may lack one that is not asked
        for any more, so it is read again when other fields are asked for.
        """
        asked, known = set(extra_fields), set(self.extra_fields)
        return asked <= known if self.rows is not None else asked == known


def manifest_path(store: Path) -> Path:
    """Where the manifest of a store of footprints lies."""
    return store / "manifest.json"


def load_manifest(store: Path) -> dict[str, GranuleRecord]:
    """The records by granule file name; none where nothing was aggregated yet.

    Raises:
        GranuleError: the manifest can't be read or is not one of this format.
    """
    path = manifest_path(store)
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']} is not {FORMAT}")
        return {name: _record(entry) for name, entry in document["granules"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GranuleError(
            f"The granule manifest {path} can't be used ({error}); remove {store} to read all granules again."
        ) from error


def save_manifest(store: Path, records: Mapping[str, GranuleRecord]) -> None:
    """Write the manifest whole, ordered by name."""
    granules = {name: asdict(records[name]) for name in sorted(records)}
    write_text(manifest_path(store), json.dumps({"format": FORMAT, "granules": granules}, indent=1) + "\n")


def _record(entry: dict[str, object]) -> GranuleRecord:
    return GranuleRecord(**{**entry, "extra_fields": tuple(entry["extra_fields"])})  # type: ignore[arg-type]
