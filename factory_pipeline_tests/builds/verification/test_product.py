"""Whether the product of a sample is one that the recipe allows, and the best of those."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely
from pyproj import Transformer

from factory_pipeline.builds.verification.product import GEDI_EPOCH, Shot, product_differences
from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.stac.items import Product

EPSG_32633 = Transformer.from_crs(4326, 32633, always_xy=True).transform
TIME = datetime(2020, 6, 10, 12, tzinfo=UTC)
SHOT = Shot(15.0, 47.0, (TIME - GEDI_EPOCH).total_seconds())
GRID = Grid(32633, 499_980, 5_300_040, 10, 10, 10_980, 10_980)
"""The shot is at its left edge, 20 m inside."""
WHOLE = Grid(32633, 399_960, 5_300_040, 10, 10, 10_980, 10_980)
RULES = Recipe().sentinel2


def product(name: str = "a", days: float = 1, clouds: float = 10, **more: Any) -> Product:
    given: dict[str, Any] = {
        "baseline": "05.00",
        "grid": WHOLE,
        "hrefs": {},
        "offset": 0,
        "outline": shapely.box(13.6, 46.5, 15.5, 48),
    }
    return Product(name, name, TIME + timedelta(days=days), clouds, **(given | more))


def told(chosen: Product, *others: Product, recipe: Recipe | None = None) -> list[str]:
    return product_differences(chosen, [chosen, *others], SHOT, recipe or Recipe())


def test_the_only_product_is_right() -> None:
    assert told(product()) == []
    assert SHOT.time == TIME
    assert SHOT.project(32633) == pytest.approx(EPSG_32633(15.0, 47.0))


def test_a_product_outside_the_rules_is_told_with_both_reasons() -> None:
    days, clouds = RULES.max_days + 1, RULES.max_cloud_cover
    found = told(product(days=days, clouds=clouds))
    assert len(found) == 2
    assert f"taken {days:.1f} days from the shot" in found[0]
    assert f"has {clouds:g} % cloud cover; below" in found[1]


def test_an_older_processing_is_told() -> None:
    older = product("a", processed=datetime(2021, 1, 1, tzinfo=UTC))
    newer = product("b", processed=datetime(2022, 1, 1, tzinfo=UTC))
    assert told(older, newer) == ["the product a is not the newest processing of its acquisition."]


@pytest.mark.parametrize(
    ("other", "is_better"),
    [
        ({"clouds": 1}, True),
        ({"clouds": 10}, False),
        ({"clouds": 1, "days": RULES.max_days + 5}, False),
        ({"clouds": 1, "outline": shapely.box(13, 46, 14, 48)}, False),
        ({"clouds": 1, "grid": GRID}, False),
    ],
    ids=["clearer", "as cloudy", "too late", "elsewhere", "window over the edge"],
)
def test_a_clearer_product_that_holds_the_window_is_better(other: dict[str, Any], is_better: bool) -> None:
    found = told(product(), product("b", **({"days": 2} | other)))
    assert bool(found) is is_better
    if found:
        assert found == ["the product b has 1 % cloud cover and holds the window too; a has 10 %."]


def test_with_several_candidates_a_clearer_one_may_have_failed_its_scene() -> None:
    recipe = Recipe()
    several = replace_candidates(recipe, 3)
    assert told(product(), product("b", days=2, clouds=1), recipe=several) == []


def replace_candidates(recipe: Recipe, candidates: int) -> Recipe:
    rules = recipe.sentinel2.model_copy(update={"candidates": candidates})
    return recipe.model_copy(update={"sentinel2": rules})
