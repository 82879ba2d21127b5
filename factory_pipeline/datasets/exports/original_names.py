"""`names.csv` of every export: the original name for the stem of each of its files.

It is written and read back during the passes over the samples, so that it needs no pass of its own and no
memory.
"""

import csv
from pathlib import Path
from typing import TextIO

from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.errors import ExportError

NAMES = "names.csv"
COLUMNS = ("name", "split", "original_name", "origin")
"""Name of the sample, its split, original name of its image, and the original of an augmented copy."""


class NamesWriter:
    """Writes the table of names into the folder of an export."""

    def __init__(self, folder: Path) -> None:
        """Begin the table."""
        self._out: TextIO = (folder / NAMES).open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._out, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def take(self, sample: Sample) -> None:
        """Append the row of a sample."""
        self._rows.writerow(_row(sample))

    def close(self) -> None:
        """End the table."""
        self._out.close()


class NamesReader:
    """Reads a table of names back and compares it with the samples."""

    def __init__(self, folder: Path) -> None:
        """Begin to read."""
        self._file: TextIO = (folder / NAMES).open(encoding="utf-8", newline="")
        self._rows = csv.reader(self._file)
        self._compare(list(COLUMNS), "the columns")

    def take(self, sample: Sample) -> None:
        """Compare the next row with a sample.

        Raises:
            ExportError: it differs.
        """
        self._compare(list(_row(sample)), sample.name)

    def close(self) -> None:
        """End reading."""
        self._file.close()

    def _compare(self, expected: list[str], name: str) -> None:
        if next(self._rows, None) != expected:
            raise ExportError(f"The row of {name} in {NAMES} was not read back as it was written.")


def _row(sample: Sample) -> tuple[str, ...]:
    return sample.name, sample.split, sample.original_name or sample.name, sample.origin
