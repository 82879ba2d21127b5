"""JSON documents with long lists, written and read one record at a time: memory is constant.

Each record is on a line of its own. Text is ASCII with escapes, which every reader decodes in the same way,
also one that opens files in the encoding of its system.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from factory_pipeline.errors import ExportError

Record = dict[str, Any]


class ListWriter:
    """Writes records as a JSON list."""

    def __init__(self, out: TextIO) -> None:
        """Begin the list at the end of `out`."""
        self._out = out
        self._separator = "\n"
        out.write("[")

    def add(self, record: Mapping[str, Any], name: str) -> None:
        """Write a record.

        Args:
            record: plain values.
            name: of the sample that it describes, for the message.

        Raises:
            ExportError: it contains a value that JSON can't represent.
        """
        try:
            line = json.dumps(record, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ExportError(f"The record of {name} can't be written as JSON: {error}.") from error
        self._out.write(f"{self._separator}{line}")
        self._separator = ",\n"

    def end(self) -> None:
        """End the list."""
        self._out.write("\n]")


class ListReader:
    """Reads a list that ListWriter wrote and compares it with the expected records."""

    def __init__(self, path: Path, name: str) -> None:
        """Begin to read the list under this key of the document."""
        self._path = path
        self._name = name
        self._records = _read_list(path, name)

    def expect(self, record: Mapping[str, Any], name: str) -> Record:
        """Read the next record.

        Args:
            record: the expected record.
            name: of the sample that it describes, for the message.

        Raises:
            ExportError: it differs, is damaged or is missing.
        """
        read = self._next_record()
        if read is None or read != json.loads(json.dumps(record)):
            raise ExportError(
                f"The {self._name} of {name} in {self._path.name} differ when they are read back."
            )
        return read

    def expect_end(self) -> None:
        """Check that no record follows.

        Raises:
            ExportError: there is another record.
        """
        if self._next_record() is not None:
            raise ExportError(
                f"{self._path.name} has more {self._name} than the version when it is read back."
            )

    def _next_record(self) -> Record | None:
        try:
            return next(self._records, None)
        except (OSError, ValueError) as error:
            raise ExportError(f"{self._path.name} was written, but can't be read back: {error}.") from error


def read_around(path: Path) -> Record:
    """Read a document without the records of its lists.

    Raises:
        ExportError: it is not JSON.
    """
    kept, inside = [], False
    try:
        with path.open(encoding="ascii") as lines:
            for line in lines:
                inside = inside and not line.startswith("]")
                if not inside:
                    kept.append(line)
                inside = inside or line.rstrip().endswith("[")
        read: Record = json.loads("".join(kept))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path.name} was written, but can't be read back: {error}.") from error
    return read


def _read_list(path: Path, name: str) -> Iterator[Record]:
    with path.open(encoding="ascii") as lines:
        for line in lines:
            if line.rstrip().endswith(f'"{name}": ['):
                break
        for line in lines:
            if line.startswith("]"):
                break
            yield json.loads(line.rstrip().removesuffix(","))
