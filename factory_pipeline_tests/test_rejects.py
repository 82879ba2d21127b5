import polars as pl
import pytest

from factory_pipeline.rejects import REJECT_SCHEMA, reject_frame


@pytest.mark.parametrize("shots", [[], [2**63 - 1, 7], pl.Series("any", [1, 2], dtype=pl.Int64)])
def test_rejects_have_the_columns_of_the_ledger(shots: pl.Series | list[int]) -> None:
    rejects = reject_frame(shots, "quality", "agbd", "agbd > 0 is not true")
    assert rejects.schema == pl.Schema(REJECT_SCHEMA)
    assert rejects["shot_number"].to_list() == list(shots)
    assert set(rejects["reason"]) <= {"agbd"}
