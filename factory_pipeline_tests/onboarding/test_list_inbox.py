"""What an inbox contains: manifests, and archives that no manifest refers to; what changes their state."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.list_inbox import (
    InboxEntry,
    archive_stem,
    contents,
    list_entries,
    missing_manifest_error,
)
from factory_pipeline_tests.onboarding.factory import MANIFEST


def put(inbox: Path, name: str, url: str, **changes: Any) -> Path:
    path = inbox / name
    path.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": url, "dataset_name": "a", **changes}))
    return path


def names(entries: list[InboxEntry]) -> list[str]:
    return [Path(entry.manifest).name for entry in entries]


def test_manifests_come_by_name_and_hidden_files_are_not_there_yet(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".c.yaml"):
        put(tmp_path, name, "x.zip")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder.yaml").mkdir()
    assert names(list_entries(tmp_path)) == ["a.yml", "b.yaml"]
    assert contents(tmp_path / "none").manifests == []


def test_an_archive_without_a_manifest_is_a_stray(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "first.zip")
    put(tmp_path, "second.yaml", "https://host/x.zip")
    put(tmp_path, "third.yaml", str(tmp_path / "full.tar.gz"))
    for name in ("first.zip", "second.zip", "full.tar.gz", "alone.ZIP", ".hidden.zip"):
        (tmp_path / name).write_bytes(b"zip")
    found = contents(tmp_path)
    assert names(found.strays) == ["alone.ZIP"]
    assert [entry.host for entry in found.manifests] == ["", "host", ""]


def test_the_state_changes_with_the_manifest_and_with_its_archive(tmp_path: Path) -> None:
    def state() -> str:
        [entry] = list_entries(tmp_path)
        return entry.state

    path = put(tmp_path, "a.yaml", "a.zip")
    states = [state(), state()]
    (tmp_path / "a.zip").write_bytes(b"half")
    states.append(state())
    (tmp_path / "a.zip").write_bytes(b"the whole")
    states.append(state())
    os.utime(path, (1, 1))
    states.append(state())
    assert states[0] == states[1]
    assert len(set(states)) == 4
    (tmp_path / "other.txt").touch()
    assert state() == states[-1]


def test_a_manifest_that_can_not_be_read_is_there_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dataset_url: [")
    [entry] = list_entries(tmp_path)
    assert (Path(entry.manifest).name, entry.host) == ("a.yaml", "")
    assert entry.put > 0


def test_what_is_neither_folder_nor_store_is_refused() -> None:
    with pytest.raises(OnboardingError, match="neither a folder nor a prefix of an object store") as error:
        contents("https://user:SECRET@host/inbox")
    assert error.value.code == "SCHEME_NOT_ALLOWED"
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "stem"), [("a.zip", "a"), ("a.b.tar.gz", "a.b"), ("A.TGZ", "A"), ("a.txt", "a.txt")]
)
def test_the_manifest_of_an_archive_has_its_name(name: str, stem: str) -> None:
    assert archive_stem(name) == stem
    assert f"put {stem}.yaml beside it" in str(missing_manifest_error(name))
