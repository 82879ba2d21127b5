"""The keys of a plan's batches."""

import polars as pl

from factory_pipeline.builds.plan_keys import PlanKeys, split_of


class Plan(PlanKeys):
    """A plan of three batches."""

    table = pl.DataFrame({"batch": ["test-0001-ab", "train-0001-cd", "test-0001-ab", "train-0002-ef"]})


def test_batches_are_in_the_order_of_the_plan_with_their_sizes():
    assert Plan().sizes == {"test-0001-ab": 2, "train-0001-cd": 1, "train-0002-ef": 1}
    assert Plan().keys_of("train") == ["train-0001-cd", "train-0002-ef"]


def test_a_split_may_have_hyphens():
    assert split_of("held-out-0001-ab") == "held-out"
