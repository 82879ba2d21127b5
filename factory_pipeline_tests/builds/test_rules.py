"""Rules of a recipe, checked before any row is looked at."""

import math

import polars as pl
import pytest

from factory_pipeline.builds.rules import check_rules, rule_fields, without_nan
from factory_pipeline.config.recipe import QualityRule
from factory_pipeline.errors import RecipeError

TABLE = pl.DataFrame({"agbd": [100.123456, None, math.nan], "beam": ["a", "b", "b"]})


def rule(keep: str) -> QualityRule:
    """A rule named biomass."""
    return QualityRule(name="biomass", keep=keep)


def test_null_and_nan_fail():
    (checked,) = check_rules([rule("agbd > 50")], TABLE.schema)
    assert checked.passes(without_nan(TABLE)).to_list() == [True, False, False]


def test_a_sentence_has_the_values_in_four_digits():
    (checked,) = check_rules([rule("agbd < 50 AND beam = 'b'")], TABLE.schema)
    first, second, _ = checked.shortcomings(TABLE).to_list()
    assert first == "agbd < 50 AND beam = 'b' is not true, agbd is 100.1, beam is a"
    assert "agbd is missing" in second


def test_fields_are_those_of_all_rules():
    assert rule_fields([rule("a > 1"), rule("b = c")]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        ("agbd >", "can't be used"),
        ("agb > 50", "unknown column agb"),
        ("agbd + 1", "not true or false"),
        ("sum(agbd) > 1", "not true or false"),
    ],
)
def test_a_rule_that_can_not_be_used_is_named(keep: str, told: str):
    with pytest.raises(RecipeError, match=told) as error:
        check_rules([rule(keep)], TABLE.schema)
    assert "biomass" in str(error.value)
