"""Which files of an archive are the images, labels and documents of a release, by their names alone."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from factory_pipeline.datalake.ingest.releases.form import (
    BOUNDS,
    IMAGES,
    LABEL_SUFFIX,
    LABELS,
    META,
    is_image,
    is_label,
)
from factory_pipeline.datalake.ingest.releases.problems import Problem
from factory_pipeline.errors import OnboardingError


@dataclass(frozen=True)
class Pair:
    """An image and its label file."""

    stem: str
    """Their base name."""
    image: str
    """Path below the root folder."""
    label: str
    """Path below the root folder."""


@dataclass
class Contents:
    """The files of a release; all paths are those below the root folder."""

    root: str
    """The root folder with a `/` behind it; empty where there is none."""
    pairs: list[Pair] = field(default_factory=list)
    """By base name."""
    meta: str | None = None
    bounds: str | None = None
    problems: list[Problem] = field(default_factory=list)
    """Files that don't make a pair."""
    others: list[str] = field(default_factory=list)
    """Files that are none of a release's; they are passed over."""


def find_contents(names: Iterable[str], archive: str) -> Contents:
    """Sort the files of a release and pair images with labels by their base names.

    Args:
        names: paths in the archive, by-products of operating systems left out.
        archive: what messages call it.

    Raises:
        OnboardingError: NO_FILES, it has no image or no label file; CHECK_FAILED, it has several root
            folders.
    """
    all_names = sorted(names)
    roots = {root for name in all_names if (root := _root_of(name)) is not None}
    if len(roots) > 1:
        shown = ", ".join(repr(root or "(none)") for root in sorted(roots)[:3])
        raise OnboardingError(
            "CHECK_FAILED",
            f"The archive {archive} has {len(roots)} folders with images or labels of releases ({shown});"
            " pack each as an archive of its own.",
        )
    found = Contents(next(iter(roots), ""))
    images: dict[str, list[str]] = defaultdict(list)
    labels: dict[str, list[str]] = defaultdict(list)
    for name in (each.removeprefix(found.root) for each in all_names):
        folder, stem = _folder_of(name), PurePosixPath(name).stem
        if folder == IMAGES and is_image(name):
            images[stem].append(name)
        elif folder == LABELS and is_label(name):
            labels[stem].append(name)
        elif name.lower() == META:
            found.meta = name
        elif name.lower() in BOUNDS:
            found.bounds = name
        else:
            found.others.append(name)
    if not images or not labels:
        lacks = "image (*.tif in the folder images)" if not images else "label (*.json in the folder labels)"
        raise OnboardingError("NO_FILES", f"The archive {archive} is not a release: it has no {lacks}.")
    _pair(found, images, labels)
    return found


def is_release(names: Iterable[str]) -> bool:
    """Return whether these are the files of a release; reads no further than it must."""
    missing: dict[str, set[str]] = defaultdict(lambda: {IMAGES, LABELS})
    for name in names:
        root = _root_of(name)
        if root is not None:
            missing[root].discard(_folder_of(name.removeprefix(root)))
            if not missing[root]:
                return True
    return False


def _root_of(name: str) -> str | None:
    """The root folder of a release by one of its images or labels; None for other files."""
    parts = PurePosixPath(name).parts
    for position, part in enumerate(parts[:-1]):
        folder = part.lower()
        if (folder == IMAGES and is_image(name)) or (folder == LABELS and is_label(name)):
            return "".join(f"{each}/" for each in parts[:position])
    return None


def _folder_of(name: str) -> str:
    """The first folder of a path without the root, in small letters; empty for a file outside of all."""
    first, slash, _ = name.partition("/")
    return first.lower() if slash else ""


def _pair(found: Contents, images: dict[str, list[str]], labels: dict[str, list[str]]) -> None:
    for stem in sorted({*images, *labels}):
        of_image, of_label = images.get(stem, []), labels.get(stem, [])
        for several in (of_image, of_label):
            if len(several) > 1:
                reason = f"has the base name of another file, {', '.join(several[1:])}"
                found.problems.append(Problem(several[0], reason))
        if not of_label:
            reason = f"has no label: {LABELS}/{stem}{LABEL_SUFFIX} is missing"
            found.problems += [Problem(name, reason, "UNPAIRED") for name in of_image]
        elif not of_image:
            reason = f"has no image: {IMAGES}/{stem}.tif is missing"
            found.problems += [Problem(name, reason, "UNPAIRED") for name in of_label]
        elif len(of_image) == len(of_label) == 1:
            found.pairs.append(Pair(stem, of_image[0], of_label[0]))
