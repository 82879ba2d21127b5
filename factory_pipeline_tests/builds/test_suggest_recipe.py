"""A recipe is suggested from what is known of labels and collections, and it is valid."""

from pathlib import Path
from typing import Any

import pytest

from factory_pipeline.builds.labels.label_file import describe_label_file
from factory_pipeline.builds.suggest_recipe import AROUND, RecipeChoices, suggest_recipe
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.label_sources import TableLabels
from factory_pipeline.errors import RecipeError

HEAD = "plot,lon,lat,day,crop"


def suggested(folder: Path, rows: int = 12, head: str = HEAD, **choices: Any) -> dict[str, Any]:
    """Of points a few kilometres apart."""
    path = folder / "fields.csv"
    lines = [
        f"p{n},{15 + n / 20},47,2021-06-0{n % 9 + 1},{('Maize', 'Wheat')[n % 2]},{('train', 'test')[n % 2]}"
        for n in range(rows)
    ]
    path.write_text(
        "\n".join([head, *lines] if "fold" in head else [head, *(x.rpartition(",")[0] for x in lines)])
    )
    found = describe_label_file(TableLabels(path=str(path)))
    given: dict[str, Any] = {
        "name": "crops",
        "sources": ("sentinel-2-l2a",),
        "time": found.time,
        "target": "crop",
        "classes": found.classes.get("crop"),
        "id": "plot",
    }
    document = suggest_recipe(path, found, RecipeChoices(**(given | choices)), folder)
    assert DatasetRecipe.parse(document, "suggested", folder).name == "crops"
    return document


def test_what_is_known_is_filled_in(tmp_path: Path) -> None:
    document = suggested(tmp_path)
    assert document["labels"] == {
        "kind": "points",
        "path": "fields.csv",
        "id": "plot",
        "time": {"column": "day"},
        "target": {"column": "crop", "classes": {1: "Maize", 2: "Wheat"}},
    }
    assert document["window"] == {"size": 64, "pixel_size": 10}
    source = document["sources"]["sentinel_2"]
    assert source["time"] == {"around": AROUND}
    assert source["select"] == "least_cloudy"
    assert document["splits"] == {"by": "random", "train": 70, "test": 20, "validation": 10}


def test_splits_of_the_file_are_taken(tmp_path: Path) -> None:
    document = suggested(tmp_path, head=f"{HEAD},fold")
    assert document["splits"] == {"by": "given", "column": "fold"}
    assert document["labels"]["extra"] == ["fold"]


def test_a_few_labels_that_overlap_fill_fewer_splits(tmp_path: Path) -> None:
    document = suggested(tmp_path, rows=2, classes={1: "Maize", 2: "Wheat"})
    assert document["splits"]["by"] == "random"
    assert "validation" not in document["splits"]


def test_assets_and_several_sources_of_one_kind_have_names(tmp_path: Path) -> None:
    document = suggested(tmp_path, sources=("sentinel-1-rtc:vh", "sentinel-1-rtc:vv", "cop-dem-glo-30"))
    assert list(document["sources"]) == ["sentinel_1", "sentinel_1_2", "cop"]
    assert document["sources"]["sentinel_1"]["assets"] == ["vh"]
    assert "time" not in document["sources"]["cop"]


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"sources": ()}, "At sources: name at least one collection"),
        ({"time": None}, "have a time each and the labels have none"),
        ({"sources": ("sentinel-9",)}, "sentinel-9"),
        ({"sources": ("sentinel-2-l2a:B99",)}, "B99"),
        ({"target": "yield"}, "there is no column 'yield'"),
    ],
)
def test_choices_that_make_no_recipe_are_told(choices: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=told):
        suggested(tmp_path, **choices)
