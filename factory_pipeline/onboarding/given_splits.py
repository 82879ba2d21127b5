"""The splits that an upload brings along: files that list stems, and folders of images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from factory_pipeline.config.lenient_keys import normalize_accents
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks.file_contents import names_in
from factory_pipeline.onboarding.checks.file_roles import IMAGE, last_position
from factory_pipeline.splits.names import TRAIN


def stems_in_files(files: Mapping[str, str], unpacked: Path) -> dict[str, list[str]]:
    """Read the stems of each split from a file of the archive: UTF-8 text with one stem per line.

    Args:
        files: name in the archive by split.
        unpacked: folder of the unpacked archive.

    Raises:
        OnboardingError: SPLIT_INVALID, the archive has no such file, or it is not text.
    """
    # A name is looked up among the files, never joined to a path: it could lead out of the folder.
    requested = set(files.values())
    existing = {name for name in names_in(unpacked) if name in requested}
    listed = {}
    for split, name in files.items():
        if name not in existing:
            raise OnboardingError(
                "SPLIT_INVALID", f"The manifest names {name!r} for {split}; the archive has no such file."
            )
        try:
            lines = (unpacked / name).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise OnboardingError("SPLIT_INVALID", f"The file {name} is not UTF-8 text.") from error
        listed[split] = [normalize_accents(line.strip()) for line in lines if line.strip()]
    return listed


def stems_in_folders(folders: Mapping[str, Sequence[str]], contents: pl.LazyFrame) -> dict[str, list[str]]:
    """Return the stems of the images in the folders of each split.

    Args:
        folders: names of folders of the archive by split; an image is in one that its path contains.
        contents: in `file_contents.CONTENT_SCHEMA`.

    Raises:
        OnboardingError: SPLIT_INVALID, no image is in a folder that must have one.
    """
    images = contents.filter(pl.col("role") == IMAGE).select("stem", "name")
    files = images.unique("stem").sort("stem").collect().rows()
    found = {
        split: [
            stem
            for stem, name in files
            if any(last_position(name.split("/")[:-1], folder.split("/")) is not None for folder in of_split)
        ]
        for split, of_split in folders.items()
    }
    for split, of_split in folders.items():
        # Of several folders that may exist, none need exist, except for training.
        if not found[split] and (len(of_split) == 1 or split == TRAIN):
            raise OnboardingError(
                "SPLIT_INVALID",
                f"The manifest gives {split} the folder {' or '.join(of_split)}; no image is in one.",
            )
    return found
