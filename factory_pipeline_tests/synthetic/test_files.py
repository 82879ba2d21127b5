"""Ranges of bytes, as RFC 9110 has them."""

import asyncio
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from factory_pipeline.synthetic.files import FolderFiles, UnsatisfiableRangeError, byte_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-", (2, 8)),
        ("bytes=-3", (7, 3)),
        ("bytes=-30", (0, 10)),
        ("bytes=5-100", (5, 5)),
        ("bytes = 1 - 2", (1, 2)),
    ],
)
def test_a_range_is_start_and_length(header: str, expected: tuple[int, int]) -> None:
    assert byte_range(header, 10) == expected


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=3-2", "bytes=0-1,4-5", "lines=0-1"])
def test_what_is_not_one_range_means_the_whole(header: str | None) -> None:
    assert byte_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_without_a_byte_of_the_file_is_refused(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        byte_range(header, 10)


def answer(root: Path, path: str, method: str = "GET", **headers: str) -> Response:
    scope = {
        "type": "http",
        "method": method,
        "path": f"/{path}",
        "path_params": {"path": path},
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    return asyncio.run(FolderFiles(root).answer(Request(scope)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.txt").write_bytes(b"0123456789")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return tmp_path / "served"


def test_a_part_and_the_whole_are_served(root: Path) -> None:
    part = answer(root, "a.txt", range="bytes=2-4")
    assert (part.status_code, part.body) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    whole = answer(root, "a.txt")
    assert (whole.status_code, whole.body) == (200, b"0123456789")
    head = answer(root, "a.txt", "HEAD")
    assert (head.body, head.headers["content-length"]) == (b"", "10")


def test_a_part_of_another_state_of_the_file_is_not_served(root: Path) -> None:
    etag = answer(root, "a.txt").headers["etag"]
    assert answer(root, "a.txt", range="bytes=2-4", if_range=etag).status_code == 206
    assert answer(root, "a.txt", range="bytes=2-4", if_range='"old"').body == b"0123456789"


def test_what_is_not_a_file_below_the_root_is_not_found(root: Path) -> None:
    for path in ("missing", ".", "../secret.txt", "a\0b"):
        assert answer(root, path).status_code == 404
    assert answer(root, "a.txt", range="bytes=10-").status_code == 416
