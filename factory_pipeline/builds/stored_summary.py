"""What the summaries of all builds share: how they are stored, and lines of their text."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from factory_pipeline.errors import BuildError, DatasetFileError
from factory_pipeline.hdf5.opening import open_dataset
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.build_files import BuildFiles


@dataclass(frozen=True)
class StoredSummary:
    """A dataclass of plain data that is stored as `summary.json`."""

    def save(self, path: Path) -> None:
        """Write the summary as JSON, atomically."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def unusable_lines(items: Mapping[str, int]) -> Iterator[str]:
    """Yield the lines on items of the catalog that could not be used; none if there are none.

    Args:
        items: their numbers by `source: reason`.
    """
    if items:
        yield f"Items of the catalog that can't be used{sum(items.values()):>15,}"
        yield from (f"  {reason:<36}{count:>16,}" for reason, count in items.items())


def written_lines(files: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines on the files that were written.

    Args:
        files: their paths by what they are.
    """
    yield "Written"
    yield from (f"  {what:<20} {path}" for what, path in files.items())


def check_is_own(files: BuildFiles, name: str | None) -> None:
    """Check that a folder has no finished dataset of another recipe, which this build would mix with its own.

    Args:
        files: of the folder.
        name: of the recipe; None of the GEDI dataset.

    Raises:
        BuildError: it has one.
    """
    try:
        found = json.loads(files.summary.read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError, AttributeError):
        return
    if found != name:
        there, here = (
            "the GEDI dataset" if each is None else f"the recipe {each!r}" for each in (found, name)
        )
        raise BuildError(
            f"The output folder {files.root} has the dataset of {there}; name another one for {here}."
        )


def remove_former_splits(files: BuildFiles, splits: Collection[str]) -> None:
    """Remove the dataset files of splits that an earlier build of this folder had, and this one has not.

    Their samples may be in other splits now: who trains on all files of the folder would leak.

    Args:
        files: of the build, whose datasets are fused.
        splits: that the build has.
    """
    for path in files.root.glob("*_dataset.h5"):
        try:
            with open_dataset(path) as file:
                split = str(file.attrs.get("split"))
        except DatasetFileError:
            continue
        if split not in splits and path == files.fused(split):
            path.unlink()
