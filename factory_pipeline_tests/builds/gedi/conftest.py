"""Real granules, found where FACTORY_REALDATA says, and a small object store that speaks S3."""

import os
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest


@pytest.fixture(scope="session")
def real_granules() -> Path:
    """The folder with two real, spatially clipped GEDI L4A granules."""
    root = os.environ.get("FACTORY_REALDATA")
    if not root:
        pytest.skip("FACTORY_REALDATA names no folder with real sample data")
    return Path(root) / "gedi_l4a"


class S3Server(ThreadingHTTPServer):
    """The files of a folder as the bucket `granules`: listing (ListObjectsV2) and range requests."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _S3Handler)
        self.folder = folder
        self.requests: list[str] = []
        self.broken = False
        """Answer every object with 403."""


class _S3Handler(BaseHTTPRequestHandler):
    server: S3Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if "list-type" in parse_qs(url.query):
            self._list(parse_qs(url.query).get("prefix", [""])[0])
        else:
            self._get(self.server.folder / url.path.removeprefix("/granules/"))

    def _list(self, prefix: str) -> None:
        files = sorted(path for path in (self.server.folder / prefix).iterdir() if path.is_file())
        entries = "".join(
            f"<Contents><Key>{escape(prefix + path.name)}</Key><Size>{path.stat().st_size}</Size>"
            f'<ETag>"{path.stat().st_mtime_ns}"</ETag><LastModified>2024-01-01T00:00:00Z</LastModified></Contents>'
            for path in files
        )
        self._answer(200, f"<ListBucketResult>{entries}</ListBucketResult>".encode(), {})

    def _get(self, path: Path) -> None:
        self.server.requests.append(path.name)
        if self.server.broken:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>", {})
            return
        content = path.read_bytes()
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        part = content[int(first) : int(last) + 1]
        headers = {
            "Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}",
            "ETag": '"etag"',
            "Last-Modified": formatdate(usegmt=True),
        }
        self._answer(206, part, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An S3 server over `tmp_path / "bucket"`; the prefix of its granules is `s3://granules/l4a/`."""
    folder = tmp_path / "bucket"
    (folder / "l4a").mkdir(parents=True)
    server = S3Server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    server.server_close()
