"""Damage of an export is found by size and hash."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from factory_pipeline.datasets.exports.find_damage import find_damage
from factory_pipeline.datasets.exports.listing import LISTING, ExportedFile, files_hash

CONTENT = {"a.txt": b"first", "images/b.png": b"second"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export of two files, with its listing."""
    files = []
    for name, content in CONTENT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append(ExportedFile(name, len(content), digest, name.endswith(".png")))
    listed = {"content_hash": files_hash(tuple(files)), "files": [asdict(file) for file in files]}
    (tmp_path / LISTING).write_text(json.dumps(EXTRA | listed))
    return tmp_path


EXTRA = {"format": "Raw", "dataset": "forests", "version": "1.0.0"}


def test_an_unchanged_export_has_no_damage(folder: Path):
    assert list(find_damage(folder)) == []


def test_each_kind_of_damage_is_a_sentence(folder: Path):
    (folder / "a.txt").write_bytes(b"fiRst")
    (folder / "images" / "b.png").unlink()
    changed, missing = find_damage(folder)
    assert changed.startswith("a.txt was changed: its SHA-256 is")
    assert missing == "images/b.png is missing."
    (folder / "a.txt").write_bytes(b"longer than before")
    assert "has 18 bytes, not 5" in next(find_damage(folder))


def test_media_are_left_out_where_only_annotations_came(folder: Path):
    (folder / "images" / "b.png").unlink()
    assert list(find_damage(folder, media=False)) == []


def test_the_listing_of_another_export_is_damage(folder: Path):
    assert "belongs to another export" in next(find_damage(folder, "0" * 64))
