"""The record of each granule of an aggregation."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from factory_pipeline.builds.gedi.granule_manifest import (
    READER,
    GranuleRecord,
    SourceState,
    load_manifest,
    load_source_state,
    manifest_path,
    save_manifest,
)
from factory_pipeline.errors import GranuleError

READ = GranuleRecord(100, "v1", ("sensitivity",), rows=7, missing=("pft",), reader=READER)
REFUSED = GranuleRecord(100, "v1", ("sensitivity",), reason="It is truncated.", reader=READER)


def test_records_and_the_state_of_the_source_come_back_in_order(tmp_path: Path) -> None:
    state = SourceState(("gone.h5",), {"sub/a.h5": "It is in a sub-folder."})
    save_manifest(tmp_path, {"b.h5": REFUSED, "a.h5": READ}, state)
    assert load_manifest(tmp_path) == {"a.h5": READ, "b.h5": REFUSED}
    assert list(load_manifest(tmp_path)) == ["a.h5", "b.h5"]
    assert load_source_state(tmp_path) == state


def test_a_store_without_manifest_is_empty(tmp_path: Path) -> None:
    assert load_manifest(tmp_path) == {}
    assert load_source_state(tmp_path) == SourceState()


def test_what_an_earlier_reader_refused_is_tried_again(tmp_path: Path) -> None:
    old = {"read.h5": replace(READ, reader=1), "refused.h5": replace(REFUSED, reader=1)}
    save_manifest(tmp_path, old, SourceState())
    assert list(load_manifest(tmp_path)) == ["read.h5"]


def test_fields_that_were_not_asked_for_do_not_matter_unless_the_granule_was_refused() -> None:
    assert READ.has_fields(())
    assert READ.has_fields(("sensitivity",))
    assert not READ.has_fields(("sensitivity", "pft"))
    assert not REFUSED.has_fields(())
    assert REFUSED.has_fields(("sensitivity",))


def test_a_granule_without_version_was_unavailable() -> None:
    assert replace(REFUSED, version="").is_unavailable
    assert not REFUSED.is_unavailable
    assert not replace(READ, version="").is_unavailable


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"format": 0}), json.dumps({"format": 1})])
def test_a_damaged_manifest_says_how_to_go_on(tmp_path: Path, text: str) -> None:
    manifest_path(tmp_path).write_text(text)
    with pytest.raises(GranuleError, match=f"can't be used .*; remove {tmp_path} to read all granules again"):
        load_manifest(tmp_path)
