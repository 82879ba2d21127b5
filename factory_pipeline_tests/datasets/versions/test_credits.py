"""Licences and makers of collections go with every export of a version."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datasets.exports.write_export import CREDITS, export_version
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, made_lake, request

FORESTS = {
    "license": "CC-BY-4.0",
    "providers": [{"name": "Forest agency", "roles": ["producer"]}],
    "links": [{"rel": "license", "href": "https://example.org/licence", "title": "Forests"}],
}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[MadeLake]:
    with made_lake(tmp_path / "home") as made:
        yield made


def state(lake: MadeLake, collection: Collection, credits: dict[str, Any]) -> None:
    """Have the table of a collection say these, as a build of a recipe does."""
    path = lake.home.root / collection.items_path
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata)
    stated = json.loads(metadata[b"stac-geoparquet"])
    for each in stated["collections"].values():
        each.update(credits)
    metadata[b"stac-geoparquet"] = json.dumps(stated).encode()
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_credits_of_every_collection_that_states_any_are_in_an_export(lake: MadeLake, tmp_path: Path) -> None:
    for name, number, credits in (
        ("woods", 1, FORESTS),
        ("fields", 2, {"license": "MIT"}),
        ("silent", 3, {}),
    ):
        collection = lake.add(name, {name: number})
        lake.annotate(collection, [box(name, "Balloon")])
        state(lake, collection, credits)
    version = create_version(lake.registry, lake.home, request())
    with open_content(lake.registry, lake.home, version.id) as content:
        export_version(content, "HF", tmp_path / "out")
    assert json.loads((tmp_path / "out" / CREDITS).read_text()) == [
        {"collection": "fields", "license": "MIT", "providers": [], "links": []},
        {"collection": "woods", **FORESTS},
    ]
    info = json.loads((tmp_path / "out" / "train" / "dataset_info.json").read_text())
    assert info["license"] == "CC-BY-4.0, MIT"
    listed = json.loads((tmp_path / "out" / "export.json").read_text())["files"]
    assert CREDITS in [each["path"] for each in listed]


def test_where_nothing_is_stated_there_is_no_file(lake: MadeLake, tmp_path: Path) -> None:
    lake.annotate(lake.add("a", {"x": 1}), [box("x", "Balloon")])
    version = create_version(lake.registry, lake.home, request())
    with open_content(lake.registry, lake.home, version.id) as content:
        assert content.credits == ()
        export_version(content, "RAW", tmp_path / "out")
    assert not (tmp_path / "out" / CREDITS).exists()
