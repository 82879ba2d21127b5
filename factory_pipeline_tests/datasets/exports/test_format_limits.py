"""Why a format can not hold a version, told before the version is made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
from factory_pipeline.datasets.exports.format_limits import check_fitness
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    made_lake,
    measured,
    request,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[MadeLake]:
    with made_lake(tmp_path / "home") as made:
        yield made


def refusal(lake: MadeLake, *export_types: str, **asked: Any) -> str:
    """Why a version is not made, of which nothing is left."""

    def check(manifest: Path) -> None:
        check_fitness(manifest, export_types)

    with pytest.raises(ArgumentError) as raised:
        create_version(lake.registry, lake.home, request(**asked), check=check)
    assert lake.registry.datasets() == []
    assert list(lake.home.versions.iterdir()) == []
    return str(raised.value)


@pytest.mark.parametrize("export_type", ["Release", "Release Pixels"])
def test_why_a_release_can_not_hold_a_version(lake: MadeLake, export_type: str) -> None:
    collection = lake.add("a", {"one": 1, "two": 2})
    agbd = lake.raster("agbd", 1.5, "float32")
    line = {"item": "two", "type": "line", "label": "road", "bbox": [0.0, 0.0, 4.0, 4.0]}
    line["rings"] = [[[0.0, 0.0], [4.0, 4.0]]]
    lake.annotate(collection, [box("one", "odd"), measured("one", "AGBD", agbd), line])
    of_a = {"collection_id": collection.id}
    told = refusal(lake, export_type, labels=("road",), **of_a)
    assert "no form for lines, and 1 item is otherwise, such as 'two'; 'RAW'" in told
    told = refusal(lake, export_type, labels=("AGBD",), **of_a)
    assert "every item has a number, or none has, and 1 item is otherwise, such as 'two'" in told
    told = refusal(lake, export_type, labels=("AGBD", "odd"), query="annotation.label=odd", **of_a)
    assert "labels are either numbers, or drawings and classes" in told
    lake.register("b", lake_items(lake, collection).with_columns(id=pl.lit("three"), width=pl.lit(9)))
    told = refusal(lake, export_type, labels=("odd",))
    assert "its images have one size, number of bands and type, and those of" in told


def test_other_reasons_why_a_format_can_not_hold_a_version(lake: MadeLake) -> None:
    collection = lake.add("a", {"one": 1, "two": 2})
    lake.annotate(
        collection, [box("one", " odd "), measured("one", "AGBD", lake.raster("agbd", 1.5, "float32"))]
    )
    lake.register("b", lake_items(lake, collection).with_columns(id=pl.lit("three"), width=pl.lit(9)))
    assert "a label must be one line without space around it, and ' odd ' is not" in refusal(
        lake, "YOLO Darknet", labels=(" odd ",)
    )
    assert "a regression needs measured values of every item, and 1 have none, such as 'two'" in refusal(
        lake, "TerraTorch", labels=("AGBD",), collection_id=collection.id
    )
    assert (
        "one array for all S2 images of train, and they differ: there are 8 x 6 pixels in 3 bands"
        in refusal(lake, "HDF5", labels=("AGBD",))
    )
    only_test = {"train": 0.0, "test": 100.0, "validation": 0.0}
    assert "the train split needs an image, and it has none" in refusal(
        lake, "TerraTorch", labels=("AGBD",), split_info=only_test
    )


def lake_items(lake: MadeLake, collection: Collection) -> pl.DataFrame:
    """One item of another place and so another content."""
    row = lake._item(lake.home.root / "media" / "b" / "three.tif", "three", 3)
    assert collection.item_count
    return pl.DataFrame([row], schema=ITEM_SCHEMA)
