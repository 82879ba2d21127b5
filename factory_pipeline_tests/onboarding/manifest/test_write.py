"""Writing a manifest, and what is proposed for it."""

from pathlib import Path

import yaml

from factory_pipeline.onboarding.manifest.write import categories_of, manifest_text, write_manifest


def test_an_archive_beside_the_manifest_is_named_by_its_name(tmp_path: Path):
    path = tmp_path / "manifest.yaml"
    beside = {"dataset_url": str(tmp_path / "a.zip"), "purpose": "Segmentation"}
    write_manifest(beside, path)
    assert yaml.safe_load(path.read_text()) == beside | {"dataset_url": "a.zip"}
    for other in ("/elsewhere/a.zip", "https://host/a.zip"):
        assert yaml.safe_load(manifest_text({"dataset_url": other}, path)) == {"dataset_url": other}


def test_keys_stay_in_order_and_letters_as_they_are(tmp_path: Path):
    text = manifest_text({"dataset_name": "Wälder", "a": 1}, tmp_path / "manifest.yaml")
    assert text == "dataset_name: Wälder\na: 1\n"


def test_values_without_a_name_are_called_by_their_value():
    found = categories_of(list(range(10)), {1: "water"})
    assert [category["name"] for category in found[:2]] == ["Class 0", "water"]
    assert len({category["color"] for category in found}) == 10
