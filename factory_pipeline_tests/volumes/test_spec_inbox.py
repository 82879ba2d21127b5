"""Specs of image pairs in an inbox."""

import json
from pathlib import Path

import pytest

from factory_pipeline.errors import SpecError
from factory_pipeline.storage.pair_set_files import PairSetFiles
from factory_pipeline.volumes.spec_inbox import list_specs, receive_spec
from factory_pipeline_tests.volumes.factories import spec_of


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "My pairs.json").write_text(json.dumps(spec_of("gs://bucket/image", note="kept")))
    return tmp_path / "inbox"


def test_the_key_names_the_content(inbox: Path) -> None:
    (inbox / ".partial.json").write_text("{}")
    (inbox / "notes.txt").write_text("")
    (first,) = list_specs(inbox)
    assert first.startswith("my-pairs@")
    (inbox / "My pairs.json").write_text(json.dumps(spec_of("gs://bucket/image")))
    (second,) = list_specs(inbox)
    assert second.split("@")[0] == "my-pairs"
    assert second != first


def test_a_spec_is_kept_when_the_inbox_is_emptied(inbox: Path, tmp_path: Path) -> None:
    (key,) = list_specs(inbox)
    files = PairSetFiles(tmp_path / "pairs")
    document, unknown = receive_spec(inbox, key, files)
    assert unknown == ["$.note"]
    (inbox / "My pairs.json").unlink()
    assert receive_spec(inbox, key, files) == (document, unknown)


def test_a_spec_that_changed_meanwhile_has_another_key(inbox: Path, tmp_path: Path) -> None:
    (key,) = list_specs(inbox)
    (inbox / "My pairs.json").write_text(json.dumps(spec_of("gs://bucket/other")))
    with pytest.raises(SpecError, match=f"The spec {key} is no longer in"):
        receive_spec(inbox, key, PairSetFiles(tmp_path / "pairs"))


def test_credentials_are_refused_and_nothing_is_kept(inbox: Path, tmp_path: Path) -> None:
    (inbox / "My pairs.json").write_text(json.dumps(spec_of("https://user:secret@host/image")))
    (key,) = list_specs(inbox)
    files = PairSetFiles(tmp_path / "pairs")
    with pytest.raises(SpecError, match="has an address with credentials or a signature") as raised:
        receive_spec(inbox, key, files)
    assert "secret" not in str(raised.value)
    assert not files.spec.exists()
