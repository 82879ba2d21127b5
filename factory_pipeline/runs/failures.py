"""What the failed steps of a run said, in the user's words."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from factory_pipeline import errors
from factory_pipeline.datalake.registry.outage import describe_outage_in
from factory_pipeline.storage.atomic import describe_refusal

if TYPE_CHECKING:
    import dagster as dg
    from dagster._utils.error import SerializableErrorInfo

DOING = {
    "gedi_footprints": "Reading the granules",
    "quality_footprints": "Filtering the footprints",
    "footprint_subset": "Drawing the subset",
    "sentinel2_chips": "Cutting the chips of Sentinel-2",
    "copdem_chips": "Cutting the chips of the terrain",
    "worldcover_chips": "Cutting the chips of land cover",
    "batch_dataset": "Writing the dataset file of a batch",
    "fused_dataset": "Fusing the batches",
    "gedi_collection": "Registering the samples in the data lake",
    "gedi_upload": "Packing the dataset for its onboarding",
    "finetuned_model": "Training the model",
    "recipe_labels": "Reading the labels",
    "recipe_samples": "Cutting the windows of a batch",
    "recipe_dataset": "Fusing the batches",
    "recipe_collection": "Registering the samples in the data lake",
}
"""What the assets do, as the progress line shows it."""


def describe_failure(run_id: str, events: "Iterable[dg.DagsterEvent]") -> str:
    """Return what the failed steps of a run said, in the user's words.

    Args:
        run_id: of the run.
        events: of the run; others than failures of steps are passed over.
    """
    said = []
    for event in events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            said.append(data.user_failure_data.description)
        elif error := data.error:
            # The first cause is the actual error, as Dagster wraps it in errors of its own; or the first one
            # that is written for users, which may have a library's error as its cause.
            while error.cause and not _is_for_users(error):
                error = error.cause
            what = DOING.get(str(event.step_key), "A step")
            if _is_for_users(error):
                said.append(f"{what} failed. {error.message.partition(': ')[2].strip()}")
                continue
            refused = (
                describe_refusal(RuntimeError(error.message))
                or _describe_forbidden(error.message)
                or describe_outage_in(error.message)
            )
            said.append(
                f"{what} failed. {refused}"
                if refused
                else f"{what} failed with an unexpected error ({' '.join(error.message.split())});"
                f" the run {run_id[:8]} in the web UI has the full log, please report it."
            )
    return " ".join(said) or "The run failed; see its log in the web UI."


def _is_for_users(error: "SerializableErrorInfo") -> bool:
    kind = getattr(errors, error.cls_name or "", None)
    return isinstance(kind, type) and issubclass(kind, errors.FactoryError)


def _describe_forbidden(message: str) -> str | None:
    """Return which path the system refuses to have read or written; None for another error."""
    found = re.search(r"\[Errno (\d+)\] ([^:]+): '([^']+)'", message)
    if found is None or int(found[1]) not in errors.FORBIDDEN:
        return None
    return errors.describe_os_error(OSError(int(found[1]), found[2], found[3]))
