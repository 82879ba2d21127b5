import polars as pl
import pytest

from factory_pipeline.builds.chips.landcover import NO_WORLDCOVER
from factory_pipeline.builds.chips.reading import UNREADABLE
from factory_pipeline.builds.chips.scene_classification import CENTER, CHECKED_CLASSES
from factory_pipeline.builds.chips.terrain import NO_DEM, SLOPE
from factory_pipeline.builds.reject_ledger import (
    EXTRACTION_REASONS,
    REJECT_SCHEMA,
    Cause,
    cause_of,
    reject_frame,
)
from factory_pipeline.hdf5.sample_checks import COMPLAINTS


@pytest.mark.parametrize("shots", [[], [2**63 - 1, 7], pl.Series("any", [1, 2], dtype=pl.Int64)])
def test_rejects_have_the_columns_of_the_ledger(shots: pl.Series | list[int]) -> None:
    rejects = reject_frame(shots, "quality", "agbd", "agbd > 0 is not true")
    assert rejects.schema == pl.Schema(REJECT_SCHEMA)
    assert rejects["shot_number"].to_list() == list(shots)
    for column, value in {"stage": "quality", "reason": "agbd", "detail": "agbd > 0 is not true"}.items():
        assert rejects[column].to_list() == [value] * len(shots)


def test_every_reason_of_extraction_has_a_cause():
    reasons = {CENTER, *CHECKED_CLASSES, *COMPLAINTS, NO_DEM, SLOPE, NO_WORLDCOVER, UNREADABLE, "no_product"}
    assert reasons <= EXTRACTION_REASONS.keys()
    assert cause_of("sentinel2", "cloud") is Cause.FOOTPRINT
    assert cause_of("copdem", "asset_unreadable") is Cause.ARCHIVE
    assert cause_of("quality", "a rule of one's own") is Cause.FOOTPRINT
    with pytest.raises(KeyError):
        cause_of("sentinel2", "a reason that nobody gave a cause")
