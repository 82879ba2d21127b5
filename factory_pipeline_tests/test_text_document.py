"""The text of a document that others wrote."""

from pathlib import Path

import pytest

from factory_pipeline.errors import DocumentError
from factory_pipeline.text_document import decode_document, read_document


def test_a_file_is_read_no_further_than_tells_that_it_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456789")
    assert read_document(path, "It", 10) == b"0123456789"
    assert read_document(path, "It", 4) == b"01234"
    assert len(read_document(Path("/dev/zero"), "It", 1000)) == 1001


def test_a_file_that_can_not_be_read_is_described(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as raised:
        read_document(tmp_path / "missing", "The recipe a.yaml", 10)
    assert str(raised.value) == "The recipe a.yaml can't be read: No such file or directory."


@pytest.mark.parametrize("content", ["ä", "\ufeffä", "ä".encode(), b"\xef\xbb\xbf\xc3\xa4"])
def test_text_and_bytes_lose_their_byte_order_mark(content: str | bytes) -> None:
    assert decode_document(content, "It", 5, "YAML") == "ä"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"123456", "has more than the 5 bytes that are allowed"),
        (b"\xff", "is not UTF-8 text, so it is not YAML"),
        ("\ud800", "is not UTF-8 text, so it is not YAML"),
    ],
)
def test_what_is_wrong_is_said(content: str | bytes, problem: str) -> None:
    with pytest.raises(DocumentError) as raised:
        decode_document(content, "It", 5, "YAML")
    assert raised.value.problem == problem
