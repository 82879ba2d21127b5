"""Which file of an upload is an image and which a label, and its stem: by its suffix and its folder."""

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
    """Return a suffix as it is compared: `_image.tif`, or `images/*.tif` for files in folders of that name.

    A star before the suffix, `./`, and stars for further folders mean nothing and are left out.
    """
    *folders, ending = unicodedata.normalize("NFC", text.strip()).split("/")
    folder = "/".join(part for part in folders if part not in ("", ".", "*", "**"))
    # Without its star it would be the name of a file.
    return f"{folder}/{ending}" if folder else ending.removeprefix("*")


def last_place(folders: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return where some folders come one after the other among others, nearest to the file; None: nowhere."""
    for start in range(len(folders) - len(wanted), -1, -1):
        if tuple(folders[start : start + len(wanted)]) == tuple(wanted):
            return start
    return None


@dataclass(frozen=True)
class Suffixes:
    """How the images, one suffix per modality, and the labels of an upload end, and in which folders.

    They are kept as `canonical_suffix` gives them.
    """

    images: tuple[str, ...]
    label: str
    split_folders: tuple[str, ...] = ()
    """Folders that tell the split: files of one name may be in several of them."""

    def __post_init__(self) -> None:
        """Bring suffixes as users type them into the form that files are compared with."""
        object.__setattr__(self, "images", tuple(map(canonical_suffix, self.images)))
        object.__setattr__(self, "label", canonical_suffix(self.label))

    @cached_property
    def _patterns(self) -> tuple[tuple[str, tuple[str, ...], str], ...]:
        """Suffix, folders and ending of each."""
        parts = [(suffix, *suffix.rpartition(ANY)) for suffix in (*self.images, self.label)]
        return tuple(
            (suffix, tuple(folder.split("/")) if folder else (), ending)
            for suffix, folder, _, ending in parts
        )

    def role_of(self, name: str) -> Role | None:
        """The role of a file; None where no suffix fits.

        The suffix with the longest ending decides, then the one whose folder is nearest to the file.
        """
        *folders, base = PurePosixPath(name).parts
        fitting = [
            (len(ending), place, suffix, wanted, ending)
            for suffix, wanted, ending in self._patterns
            if base.endswith(ending) and (place := last_place(folders, wanted) if wanted else -1) is not None
        ]
        if not fitting:
            return None
        _, _, suffix, wanted, ending = max(fitting, key=lambda one: one[:2])
        stem = "/".join([*self._kept_folders(folders, wanted), base.removesuffix(ending)])
        return Role(LABEL if suffix == self.label else IMAGE, suffix, stem)

    def _kept_folders(self, folders: list[str], own: tuple[str, ...]) -> list[str]:
        """The folders that belong to a stem.

        Where folders tell images from labels these are all others, so that files of one name in different
        folders stay apart. Else it is the folder of the split alone, if any.

        Args:
            folders: of the file.
            own: of the suffix that fits; empty for a suffix without a folder.
        """
        told = [wanted for _, wanted, _ in self._patterns if wanted]
        if not told:
            inside = [
                folder for folder in self.split_folders if last_place(folders, folder.split("/")) is not None
            ]
            return inside[:1]
        for wanted in [own] if own else told:
            place = last_place(folders, wanted)
            if place is not None:
                return [*folders[:place], *folders[place + len(wanted) :]]
        return folders

    def overlapping(self) -> tuple[tuple[str, str], ...]:
        """Pairs of suffixes of which the first ends in the second; the longer decides where both fit."""
        every = (*self.images, self.label)
        return tuple((one, other) for one in every for other in every if one != other and one.endswith(other))


def common_endings(names: Sequence[str]) -> str:
    """The most frequent endings of names, for a hint where no file fits: `.TIF (12), .xml (3)`."""
    endings = Counter(PurePosixPath(name).suffix or "no ending" for name in names)
    return ", ".join(f"{ending} ({count})" for ending, count in endings.most_common(4)) or "none"
