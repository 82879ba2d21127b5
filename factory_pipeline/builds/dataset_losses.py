"""What a recipe's build loses: by the labels' own fault, or by that of the catalog or the archive.

A fault of the catalog or the archive never ends as a finished, smaller dataset: see `builds.lost_footprints`.
"""

import polars as pl

from factory_pipeline.builds.plan_keys import PlanKeys
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.errors import LostFootprintsError

ITEM_UNUSABLE = "item_unusable"
UNREADABLE = "asset_unreadable"
NO_SCENE = "no_scene"
NO_DATA = "no_data"
WHOSE = {ITEM_UNUSABLE: "the catalog", UNREADABLE: "the archive"}
"""Reasons that are not the labels' own fault, and whose they are."""
WHAT_TO_DO = {
    ITEM_UNUSABLE: "Check that --catalog is the one that you mean and that its items are complete",
    UNREADABLE: "Run the same command again when the archive is well",
}


def check_losses(settings: DatasetSettings, plan: PlanKeys) -> None:
    """Stop the build where the finished batches have lost too much; they are then extracted again.

    Args:
        settings: of the build.
        plan: its batches.

    Raises:
        LostFootprintsError: more labels than the build allows are lost to the catalog or the archive.
    """
    files = settings.files
    lost = {
        batch: _select_losses(pl.read_parquet(files.batch_rejects(batch)))
        for batch in plan.keys
        if files.batch(batch).exists() and files.batch_rejects(batch).exists()
    }
    count, planned = sum(rejects.height for rejects in lost.values()), plan.footprints
    if not count or (count <= settings.max_lost_share * planned and count < planned):
        return
    example = next(rejects for rejects in lost.values() if rejects.height).row(0, named=True)
    forget_lost(settings, plan)
    raise LostFootprintsError(
        f"{count:,} of the {planned:,} labels of this build are lost to {WHOSE[example['reason']]}, more than"
        f" the {settings.max_lost_share:.3g} that max_lost_share allows: {example['detail'].rstrip('.')}."
        f" {WHAT_TO_DO[example['reason']]}."
    )


def forget_lost(settings: DatasetSettings, plan: PlanKeys) -> None:
    """Remove every batch that has lost a label by no fault of its own: the next run extracts it again.

    Args:
        settings: of the build.
        plan: its batches.
    """
    files = settings.files
    for batch in plan.keys:
        ledger = files.batch_rejects(batch)
        if not ledger.exists():
            continue
        lost = _select_losses(pl.read_parquet(ledger))
        if lost.height:
            files.remove_batch(batch)
        if (lost["reason"] == ITEM_UNUSABLE).any():
            # Else the next run would read the same items again, however well the catalog is by then.
            files.drop_items()


def _select_losses(rejects: pl.DataFrame) -> pl.DataFrame:
    return rejects.filter(pl.col("reason").is_in(list(WHOSE)))
