"""The manifest of a version, and what its header says of it."""

import pytest

from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.manifest import read_header
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    mask,
    request,
)

pytestmark = pytest.mark.integration


def test_the_registry_knows_what_was_asked_and_where_the_items_are_from(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    asked = request(collection_id=collection.id, export_types=("RAW",))
    version = create_version(lake.registry, lake.home, asked)
    assert DatasetRequest.from_json(version.spec) == asked
    assert version.manifest_path == f"versions/{version.id}/manifest.parquet"
    header = read_header(lake.home.version(version.id).manifest)
    assert version.content_hash == header.content_hash
    with pytest.raises(RegistryError, match=r"while versions contain its items: 'Balloons' 1\.0\.0"):
        lake.registry.delete_collection(collection.id)


def test_the_header_of_a_manifest_sums_it_up(lake: MadeLake) -> None:
    collection = lake.add("fair", {name: number for number, name in enumerate("abcde")})
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Balloon", 3), box("b", "Cloud")])
    asked = request(labels=("Cloud", "Balloon"), split_info={"train": 60, "test": 20, "validation": 20})
    version = create_version(lake.registry, lake.home, asked)
    header = read_header(lake.home.version(version.id).manifest)
    assert header.items == {"train": 3, "test": 1, "validation": 1}
    assert header.annotations == {"Cloud": 1, "Balloon": 2}
    assert header.values == {"Cloud": 1, "Balloon": 2}
    assert header.modalities == {"S2": ("B04", "B03", "B02")}
    assert str(header.dated) == "2024-01-05 00:00:00+00:00"


def test_values_of_masks_are_kept_and_counted_once(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    raster = lake.raster("classes", 7)
    lake.annotate(collection, [mask("a", "Water", raster, 7), mask("b", "Land", raster, 0)])
    version = create_version(lake.registry, lake.home, request(labels=("Land", "Water")))
    assert read_header(lake.home.version(version.id).manifest).values == {"Land": 0, "Water": 7}
