"""The listing of an export, `export.json`: every file with its hash."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from factory_pipeline.errors import DocumentError, ExportError
from factory_pipeline.json_document import parse_json

LISTING = "export.json"
"""Name of the file that lists all others of an export."""


@dataclass(frozen=True)
class ExportedFile:
    """One file of an export."""

    path: str
    """Relative to the folder of the export, parts divided by `/`."""
    bytes: int
    sha256: str
    media: bool
    """Whether it is skipped by a download of only the annotations."""


@dataclass(frozen=True)
class ExportedFiles:
    """The content of `export.json`."""

    format: str
    dataset: str
    version: str
    content_hash: str
    """SHA-256 over `files`."""
    files: tuple[ExportedFile, ...]
    """By path, without `export.json` itself."""


def read_exported(folder: Path) -> ExportedFiles:
    """Read the listing of an export.

    Raises:
        ExportError: it is missing or damaged.
    """
    try:
        text = (folder / LISTING).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ExportError(f"The folder {folder} contains no complete export; export again.") from error
    return parse_exported(text, str(folder))


def parse_exported(text: str, where: str) -> ExportedFiles:
    """Read the text of a listing.

    Args:
        text: JSON.
        where: names the export in messages.

    Raises:
        ExportError: it is damaged.
    """
    try:
        read = parse_json(text, f"The listing of {where}")
        files = tuple(ExportedFile(**each) for each in read.pop("files"))
        listed = ExportedFiles(**read, files=files)
    except (DocumentError, TypeError, KeyError, AttributeError) as error:
        raise ExportError(f"The listing of {where} can't be read, so the export is not complete.") from error
    if listed.content_hash != files_hash(files):
        raise ExportError(f"The listing of {where} has changed since the export was written.")
    return listed


def files_hash(files: tuple[ExportedFile, ...]) -> str:
    """Return the content hash of an export: SHA-256 in hex over the list of its files."""
    text = json.dumps([asdict(each) for each in files], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
