"""Reading the record of splits again: without numpy and polars, for who lists datasets."""

import json
from pathlib import Path
from typing import Any


def read_record(path: Path) -> dict[str, Any]:
    """Return the record that `SplitRecord.write` wrote, as JSON values.

    Args:
        path: of `splits.json`.

    Raises:
        OSError: the file can't be read.
        ValueError: it is not JSON.
    """
    return json.loads(path.read_text(encoding="utf-8"))
