"""Read-only file objects over a source that is read by position."""

import io


class PositionedFile(io.RawIOBase):
    """Keeps the position in such a file; a subclass reads from `_position` on and moves it forward."""

    def __init__(self, size: int) -> None:
        """Start at the beginning of a file of `size` bytes."""
        self.size = size
        """Bytes of the whole file."""
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next read starts [bytes]."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the position, as `io.IOBase.seek` does, and return it.

        Args:
            offset: bytes, from the origin that `whence` names.
            whence: `io.SEEK_SET`, `io.SEEK_CUR` or `io.SEEK_END`.

        Raises:
            OSError: the position would be before the start of the file.
        """
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if origin + offset < 0:
            raise OSError("the position is before the start of the file")
        self._position = origin + offset
        return self._position
