"""What is wrong with a document: the key as the user wrote it, what is allowed there, and what was meant."""

from typing import Any

import pytest

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.problems import problems_of, suggest_names
from factory_pipeline.config.recipe import Section
from factory_pipeline.errors import RecipeError

RECIPE: dict[str, Any] = {
    "name": "lakes",
    "labels": {"kind": "polygons", "path": "lakes.geojson", "target": {"column": "class"}},
    "window": {"size": 64, "pixel_size": 30},
    "sources": {"dem": {"collection": "cop-dem-glo-30", "assets": ["data"]}},
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"labels": {**RECIPE["labels"], "kind": "polygon"}},
            "at labels.kind: it should be one of points, polygons, rasters, grid, gedi"
            " (did you mean polygons?)",
        ),
        ({"labels": {"path": "lakes.geojson"}}, "at labels.kind: it is missing"),
        ({"labels": {**RECIPE["labels"], "crs": "utm"}}, "at labels.crs: an EPSG code is a number such as"),
        (
            {"labels": {**RECIPE["labels"], "al_touched": True}},
            "at labels.al_touched: there is no such key (did you mean all_touched?)",
        ),
        (
            {"window": {"size": 64, "pixelsize": 30}},
            "at window.pixel_size: it is missing; at window.pixelsize: there is no such key"
            " (did you mean pixel_size or size?)",
        ),
        (
            {"sources": {"dem": {**RECIPE["sources"]["dem"], "tiem": {"around": "10d"}}}},
            "at sources.dem.tiem: there is no such key (did you mean time?)",
        ),
        ({"windows": {}}, "at windows: there is no such key (did you mean window?)"),
        ({"splits": {"train": "seventy"}}, "at splits: splits by random need percent for train, test and"),
        (
            {"splits": {"by": "time", "train": "2021"}},
            "at splits: splits by time need [first day, last day] for train",
        ),
    ],
)
def test_a_problem_has_the_key_of_the_user_and_what_was_meant(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError) as raised:
        DatasetRecipe.parse({**RECIPE, **changes}, "lakes.yaml")
    assert says in str(raised.value)


def test_what_is_no_document_at_all_is_shown_in_quotes() -> None:
    with pytest.raises(RecipeError, match="such as in `name: sites`; it is 'plot,lon,lat'"):
        DatasetRecipe.parse("plot,lon,lat", "plots.csv")
    with pytest.raises(RecipeError, match=r"it is 'plot,plot,plot,plot,plot,plot,plot, \.\.\.\."):
        DatasetRecipe.parse("plot," * 50, "plots.csv")


def test_a_value_of_several_kinds_has_its_reasons_at_one_place() -> None:
    class Document(Section):
        parts: dict[str, int | tuple[int, ...]]

    document = {"parts": {"a": "x", "b": 1}}
    with pytest.raises(ValueError, match="2 validation errors") as raised:
        Document.model_validate(document)
    told = problems_of(raised.value, Document, document)  # type: ignore[arg-type]
    assert told.startswith("at parts.a: it should be a valid integer")
    assert told.endswith(" or it should be a valid tuple")
    assert problems_of(raised.value, Document).startswith("at parts.a.int: ")  # type: ignore[arg-type]


def test_names_spelled_nearly_alike_are_suggested() -> None:
    assert suggest_names("b2", ["B02", "B03", "SCL"]) == " (did you mean B02?)"
    assert suggest_names("sky", ["B02"]) == ""
