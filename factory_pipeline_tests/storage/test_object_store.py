"""What a store said lately of its objects; test_real_stores shows the rest on real ones."""

from pathlib import Path

import obstore
import pytest

from factory_pipeline.errors import WrittenMeanwhileError
from factory_pipeline.storage.object_store import Bucket
from factory_pipeline_tests.storage.memory_store import memory_stores


def file_of(folder: Path, content: bytes) -> Path:
    (folder / "file").write_bytes(content)
    return folder / "file"


def test_what_a_store_said_of_an_object_is_believed_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with memory_stores(tmp_path):
        bucket = Bucket("s3://bucket")
        assert bucket.find_lately("a") is None
        bucket.put("a", file_of(tmp_path, b"1"), None)
        found = bucket.find_lately("a")
        another = obstore.put(bucket._store, "a", b"22")
        assert bucket.find_lately("a") == found
        assert bucket.find("a").e_tag == another["e_tag"]  # type: ignore[union-attr]
        monkeypatch.setattr("factory_pipeline.storage.object_store.RECENT_S", 0.0)
        obstore.put(bucket._store, "a", b"333")
        assert bucket.find_lately("a").size == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("change", ["put", "delete", "copy"])
def test_what_this_process_does_is_seen_at_once(tmp_path: Path, change: str):
    with memory_stores(tmp_path):
        bucket = Bucket("s3://bucket")
        tag = bucket.put("a", file_of(tmp_path, b"1"), None)
        bucket.put("b", file_of(tmp_path, b"22"), None)
        assert bucket.find_lately("a").size == 1  # type: ignore[union-attr]
        if change == "put":
            bucket.put("a", file_of(tmp_path, b"333"), tag)
        elif change == "delete":
            bucket.delete("a")
        else:
            bucket.copy("b", "a")
        found = bucket.find_lately("a")
        assert (found.size if found else None) == {"put": 3, "delete": None, "copy": 2}[change]


def test_the_condition_of_a_large_file_is_checked_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("factory_pipeline.storage.object_store.LARGEST_SINGLE_PUT", 0)
    with memory_stores(tmp_path):
        bucket = Bucket("s3://bucket")
        tag = bucket.put("a", file_of(tmp_path, b"1"), None)
        with pytest.raises(WrittenMeanwhileError):
            bucket.put("a", file_of(tmp_path, b"2"), None)
        bucket.put("a", file_of(tmp_path, b"3"), tag)
        with pytest.raises(WrittenMeanwhileError):
            bucket.put("a", file_of(tmp_path, b"4"), tag)
        bucket.download("a", tmp_path / "read")
        assert (tmp_path / "read").read_bytes() == b"3"
