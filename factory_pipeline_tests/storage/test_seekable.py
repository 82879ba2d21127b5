import io

import pytest
from factory_pipeline.storage.seekable import PositionedFile


def test_positions_are_those_of_any_file() -> None:
    ours, other = PositionedFile(10), io.BytesIO(bytes(10))
    assert ours.readable()
    assert ours.seekable()
    for offset, whence in ((4, io.SEEK_SET), (3, io.SEEK_CUR), (-2, io.SEEK_CUR), (-1, io.SEEK_END), (5, 2)):
        assert ours.seek(offset, whence) == other.seek(offset, whence)
        assert ours.tell() == other.tell()


def test_nothing_lies_before_the_file() -> None:
    file = PositionedFile(10)
    file.seek(3)
    with pytest.raises(OSError, match="before the file"):
        file.seek(-4, io.SEEK_CUR)
    assert file.tell() == 3
