"""Which file of an upload is an image and which a label, and its stem: by its suffix, nothing else."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

IMAGE, LABEL = "image", "label"


@dataclass(frozen=True)
class Role:
    """What a file is for."""

    role: str
    """IMAGE or LABEL."""
    suffix: str
    stem: str
    """The file's name without folders, less the suffix."""


@dataclass(frozen=True)
class Suffixes:
    """How the images, one suffix per modality, and the labels of an upload end."""

    images: tuple[str, ...]
    label: str

    def role_of(self, name: str) -> Role | None:
        """The role of a file by the longest suffix that its name ends in; None where it ends in none."""
        base = PurePosixPath(name).name
        fitting = [suffix for suffix in (*self.images, self.label) if base.endswith(suffix)]
        if not fitting:
            return None
        suffix = max(fitting, key=len)
        return Role(LABEL if suffix == self.label else IMAGE, suffix, base.removesuffix(suffix))

    def overlapping(self) -> tuple[tuple[str, str], ...]:
        """Pairs of suffixes of which the first ends in the second; the longer decides where both fit."""
        every = (*self.images, self.label)
        return tuple((one, other) for one in every for other in every if one != other and one.endswith(other))


def common_endings(names: Sequence[str]) -> str:
    """The most frequent endings of names, for a hint where no file fits: `.TIF (12), .xml (3)`."""
    endings = Counter(PurePosixPath(name).suffix or "no ending" for name in names)
    return ", ".join(f"{ending} ({count})" for ending, count in endings.most_common(4)) or "none"
