"""Facts of samples, and checks that name them."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from factory_pipeline.builds.sample_facts import fact_schema, facts_of, parse_checks, steps_with_data
from factory_pipeline.config.dataset_recipe import SampleCheck
from factory_pipeline.errors import RecipeError

VALID = np.zeros((2, 2, 4, 4), bool)
VALID[0] = True
VALID[1, 0, :2] = True
STACK = cast(Any, SimpleNamespace(valid=VALID, clouds=np.array([12.0, np.nan])))
SOURCES = cast(Any, {"s2": None, "dem": None})


def check(keep: str) -> list[Any]:
    """One check, parsed."""
    return parse_checks([SampleCheck(name="data", keep=keep)], SOURCES)


def test_facts_are_of_each_window():
    facts = facts_of({"s2": STACK})
    assert facts["s2.valid_share"].to_list() == [1.0, 0.25]
    assert facts["s2.steps"].to_list() == steps_with_data(STACK).tolist() == [2, 1]
    assert facts["s2.cloud_cover"].to_list() == [12.0, None]


def test_a_check_names_a_source_and_a_fact():
    (rule,) = check("s2.valid_share > 0.5 AND 's2.x' = 's2.x'")
    assert rule.passes(facts_of({"s2": STACK, "dem": STACK})).to_list() == [True, False]
    assert list(fact_schema(SOURCES))[:2] == ["s2.valid_share", "s2.steps"]


def test_an_unknown_fact_is_named():
    with pytest.raises(RecipeError, match=r"s2\.haze"):
        check("s2.haze < 1")
