"""What the failed steps of a run said, in the user's words."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from factory_pipeline.storage.atomic import describe_refusal

if TYPE_CHECKING:
    import dagster as dg

DOING = {
    "gedi_footprints": "Reading the granules",
    "quality_footprints": "Filtering the footprints",
    "footprint_subset": "Drawing the subset",
    "sentinel2_chips": "Cutting the chips of Sentinel-2",
    "copdem_chips": "Cutting the chips of the terrain",
    "worldcover_chips": "Cutting the chips of land cover",
    "batch_dataset": "Writing the dataset file of a batch",
    "fused_dataset": "Fusing the batches",
    "gedi_collection": "Collecting the samples in the data lake",
    "gedi_upload": "Packing the dataset for its onboarding",
    "finetuned_model": "Training the model",
    "recipe_labels": "Reading the labels",
    "recipe_samples": "Cutting the windows of a batch",
    "recipe_dataset": "Fusing the batches",
    "recipe_collection": "Collecting the samples in the data lake",
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
            # The first cause is the actual error; Dagster wraps it in errors of its own.
            while error.cause:
                error = error.cause
            what = DOING.get(str(event.step_key), "A step")
            refused = describe_refusal(RuntimeError(error.message))
            said.append(
                f"{what} failed. {refused}"
                if refused
                else f"{what} failed with an unexpected error ({' '.join(error.message.split())});"
                f" the run {run_id[:8]} in the web UI has the full log, please report it."
            )
    return " ".join(said) or "The run failed; see its log in the web UI."
