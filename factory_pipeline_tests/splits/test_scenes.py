"""Tiles of one scene, as their names say it, fall to one split."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from factory_pipeline.errors import OnboardingError
from factory_pipeline.splits.assign import split_by_rule
from factory_pipeline.splits.rule_record import record_of_rule
from factory_pipeline.splits.scenes import SCENE, with_scenes
from factory_pipeline.splits.split_rule import RandomSplit, SplitRule, read_split_rule
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.onboarding.curated import items_frame

PATTERN = r"\.(T\w{5}\.\d{7})\."


def named(scenes: list[int], strays: int = 0) -> pl.DataFrame:
    """Tiles of scenes, named as those of a set of burn scars, and images of no scene."""
    names = [
        f"subsetted_512x512_HLS.S30.T10SD{'ABCDEFGH'[scene]}.2020248.v1.4_{number}"
        for number, scene in enumerate(scenes)
    ]
    return items_frame([{"original_name": name} for name in [*names, *(f"stray {n}" for n in range(strays))]])


@pytest.mark.integration
@given(
    scenes=st.lists(st.integers(0, 7), min_size=12, max_size=60).filter(lambda scenes: len(set(scenes)) > 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=up_to(25))
def test_a_scene_is_in_one_split_and_an_image_of_none_is_alone(scenes: list[int], seed: int) -> None:
    items, rule = named(scenes, strays=3), RandomSplit(seed=seed, scene=PATTERN)
    split = split_by_rule(items, rule)
    sides = with_scenes(items, PATTERN).join(split, on="stem").drop_nulls(SCENE)
    assert sides[SCENE].n_unique() == len(set(scenes))
    assert sides.group_by(SCENE).agg(pl.col("split").n_unique())["split"].max() == 1
    assert split["split"].n_unique() == 3
    record = record_of_rule(items, split, rule)
    assert record.promises_zero
    assert record.groups == len(set(scenes)) + 3


def test_a_manifest_names_the_scene_by_an_expression() -> None:
    document = {"train": 70, "test": 20, "val": 10, "scene": PATTERN}
    rule = TypeAdapter(SplitRule).validate_python(read_split_rule(document))
    assert (rule.method, rule.scene) == ("random", PATTERN)
    assert TypeAdapter(SplitRule).validate_python(read_split_rule({"by": "mgrs", "scene": PATTERN})).scene


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("tile", "must have one group"), ("(a)(b)", "must have one group"), ("(", "is no regular expression")],
)
def test_an_expression_that_names_no_scene_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RandomSplit(scene=pattern)


def test_names_that_do_not_match_and_too_few_scenes_are_named() -> None:
    with pytest.raises(OnboardingError, match=r"matches none of the 4 names, such as stray 0"):
        split_by_rule(named([], strays=4), RandomSplit(scene=PATTERN))
    with pytest.raises(OnboardingError, match="form 2 groups by scene and 3 splits are to be filled"):
        split_by_rule(named([0, 0, 1, 1, 1]), RandomSplit(scene=PATTERN))
