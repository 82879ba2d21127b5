"""The table of an onboarding's stages: the Dagster assets, the progress line and the benchmark follow it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.storage.upload_files import UploadFiles

FindOutput = Callable[[UploadFiles], Path]
"""Returns the path of what a stage writes."""


@dataclass(frozen=True)
class Stage:
    """One row of the table of stages."""

    name: str
    """Key of its Dagster asset."""
    output: FindOutput
    """The file or folder that exists once the stage is finished; it is written atomically."""
    run: Callable[[Onboarding], Any]
    """Does the work, or reads its result where the output exists."""
    progress_text: str
    """Shown by the progress line while the output does not exist."""
    earlier_outputs: tuple[tuple[FindOutput, str], ...] = ()
    """Outputs that a long stage writes before its last one, each with its text for the progress line."""


STAGES = (
    Stage(
        "uploaded_archive", lambda files: files.archive_facts, Onboarding.archive, "Looking at the archive"
    ),
    Stage("prescan_report", lambda files: files.prescan, Onboarding.prescan, "Reading the headers"),
    Stage(
        "dataset_items",
        lambda files: files.index,
        Onboarding.arrange,
        "Arranging images and labels",
        earlier_outputs=((lambda files: files.contents, "Unpacking and checking every pixel"),),
    ),
    Stage("dataset_split", lambda files: files.split, Onboarding.assign_splits, "Splitting"),
    Stage(
        "training_parameters",
        lambda files: files.dataset.training_params,
        Onboarding.parameters,
        "Computing training parameters",
    ),
    Stage("dataset_page", lambda files: files.dataset.page, Onboarding.products, "Writing the page"),
    Stage("onboarded_dataset", lambda files: files.finished.root, Onboarding.finish, "Finishing"),
)
"""All stages, in the order in which they run. Each depends on the one before it.

A new stage is a method of `Onboarding` and a line here. Its asset reports the path of its output, until
`orchestration/onboarding/assets.py` has a function of the stage's name that reports more.
"""


def stage_named(name: str) -> Stage:
    """Return the stage with this name.

    Raises:
        KeyError: no stage has this name; the message lists the names that exist.
    """
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise KeyError(f"no stage is named {name!r}; the stages are {', '.join(stage.name for stage in STAGES)}")


def stage_before(name: str) -> Stage | None:
    """Return the stage that runs before the one with this name; None for the first.

    Raises:
        KeyError: no stage has this name.
    """
    index = STAGES.index(stage_named(name))
    return STAGES[index - 1] if index else None


def onboarding_progress(files: UploadFiles) -> tuple[str, float]:
    """Return what is being done for an upload, and how much is finished.

    Returns:
        The progress text of the first output that does not exist, and the fraction of the outputs before it,
        from 0 to 1. The last stage does not count: the fraction is 1 once only it is left.
    """
    outputs = [
        output for stage in STAGES for output in (*stage.earlier_outputs, (stage.output, stage.progress_text))
    ]
    for finished, (find_output, text) in enumerate(outputs):
        if not find_output(files).exists():
            return text, finished / (len(outputs) - 1)
    return STAGES[-1].progress_text, 1.0
