"""JSON documents with long lists, written and read one record at a time: memory stays flat.

Each record lies on a line of its own. Text is ASCII with escapes, which every reader decodes alike, also one
that opens files in the encoding of its system.
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
            ExportError: it holds what JSON can't.
        """
        try:
            line = json.dumps(record, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ExportError(f"What is known of {name} can't be written as JSON: {error}.") from error
        self._out.write(f"{self._separator}{line}")
        self._separator = ",\n"

    def end(self) -> None:
        """End the list."""
        self._out.write("\n]")


class ListReader:
    """Reads a list that ListWriter wrote and compares it with what it was made from."""

    def __init__(self, path: Path, name: str) -> None:
        """Begin to read the list of this name, a key at the top of the document."""
        self._path = path
        self._name = name
        self._records = _read_list(path, name)

    def expect(self, record: Mapping[str, Any], name: str) -> Record:
        """Read the next record.

        Args:
            record: what it must be.
            name: of the sample that it describes, for the message.

        Raises:
            ExportError: it is another, broken or missing.
        """
        read = self._next()
        if read is None or read != json.loads(json.dumps(record)):
            raise ExportError(
                f"The {self._name} of {name} in {self._path.name} were not read back as they were written."
            )
        return read

    def expect_end(self) -> None:
        """Be sure that nothing follows.

        Raises:
            ExportError: there is another record.
        """
        if self._next() is not None:
            raise ExportError(f"{self._path.name} was read back with more {self._name} than the version has.")

    def _next(self) -> Record | None:
        try:
            return next(self._records, None)
        except (OSError, ValueError) as error:
            raise ExportError(f"{self._path.name} was written, but can't be read back: {error}.") from error


def read_around(path: Path) -> Record:
    """Read a document without the records of its lists.

    Raises:
        ExportError: it is no JSON.
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
