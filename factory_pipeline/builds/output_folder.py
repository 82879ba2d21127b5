"""The output folder of a build: which dataset it may have, which files it must have, which are removed."""

import json
from collections.abc import Collection

from factory_pipeline.builds.plan_keys import PlanKeys
from factory_pipeline.errors import BuildError, DatasetFileError, IncompleteBuildError
from factory_pipeline.hdf5.opening import open_dataset
from factory_pipeline.storage.build_files import BuildFiles

NAMED_AT_MOST = 10
"""Missing batches that an error names; it counts the others."""


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


def check_complete(plan: PlanKeys, files: BuildFiles) -> None:
    """Check that every batch of a plan is extracted.

    Args:
        plan: of the build.
        files: of the build.

    Raises:
        IncompleteBuildError: a batch has no dataset file or no ledger; the message names it.
    """
    missing = [
        key for key in plan.keys if not (files.batch(key).exists() and files.batch_rejects(key).exists())
    ]
    if missing:
        named = ", ".join(missing[:NAMED_AT_MOST])
        more = f" and {len(missing) - NAMED_AT_MOST} more" if len(missing) > NAMED_AT_MOST else ""
        raise IncompleteBuildError(
            f"{len(missing)} of {len(plan.keys)} batches are missing: {named}{more}; extract them, then fuse."
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
