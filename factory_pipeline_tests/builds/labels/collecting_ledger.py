"""A ledger that keeps the labels that are left out, for tests."""

import polars as pl

from factory_pipeline.builds.labels.label_table import REJECT_SCHEMA, RejectLedger


class CollectingLedger(RejectLedger):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self._parts = [pl.DataFrame(schema=REJECT_SCHEMA)]

    def append(self, rejects: pl.DataFrame) -> None:
        super().append(rejects)
        self._parts.append(rejects)

    @property
    def rejects(self) -> pl.DataFrame:
        """All of it, in REJECT_SCHEMA."""
        return pl.concat(self._parts)

    @property
    def reasons(self) -> dict[str, str]:
        """The reason of each label."""
        return dict(self.rejects.select("id", "reason").iter_rows())
