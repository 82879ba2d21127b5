"""The three splits."""

from factory_pipeline.config.dataset_splits import Splits
from factory_pipeline.onboarding.page.charts import Footprint
from factory_pipeline.splits.names import SPLITS, TEST, TRAIN, VALIDATION
from factory_pipeline.splits.split_map import COLORS


def test_recipes_manifests_and_maps_know_the_same_splits():
    assert (TRAIN, TEST, VALIDATION) == SPLITS
    assert set(COLORS) == set(SPLITS)
    assert set(SPLITS) <= set(Splits.model_fields)
    assert Footprint(TRAIN, "a", None, 0, 0).split in SPLITS
