"""Read-only file objects over something that is read by position."""

import io


class PositionedFile(io.RawIOBase):
    """The moving about in such a file; a subclass reads from `_position` on and moves it forward."""

    def __init__(self, size: int) -> None:
        """A file of `size` bytes, at its start."""
        self.size = size
        """Bytes of the whole file."""
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next read starts."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move, as in any file.

        Raises:
            OSError: the position would lie before the file.
        """
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if origin + offset < 0:
            raise OSError("the position lies before the file")
        self._position = origin + offset
        return self._position
