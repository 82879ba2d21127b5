"""Splits of a build that do not share ground, and what is said where they do."""

import json

import numpy as np
import polars as pl
import pytest

from factory_pipeline.builds.gedi_splits import shots_left_out
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import RecipeError


def footprints(count: int = 400, start: int = 0) -> pl.LazyFrame:
    rng = np.random.default_rng(start)
    return pl.LazyFrame(
        {
            "shot_number": np.arange(start, start + count),
            "lon_lowestmode": rng.uniform(11, 11.2, count),
            "lat_lowestmode": rng.uniform(47, 47.2, count),
        }
    )


BOTH = {"train": footprints(), "test": footprints(start=1000)}
BLOCKS = Recipe.parse({"split": {"space": "blocks", "block_m": 2000}}, "test")


def test_without_it_nothing_is_left_out_and_the_recipe_is_what_it_was() -> None:
    plain = Recipe()
    assert all(frame.is_empty() for frame in shots_left_out(BOTH, plain, None).values())
    assert "split" not in json.loads(plain.canonical_json())
    assert Recipe.parse({"split": {"space": False}}, "off in YAML").digest() == plain.digest()
    assert BLOCKS.digest() != plain.digest()
    assert BLOCKS.extraction_digest() == plain.extraction_digest(), "what was extracted stays valid"


def test_each_footprint_of_ground_of_another_split_is_named_with_its_reason() -> None:
    out = shots_left_out(BOTH, BLOCKS, None)
    for split, frame in out.items():
        assert frame.schema == pl.Schema(REJECT_SCHEMA)
        assert set(frame["reason"]) == {"outside", "border"}
        shots = BOTH[split].collect()["shot_number"]
        assert frame["shot_number"].is_in(shots.implode()).all()
        assert frame["shot_number"].is_unique().all()
        assert 0 < frame.height < len(shots)
    assert all(shots_left_out(BOTH, BLOCKS, None)[split].equals(out[split]) for split in out)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"space": "blocks", "block_m": 500}, "split.block_m is 500; windows need 960 m"),
        ({"shares": {"train": 1}}, "split.shares names train"),
        ({"space": "tiles"}, "split.space"),
    ],
)
def test_what_can_not_be_is_refused(split: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.parse({"split": split}, "bad.yaml")
