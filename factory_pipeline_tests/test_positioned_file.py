import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.positioned_file import PositionedFile

CONTENT = bytes(range(100))


class BytesFile(PositionedFile):
    """Reads CONTENT by position."""

    def readinto(self, buffer: Any, /) -> int:
        part = CONTENT[self._position :][: len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)


@given(st.lists(st.tuples(st.integers(-120, 120), st.sampled_from([0, 1, 2]), st.integers(-1, 120))))
def test_it_moves_as_a_file_does(moves: list[tuple[int, int, int]]) -> None:
    file, like = BytesFile(len(CONTENT)), io.BytesIO(CONTENT)
    for offset, whence, length in moves:
        start = (0, like.tell(), len(CONTENT))[whence]
        if start + offset < 0:
            with pytest.raises(OSError, match="before the start of the file"):
                file.seek(offset, whence)
        else:
            assert file.seek(offset, whence) == like.seek(offset, whence)
        assert file.read(length) == like.read(length)
        assert file.tell() == like.tell()


def test_it_can_be_read_and_moved_about_in_and_not_written() -> None:
    file = BytesFile(len(CONTENT))
    assert (file.readable(), file.seekable(), file.writable(), file.size) == (True, True, False, 100)
