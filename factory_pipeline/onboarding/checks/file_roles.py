"""The role of each file of an upload (image or label) and its stem, by its suffix and its folder."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from factory_pipeline.imagery.headers import Role

IMAGE, LABEL = "image", "label"
ANY = "/*"
"""Between the folder and the ending of a suffix."""


def canonical_suffix(text: str) -> str:
    """Return a suffix in the form that is compared: `_image.tif`, or `images/*.tif` for a folder.

    A star before the suffix, `./`, and stars for further folders have no effect and are removed.
    """
    *folders, ending = unicodedata.normalize("NFC", text.strip()).split("/")
    folder = "/".join(part for part in folders if part not in ("", ".", "*", "**"))
    # Without the star it would be the name of a file.
    return f"{folder}/{ending}" if folder else ending.removeprefix("*")


def last_position(folders: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return the last position of a sequence of folders within others; None if it does not occur.

    Args:
        folders: parts of a path.
        wanted: consecutive parts that are looked for.
    """
    for start in range(len(folders) - len(wanted), -1, -1):
        if tuple(folders[start : start + len(wanted)]) == tuple(wanted):
            return start
    return None


@dataclass(frozen=True)
class Suffixes:
    """The suffixes of the images, one per modality, and of the labels of an upload, and their folders.

    They are stored as `canonical_suffix` returns them.
    """

    images: tuple[str, ...]
    label: str
    split_folders: tuple[str, ...] = ()
    """Folders that define the split: files of one name may be in several of them."""

    def __post_init__(self) -> None:
        """Convert suffixes as users type them to the form that is compared."""
        object.__setattr__(self, "images", tuple(map(canonical_suffix, self.images)))
        object.__setattr__(self, "label", canonical_suffix(self.label))

    @cached_property
    def _patterns(self) -> tuple[tuple[str, tuple[str, ...], str], ...]:
        """Return suffix, folders and ending of each."""
        parts = [(suffix, *suffix.rpartition(ANY)) for suffix in (*self.images, self.label)]
        return tuple(
            (suffix, tuple(folder.split("/")) if folder else (), ending)
            for suffix, folder, _, ending in parts
        )

    def role_of(self, name: str) -> Role | None:
        """Return the role of a file; None if no suffix matches.

        The suffix with the longest ending wins, then the one whose folder is nearest to the file.
        """
        *folders, base = PurePosixPath(name).parts
        fitting = [
            (len(ending), position, suffix, wanted, ending)
            for suffix, wanted, ending in self._patterns
            if base.endswith(ending)
            and (position := last_position(folders, wanted) if wanted else -1) is not None
        ]
        if not fitting:
            return None
        _, _, suffix, wanted, ending = max(fitting, key=lambda one: one[:2])
        stem = "/".join([*self._stem_folders(folders, wanted), base.removesuffix(ending)])
        return Role(LABEL if suffix == self.label else IMAGE, suffix, stem)

    def _stem_folders(self, folders: list[str], own: tuple[str, ...]) -> list[str]:
        """Return the folders that are part of a stem.

        If folders distinguish images from labels, these are all other folders, so that files of one name in
        different folders are distinct. Else it is only the folder of the split, if any.

        Args:
            folders: of the file.
            own: of the matching suffix; empty for a suffix without a folder.
        """
        told = [wanted for _, wanted, _ in self._patterns if wanted]
        if not told:
            inside = [
                folder
                for folder in self.split_folders
                if last_position(folders, folder.split("/")) is not None
            ]
            return inside[:1]
        for wanted in [own] if own else told:
            position = last_position(folders, wanted)
            if position is not None:
                return [*folders[:position], *folders[position + len(wanted) :]]
        return folders

    def overlapping(self) -> tuple[tuple[str, str], ...]:
        """Return pairs of suffixes of which the first ends with the second; the longer wins if both match."""
        every = (*self.images, self.label)
        return tuple((one, other) for one in every for other in every if one != other and one.endswith(other))


def common_endings(names: Sequence[str]) -> str:
    """Return the most frequent endings of names, for a hint if no file matches: `.TIF (12), .xml (3)`."""
    endings = Counter(PurePosixPath(name).suffix or "no ending" for name in names)
    return ", ".join(f"{ending} ({count})" for ending, count in endings.most_common(4)) or "none"
