"""Files on the stores that users have: S3 and Azure, by servers on this machine."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from factory_pipeline.errors import StoreError, WrittenMeanwhileError
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.folders import atomic_folder, remove_folder
from factory_pipeline.storage.object_store import Bucket, open_store
from factory_pipeline.storage.stored_path import to_path
from factory_pipeline_tests.cog.object_stores import (
    PRIVATE,
    SECRET,
    Store,
    azure_store,
    requester_pays_store,
    s3_store,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=["s3", "az"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A running S3 or Azure store."""
    opened = s3_store() if request.param == "s3" else azure_store(tmp_path_factory.mktemp("azurite"))
    with opened as running:
        yield running


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    """The address of its container, which the environment lets this process open."""
    with store.environment(with_credentials=True):
        yield f"{store.scheme}://{PRIVATE}"


def file_of(folder: Path, content: bytes) -> Path:
    (folder / "file").write_bytes(content)
    return folder / "file"


def test_what_is_put_is_found_read_copied_listed_and_removed(address: str, tmp_path: Path):
    bucket = Bucket(address)
    assert bucket.find("a/b.txt") is None
    tag = bucket.put("a/b.txt", file_of(tmp_path, b"content"), None)
    found = bucket.find("a/b.txt")
    assert found is not None
    assert (found.size, found.e_tag) == (7, tag)
    assert datetime.now(UTC) - found.modified < timedelta(minutes=1)
    assert bucket.download("a/b.txt", tmp_path / "read") == found
    assert (tmp_path / "read").read_bytes() == b"content"
    bucket.copy("a/b.txt", "a/deep/c.txt")
    assert bucket.names_below("a") == ["a/b.txt", "a/deep/c.txt"]
    assert bucket.names_in("a") == ["a/b.txt", "a/deep"]
    assert bucket.has_any("a")
    bucket.delete("a/b.txt", "a/deep/c.txt", "a/missing.txt")
    assert not bucket.has_any("a")
    with pytest.raises(FileNotFoundError):
        bucket.download("a/b.txt", tmp_path / "read")
    with pytest.raises(FileNotFoundError):
        bucket.copy("a/b.txt", "a/c.txt")


def test_a_put_happens_only_where_nothing_changed_meanwhile(address: str, tmp_path: Path):
    bucket = Bucket(address)
    first = bucket.put("b/plan", file_of(tmp_path, b"1"), None)
    with pytest.raises(WrittenMeanwhileError, match=f"^{address}/b/plan was written by another process"):
        bucket.put("b/plan", file_of(tmp_path, b"2"), None)
    second = bucket.put("b/plan", file_of(tmp_path, b"3"), first)
    with pytest.raises(WrittenMeanwhileError):
        bucket.put("b/plan", file_of(tmp_path, b"4"), first)
    bucket.download("b/plan", tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == b"3"
    assert bucket.find("b/plan").e_tag == second  # type: ignore[union-attr]


def test_a_large_file_is_sent_in_parts(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("factory_pipeline.storage.object_store.LARGEST_SINGLE_PUT", 1000)
    content = os.urandom(11 * 2**20)
    Bucket(address).put("c/large", file_of(tmp_path, content), None)
    Bucket(address).download("c/large", tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == content


def test_files_and_folders_are_published(address: str, tmp_path: Path):
    with mock.patch.dict(os.environ, {"FACTORY_SCRATCH": str(tmp_path)}):
        home = to_path(f"{address}/home")
        write_text(home / "a.txt", "first")
        write_text(home / "a.txt", "second")
        assert (home / "a.txt").read_text() == "second"
        with atomic_folder(home / "export") as temporary:
            for number in range(20):
                (temporary / f"{number}.txt").write_text(str(number))
            assert not (home / "export").exists()
        assert len(list((home / "export").iterdir())) == 20
        remove_folder(home)
        assert not home.exists()


def test_a_container_that_is_not_there_is_no_missing_file(address: str, tmp_path: Path):
    with pytest.raises(StoreError, match="no-such-place"):
        Bucket(f"{address.partition('://')[0]}://no-such-place").put("a", file_of(tmp_path, b""), None)


def test_a_container_that_is_not_there_has_no_file_that_is_merely_missing(address: str, tmp_path: Path):
    kept = Bucket(f"{address}-gone")
    path = to_path(f"{address}-gone/folder/file.txt")
    asked = (
        lambda: kept.find("a"),
        lambda: kept.download("a", tmp_path / "read"),
        lambda: kept.copy("a", "b"),
        path.exists,
        path.is_file,
        path.is_dir,
        path.stat,
        path.read_bytes,
        path.unlink,
    )
    for ask in asked:
        with pytest.raises(StoreError):
            ask()


def test_a_store_that_refuses_is_an_error_and_says_no_secret(store: Store, tmp_path: Path):
    if store.scheme == "s3":
        # moto looks at no key; this one refuses all who read.
        with requester_pays_store() as refusing, refusing.environment(with_credentials=True):
            assert_refused(Bucket(f"s3://{PRIVATE}"))
    else:
        with (
            store.environment(with_credentials=False),
            mock.patch.dict(os.environ, store.wrong_credentials or {}),
        ):
            bucket = Bucket(f"az://{PRIVATE}")
            assert_refused(bucket)
            with pytest.raises(StoreError):
                bucket.put("a", file_of(tmp_path, b""), None)


def assert_refused(bucket: Bucket) -> None:
    with pytest.raises(StoreError, match=PRIVATE) as refused:
        bucket.find("a")
    assert SECRET not in str(refused.value)


def test_a_store_that_does_not_answer_is_an_error():
    gone = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    with (
        mock.patch.dict(os.environ, gone),
        pytest.raises(StoreError, match="s3://bucket/a can't be looked for"),
    ):
        Bucket("s3://bucket").find("a")


def test_a_store_is_opened_once_per_environment():
    with mock.patch.dict(os.environ, {"AWS_REGION": "us-east-1"}):
        first = open_store("s3://bucket")
        assert open_store("s3://bucket") is first
    with mock.patch.dict(os.environ, {"AWS_REGION": "eu-central-1"}):
        assert open_store("s3://bucket") is not first
