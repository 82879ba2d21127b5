"""`croissant.json` against what the specification of Croissant 1.1 asks for."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory_pipeline.onboarding.products.croissant import croissant, write_croissant
from factory_pipeline.onboarding.products.stac_items import write_items
from factory_pipeline.splits.assign import random_split, write_split_files
from factory_pipeline_tests.onboarding.curated import Curated, onboarded

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}


def _described(curated: Curated) -> dict[str, Any]:
    split = random_split(curated.items, SHARES, 0)
    write_split_files(curated.root / "split_files", split)
    write_items(curated.root / "items.parquet", curated.items.lazy(), split, "floods", "")
    document = croissant(
        curated.root,
        curated.manifest,
        "1.0.0",
        date(2026, 5, 1),
        ("split_files/train_data.txt",),
        license_url="https://creativecommons.org/licenses/by/4.0/",
    )
    write_croissant(curated.root / "croissant.json", document)
    return json.loads((curated.root / "croissant.json").read_text())


def _nodes(value: Any) -> list[dict[str, Any]]:
    """Every object of a document that has a type."""
    if isinstance(value, list):
        return [node for part in value for node in _nodes(part)]
    if not isinstance(value, dict):
        return []
    return [value] * ("@type" in value) + [node for part in value.values() for node in _nodes(part)]


@pytest.mark.parametrize("purpose", ["Segmentation", "Regression"])
def test_it_holds_what_the_specification_requires(tmp_path: Path, purpose: str) -> None:
    document = _described(onboarded(tmp_path, 5, purpose, ("S2", "S1")))
    required = {"@context", "@type", "conformsTo", "description", "license", "name", "url", "creator"}
    assert required | {"datePublished"} <= set(document)
    assert document["@type"] == "sc:Dataset"
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert document["@context"]["cr"] == "http://mlcommons.org/croissant/"
    for node in _nodes([document["distribution"], document["recordSet"]]):
        wanted = {
            "cr:FileObject": {"@id", "name", "contentUrl", "encodingFormat", "sha256"},
            "cr:FileSet": {"@id", "includes", "encodingFormat"},
            "cr:RecordSet": {"@id", "field"},
            "cr:Field": {"@id", "dataType"},
        }[node["@type"]]
        assert wanted <= set(node)


def test_every_reference_leads_to_a_node(tmp_path: Path) -> None:
    document = _described(onboarded(tmp_path, 5, modalities=("S2", "S1")))
    nodes = _nodes(document["distribution"]) + _nodes(document["recordSet"])
    names = [node["@id"] for node in nodes]
    assert len(names) == len(set(names))

    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [name for part in value for name in references(part)]
        if not isinstance(value, dict):
            return []
        if set(value) == {"@id"}:
            return [value["@id"]]
        return [name for key, part in value.items() if key != "data" for name in references(part)]

    found = references(document["recordSet"])
    assert found
    assert set(found) <= set(names)


def test_files_are_there_with_their_checksums(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 5, modalities=("S2", "S1"))
    document = _described(curated)
    for node in document["distribution"]:
        if node["@type"] == "cr:FileObject":
            content = (tmp_path / node["contentUrl"]).read_bytes()
            assert node["sha256"] == hashlib.sha256(content).hexdigest()
            assert node["contentSize"] == f"{len(content)} B"
        else:
            assert len(list(tmp_path.glob(node["includes"]))) == 5


def test_records_are_columns_of_the_items(tmp_path: Path) -> None:
    document = _described(onboarded(tmp_path, 5, modalities=("S2", "S1")))
    table = pl.read_parquet(tmp_path / "items.parquet")
    (pairs,) = [node for node in document["recordSet"] if node["@id"] == "pairs"]
    columns = [field["source"]["extract"]["column"] for field in pairs["field"]]
    assert {"id", "split", "image_path_S2", "image_path_S1", "label_path", "sha256"} <= set(columns)
    for row in table.select(columns).iter_rows(named=True):
        assert all((tmp_path / row[name]).is_file() for name in columns if "path" in name)
    (splits,) = [node for node in document["recordSet"] if node["@id"] == "splits"]
    assert set(table["split"]) == {record["splits/name"] for record in splits["data"]}


def test_categories_are_records_of_a_segmentation_only(tmp_path: Path) -> None:
    segments = _described(onboarded(tmp_path / "a", 5))
    (categories,) = [node for node in segments["recordSet"] if node["@id"] == "categories"]
    assert [record["categories/name"] for record in categories["data"]] == ["Land", "Water", "Cloud"]
    regression = _described(onboarded(tmp_path / "b", 5, "Regression"))
    assert [node["@id"] for node in regression["recordSet"]] == ["splits", "pairs"]


def test_the_address_is_shown_without_its_signature(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 5)
    signed = curated.manifest.model_copy(update={"dataset_url": "https://host/a.zip?sig=secret"})
    document = _described(Curated(curated.root, signed, curated.items))
    assert document["url"] == "https://host/a.zip"
