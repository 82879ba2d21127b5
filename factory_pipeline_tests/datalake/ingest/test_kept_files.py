"""Fused files are kept for their collection, or nothing is written."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from factory_pipeline.datalake.ingest.kept_files import file_state, keep_and_write
from factory_pipeline.errors import LakeError


@pytest.fixture
def fused(tmp_path: Path) -> Path:
    path = tmp_path / "train.h5"
    path.write_bytes(b"samples")
    return path


def test_a_later_fuse_does_not_remove_what_is_kept(fused: Path, tmp_path: Path) -> None:
    kept, written = tmp_path / "collection" / "train.h5", []
    keep_and_write([fused], [kept], [file_state(fused)], written.extend)
    fused.unlink()
    assert written == [kept]
    assert kept.read_bytes() == b"samples"
    assert [path.name for path in kept.parent.iterdir()] == ["train.h5"]


def test_a_file_that_changed_meanwhile_is_refused(fused: Path, tmp_path: Path) -> None:
    state = file_state(fused)
    os.utime(fused, ns=(1, 1))
    with pytest.raises(LakeError, match=r"train\.h5 changed while it was registered"):
        keep_and_write([fused], [tmp_path / "collection" / "train.h5"], [state], lambda _: None)
    assert list((tmp_path / "collection").iterdir()) == []


def test_nothing_is_kept_if_the_tables_fail(fused: Path, tmp_path: Path) -> None:
    def fail(paths: Sequence[Path]) -> None:
        assert paths[0].exists()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        keep_and_write([fused], [tmp_path / "collection" / "train.h5"], [file_state(fused)], fail)
    assert list((tmp_path / "collection").iterdir()) == []
    assert fused.exists()


def test_without_hard_links_the_file_itself_is_named(
    fused: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Path) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    written: list[Path] = []
    keep_and_write([fused], [tmp_path / "collection" / "train.h5"], [file_state(fused)], written.extend)
    assert written == [fused]
