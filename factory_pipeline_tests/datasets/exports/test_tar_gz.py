"""Archives of the same files have the same bytes; what is read back otherwise is told."""

import io
import tarfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from factory_pipeline.datasets.exports.tar_gz import TarGzWriter, read_back
from factory_pipeline.errors import ExportError

FILES = {"a.txt": b"first", "folder/ä.bin": bytes(3 << 20), "z": b""}


def written(path: Path) -> Path:
    with TarGzWriter(path) as archive:
        for name, content in FILES.items():
            archive.add(name, content)
    return path


def test_tarfile_reads_what_was_written_and_twice_the_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path / "a.tar.gz")
    time.sleep(0.01)
    second = written(tmp_path / "b.tar.gz")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        assert found == FILES
        assert {member.mtime for member in archive} == {1_577_836_800}


def test_files_are_read_back_in_their_order(tmp_path: Path) -> None:
    with read_back(written(tmp_path / "a.tar.gz")) as archive:
        for name, content in FILES.items():
            archive.expect(name).compare(io.BytesIO(content))
        archive.expect_end()
    with read_back(tmp_path / "a.tar.gz") as archive:
        assert archive.expect("a.txt").read() == b"first"


def test_other_files_or_bytes_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tar.gz")
    with read_back(path) as archive:
        with pytest.raises(ExportError, match=r"a\.tar\.gz was read back with 'a\.txt' in place of 'b\.txt'"):
            archive.expect("b.txt")
        second = archive.expect("folder/ä.bin")
        with pytest.raises(ExportError, match="was read back with other bytes"):
            second.compare(io.BytesIO(b"other"))
        with pytest.raises(ExportError, match="with a further file, 'z'"):
            archive.expect_end()
        with pytest.raises(ExportError, match="with nothing in place of 'y'"):
            archive.expect("y")


def test_an_error_while_writing_leaves_no_finished_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with suppress(RuntimeError), TarGzWriter(path) as archive:
        archive.add("a.txt", b"first")
        raise RuntimeError
    with pytest.raises(ExportError, match="can't be read back"):
        read_all(path)


def read_all(path: Path) -> None:
    with read_back(path) as archive:
        archive.expect("a.txt")
        archive.expect_end()
