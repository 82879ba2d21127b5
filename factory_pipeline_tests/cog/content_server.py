"""A web server of a few lines, for what the sample's server can't get wrong."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CONTENT = bytes(range(256)) * 8


class ContentHandler(http.server.BaseHTTPRequestHandler):
    """Sends ranges of CONTENT; a test's own handler says by `answer` what else happens."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        """Answer one request."""
        self.send_range()

    def refuse(self, status: int, **headers: str) -> None:
        """Answer with a status and no body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_range(self, missing: int = 0) -> None:
        """Answer with the range that is asked for, less so many bytes at its end."""
        start, end = (int(edge) for edge in self.headers["Range"].removeprefix("bytes=").split("-"))
        body = CONTENT[start : end + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(CONTENT)}")
        body = body[: len(body) - missing]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[ContentHandler]) -> Iterator[str]:
    """The URL of a server on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
