"""Labels that are GEDI's shots: how a recipe names fields and filters, and what it may not say."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from factory_pipeline.config.dataset_recipe import DatasetRecipe, load_recipe
from factory_pipeline.config.gedi_labels import GediLabels, known_filters
from factory_pipeline.config.gedi_products import gedi_products
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import RecipeError

LABELS = {
    "kind": "gedi",
    "path": "granules",
    "products": {"L2A": ["rh98"]},
    "target": {"column": "rh98"},
    "extra": ["beam"],
}
RECIPE = {
    "name": "heights",
    "labels": LABELS,
    "window": {"size": 8, "pixel_size": 10},
    "sources": {"s2": {"collection": "sentinel-2-l2a", "assets": ["B04"], "time": {"around": "10d"}}},
    "splits": {"by": "column", "column": "beam", "train": "BEAM0101"},
}


def labels(**options: Any) -> GediLabels:
    return GediLabels.model_validate({"kind": "gedi", "path": "granules", **options})


def test_columns_are_named_by_their_fields() -> None:
    made = labels(
        products={
            "L4A": ["land_cover_data/pft_class", {"top": "xvar[0]"}],
            "L2A": ["rh98", {"median": "rh50"}, "rh", "geolocation/rh_a2[5]"],
        }
    )
    assert [(product, one.name, one.field, one.index) for product, one in made.columns()] == [
        ("L2A", "rh98", "rh", 98),
        ("L2A", "median", "rh", 50),
        ("L2A", "rh", "rh", None),
        ("L2A", "rh_a2_5", "geolocation/rh_a2", 5),
        ("L4A", "pft_class", "land_cover_data/pft_class", None),
        ("L4A", "top", "xvar", 0),
    ]
    described = made.described("rh_a2_5")
    assert described is not None
    assert (described.unit, described.profile) == ("m", None)
    assert made.described("beam") is None


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "percentile": ({"products": {"L2A": ["rh101"]}}, "rh has the values 0 to 100"),
    "place": ({"products": {"L2B": ["pai_z[30]"]}}, "pai_z has the values 0 to 29"),
    "field": ({"products": {"L2A": ["rh 98"]}}, "has 'rh 98'; a column is a field"),
    "name": ({"products": {"L2A": [{"my column": "rh98"}]}}, "has 'my column'; a column is a field"),
    "twice": (
        {"products": {"L2A": ["sensitivity"], "L4A": ["sensitivity"]}},
        "products.L4A gives a second column sensitivity; call it otherwise, such as {l4a_sensitivity:",
    ),
    "own": ({"products": {"L2A": ["beam"]}}, "a second column beam"),
    "nothing": ({"products": {}}, "at least 1 item"),
    "product": ({"products": {"L1B": ["rxwaveform"]}}, "'L2A', 'L2B', 'L4A' or 'L4C'"),
    "target": ({"target": {"column": "rh9"}}, "products have the columns rh98"),
    "extra": ({"extra": ["orbit"]}, "extra has 'orbit'; allowed are shot_number, beam"),
    "filter": ({"filters": "potapov"}, "not known .did you mean potapov-2021"),
    "classes": (
        {"products": {"L2A": ["rh"]}, "target": {"column": "rh", "classes": {1: "a"}}},
        "rh has several values per shot",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_allowed_is_named(case: str) -> None:
    options, message = WRONG[case]
    with pytest.raises(ValidationError, match=message):
        labels(**{"products": {"L2A": ["rh98"]}, **options})


def test_a_filter_of_ones_own_is_a_file_beside_the_recipe(tmp_path: Path) -> None:
    own = {
        "name": "mine",
        "title": "Mine",
        "products": {"L2A": ["sensitivity"]},
        "rules": ["sensitivity > 0.97"],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    document = {**RECIPE, "labels": {**LABELS, "filters": "mine.yaml"}}
    recipe = DatasetRecipe.parse(document, "of the test", tmp_path)
    assert isinstance(recipe.labels, GediLabels)
    assert recipe.labels.filters[0].rules[0].keep == "sensitivity > 0.97"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**own, "rules": []}))
    with pytest.raises(RecipeError, match=r"mine.yaml is not valid at rules"):
        DatasetRecipe.parse(document, "of the test", tmp_path)
    with pytest.raises(RecipeError, match="can't be read: No such file"):
        DatasetRecipe.parse(document, "of the test", tmp_path / "elsewhere")


def test_the_stored_recipe_is_the_recipe(tmp_path: Path) -> None:
    """The rules of a filter are stored with a dataset, not its name alone."""
    document = {**RECIPE, "labels": {**LABELS, "filters": "l2a-quality"}}
    recipe = DatasetRecipe.parse(document, "of the test", tmp_path)
    stored = recipe.canonical_json()
    assert "quality_flag = 1" in stored
    assert DatasetRecipe.parse(yaml.safe_load(stored), "stored").digest() == recipe.digest()


def test_splits_may_be_by_any_column(tmp_path: Path) -> None:
    by_height = {**RECIPE, "splits": {"by": "column", "column": "rh98", "train": "x"}}
    assert DatasetRecipe.parse(by_height, "of the test", tmp_path).splits.column == "rh98"
    with pytest.raises(RecipeError, match=r"name the column 'beam' in labels.extra too"):
        DatasetRecipe.parse({**RECIPE, "labels": {**LABELS, "extra": []}}, "of the test", tmp_path)


def test_without_products_it_is_the_gedi_dataset(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    assert isinstance(load_recipe(path), DatasetRecipe)
    path.write_text("labels: {kind: gedi, area: [0, 0, 1, 1]}")
    assert isinstance(load_recipe(path), Recipe)


@pytest.mark.parametrize("name", known_filters())
def test_each_filter_says_where_it_is_published(name: str) -> None:
    (one,) = labels(products={"L2A": ["rh98"]}, filters=name).filters
    assert one.name == name
    assert "doi:10." in one.reference or "https://" in one.reference


def test_fields_have_the_names_of_their_version() -> None:
    products = gedi_products()
    l2a, l2b = products["L2A"], products["L2B"]
    assert l2a.field_in("quality_flag", "002") == "quality_flag"
    assert l2a.field_in("quality_flag", "003") == "l2a_quality_flag_rel3"
    assert l2a.field_in("geolocation/quality_flag_a10", "004") == "geolocation/l2a_quality_flag_rel3_a10"
    assert l2a.field_in("l2a_quality_flag_rel2", "003") == "l2a_quality_flag_rel2"
    assert [l2b.field_in(l2b.latitude, version) for version in ("002", "003")] == [
        "geolocation/lat_lowestmode",
        "lat_lowestmode",
    ]
