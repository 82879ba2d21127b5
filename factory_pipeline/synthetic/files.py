"""Serving the files of a folder over HTTP: completely, or one range of bytes."""

import mimetypes
import os
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

INLINE_BYTES = 1 << 20
"""A shorter range is read on the event loop: it comes from the page cache, and a thread would cost more."""
PIECE_BYTES = 1 << 20
"""A longer one is read in pieces of this size, in threads."""


class FolderFiles:
    """Serves the files below a folder: GET and HEAD, whole or one range of bytes (RFC 9110, section 14)."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    async def answer(self, request: Request) -> Response:
        """Return the file at the request's path; 404 for what isn't a file below the root."""
        path = self._find(request.path_params["path"])
        if path is None:
            return not_found("no such file")
        stat = path.stat()
        etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        modified = formatdate(stat.st_mtime, usegmt=True)
        headers = {"Accept-Ranges": "bytes", "ETag": etag, "Last-Modified": modified}
        wanted = request.headers.get("range")
        if request.headers.get("if-range", etag) not in (etag, modified):
            wanted = None
        try:
            span = byte_range(wanted, stat.st_size)
        except UnsatisfiableRangeError:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{stat.st_size}"})
        start, length = span or (0, stat.st_size)
        if span:
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{stat.st_size}"
        headers["Content-Length"] = str(length)
        status = 206 if span else 200
        media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
        if request.method == "HEAD":
            return Response(None, status, headers, media_type)
        if length <= INLINE_BYTES:
            return Response(_read(path, start, length), status, headers, media_type)
        return StreamingResponse(_read_in_pieces(path, start, length), status, headers, media_type)

    def _find(self, wanted: str) -> Path | None:
        try:
            path = (self._root / wanted).resolve()
            return path if path.is_relative_to(self._root) and path.is_file() else None
        except (OSError, ValueError):
            return None


class UnsatisfiableRangeError(ValueError):
    """A range that contains no byte of the file."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return start and length of the range of `size` bytes that a Range header requests.

    None means the whole: no header, or one that is malformed, in another unit or of several ranges.

    Args:
        header: the value of `Range`, None without one.
        size: bytes of the file.

    Raises:
        UnsatisfiableRangeError: the range contains no byte of the file.
    """
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").replace(" ", ""))
    if not asked or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise UnsatisfiableRangeError(header)
    return start, end - start


def _read(path: Path, start: int, length: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, length, start)
    finally:
        os.close(descriptor)


async def _read_in_pieces(path: Path, start: int, length: int) -> AsyncIterator[bytes]:
    for offset in range(start, start + length, PIECE_BYTES):
        size = min(PIECE_BYTES, start + length - offset)
        yield await anyio.to_thread.run_sync(_read, path, offset, size)


def not_found(description: str) -> Response:
    """Return the answer 404, in the words of a STAC API."""
    return JSONResponse({"code": "NotFoundError", "description": description}, status_code=404)
