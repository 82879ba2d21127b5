"""The listing of an export."""

import json
from dataclasses import asdict

import pytest

from factory_pipeline.datasets.exports.listing import ExportedFile, files_hash, parse_exported
from factory_pipeline.errors import ExportError

FILES = (ExportedFile("a.txt", 3, "0" * 64, False),)
LISTED = {
    "format": "Raw",
    "dataset": "forests",
    "version": "1.0.0",
    "content_hash": files_hash(FILES),
    "files": [asdict(file) for file in FILES],
}


def test_a_listing_is_read_as_it_was_written():
    assert parse_exported(json.dumps(LISTED), "here").files == FILES


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"content_hash": "1" * 64}, "of here has changed"),
        ({"files": [{"path": "a.txt"}]}, "not complete"),
        ({"more": 1}, "not complete"),
    ],
)
def test_a_listing_that_was_changed_is_refused(change: dict[str, object], told: str):
    with pytest.raises(ExportError, match=told):
        parse_exported(json.dumps(LISTED | change), "here")


def test_the_hash_depends_on_every_fact_of_a_file():
    others = [
        ExportedFile("b.txt", 3, "0" * 64, False),
        ExportedFile("a.txt", 4, "0" * 64, False),
        ExportedFile("a.txt", 3, "1" * 64, False),
        ExportedFile("a.txt", 3, "0" * 64, True),
    ]
    assert len({files_hash((file,)) for file in (*FILES, *others)}) == 5
