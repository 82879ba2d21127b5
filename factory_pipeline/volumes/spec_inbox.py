"""Specs of image pairs in an inbox: each is a set of pairs, whose key names its content."""

import hashlib
import json
from pathlib import Path
from typing import Any

from factory_pipeline.errors import SpecError
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.pair_set_files import PairSetFiles
from factory_pipeline.storage.slug import slug
from factory_pipeline.volumes.pair_dataset import without_credentials
from factory_pipeline.volumes.spec import load_json, parse_spec, unknown_keys

SUFFIX = ".json"
DIGITS = 8


def list_specs(inbox: Path) -> dict[str, Path]:
    """Return the specs in an inbox by their keys, `name@digest`, in the order of their names."""
    paths = sorted(path for path in inbox.glob(f"[!.]*{SUFFIX}") if path.is_file())
    return {spec_key(path): path for path in paths}


def spec_key(path: Path) -> str:
    """Return the key of a spec, which names its content."""
    return f"{slug(path.stem)}@{hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]}"


def receive_spec(inbox: Path, key: str, files: PairSetFiles) -> tuple[dict[str, Any], list[str]]:
    """Check a spec of an inbox and keep it; one that is kept is checked again.

    Args:
        inbox: where it was dropped.
        key: of the spec.
        files: where it is kept.

    Returns:
        The spec as JSON, and the JSON paths of its unknown keys.

    Raises:
        SpecError: it is not in the inbox any more, has values that are not allowed, or contains credentials.
    """
    path = files.spec
    if not path.exists():
        dropped = list_specs(inbox)
        if key not in dropped:
            raise SpecError(
                f"The spec {key} is no longer in {inbox}; what was changed there has another key."
            )
        path = dropped[key]
    document = load_json(path)
    spec = parse_spec(document, path.name)
    if without_credentials(document) != document:
        raise SpecError(
            f"{path.name} has an address with credentials or a signature; these belong in the environment"
            " of the factory, and the address without them in the spec."
        )
    if path != files.spec:
        write_text(files.spec, json.dumps(document, indent=2) + "\n")
    return document, unknown_keys(spec)
