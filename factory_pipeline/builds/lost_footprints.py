"""A fault of the catalog or the archive never ends as a finished, smaller dataset.

Footprints are lost by their own fault (clouds, steep ground), which is what a recipe asks for, or by somebody
else's, which another run may do better. Those are counted over the whole build. Where they are more than the
build allows, it stops, and every batch that has some is taken back, so that the next run does it again.
"""

from collections.abc import Mapping

import polars as pl

from factory_pipeline.builds.plan_keys import PlanKeys
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA, Cause, lost_by_no_fault
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.errors import LostFootprintsError

WHAT_TO_DO = {
    Cause.CATALOG: "Check that --catalog is the one that you mean and that its items are complete",
    Cause.ARCHIVE: "Run the same command again when the archive is well",
    Cause.CHECK: "Look at what the ledger says of these samples, and correct the input",
}
MOST_REASONS = 5
"""Reasons that an error names."""
_NONE = pl.DataFrame(schema={**REJECT_SCHEMA, "cause": pl.String})


class Losses:
    """What a build has lost so far by no fault of the footprints; the ledger of a batch is read once."""

    def __init__(self, settings: BuildSettings, plan: PlanKeys) -> None:
        self._files = settings.files
        self._allowed = settings.max_lost_share
        self._plan = plan
        self._by_batch: dict[str, pl.DataFrame] = {}

    def add(self, batch: str, rejects: pl.DataFrame) -> None:
        """Count what a stage lost of a batch that is not finished.

        Args:
            batch: its key.
            rejects: of the stage, in REJECT_SCHEMA.

        Raises:
            LostFootprintsError: with this it is more than the build allows, however well the rest goes. What
                was lost is taken back.
        """
        lost = lost_by_no_fault(rejects)
        if lost.is_empty():
            return  # whoever loses something looks at the ledgers of all batches
        known = self._by_batch.get(batch, _NONE)
        # Terrain and land cover may lose the same footprint.
        self._by_batch[batch] = pl.concat([known, lost]).unique(
            "shot_number", keep="first", maintain_order=True
        )
        self.check()

    def check(self) -> None:
        """Stop the build where it has lost too much.

        Raises:
            LostFootprintsError: see `add`.
        """
        self._read_ledgers()
        lost, planned = pl.concat([_NONE, *self._by_batch.values()]), self._plan.footprints
        if lost.is_empty() or (lost.height <= self._allowed * planned and lost.height < planned):
            return
        self.remove_batches()
        raise LostFootprintsError(_sentence(lost, planned, self._allowed))

    def remove_batches(self) -> None:
        """Unmake every batch that has lost a footprint by no fault of its own: the next run does it again."""
        self._read_ledgers()
        for batch, lost in self._by_batch.items():
            if lost.height:
                self._files.remove_batch(batch)
        if any((lost["cause"] == Cause.CATALOG).any() for lost in self._by_batch.values()):
            # Else the next run would read the same items again, however well the catalog is by then.
            self._files.drop_items()
        self._by_batch.clear()

    def _read_ledgers(self) -> None:
        """Read the ledgers of the batches that were finished since the last look."""
        for batch in self._plan.keys:
            ledger = self._files.batch_rejects(batch)
            if batch not in self._by_batch and self._files.batch(batch).exists() and ledger.exists():
                self._by_batch[batch] = lost_by_no_fault(pl.read_parquet(ledger))


def no_sample_error(came_in: int, dropped: Mapping[str, int]) -> LostFootprintsError:
    """Return the error of a build without a sample.

    Args:
        came_in: footprints of the whole build.
        dropped: how many were dropped, by `stage: reason`.
    """
    counts = sorted(((count, reason) for reason, count in dropped.items() if count), reverse=True)
    named = ", ".join(f"{count:,} by {reason}" for count, reason in counts[:MOST_REASONS])
    others = max(len(counts) - MOST_REASONS, 0)
    return LostFootprintsError(
        f"Not one of the {came_in:,} footprints that came in can be a sample, so no dataset is written."
        f" Dropped were {named}{f' and for {others} other reasons' * bool(others)}; rejects.parquet says"
        " of each footprint why."
    )


def _sentence(lost: pl.DataFrame, planned: int, allowed: float) -> str:
    causes = [Cause(cause) for cause in lost["cause"].value_counts(sort=True)["cause"]]
    by_whom = " and ".join(causes)
    example = lost["detail"][0].rstrip(".")
    everything = lost.height >= planned
    share = "which are all" if everything else f"more than the {allowed:.3g} that max_lost_share allows"
    return (
        f"{lost.height:,} of the {planned:,} footprints of this build are lost to {by_whom}, {share}:"
        f" {_counts(lost)}; the first: {example}. {WHAT_TO_DO[causes[0]]}: the batches with these footprints"
        " are not kept, the others are."
        + ("" if everything else " A larger max_lost_share in build.yaml goes on without them.")
    )


def _counts(rejects: pl.DataFrame) -> str:
    """Return counts such as `207 asset_unreadable (sentinel2), 3 no_product (sentinel2)`."""
    counts = rejects.group_by("reason", "stage").len().sort(["len", "reason"], descending=[True, False])
    named = [
        f"{count:,} {reason} ({stage})" for reason, stage, count in counts.head(MOST_REASONS).iter_rows()
    ]
    others = counts.height - len(named)
    return ", ".join(named) + (f" and {others} other reasons" if others > 0 else "")
