"""Web hosts that do what the sample server does not: no ranges, redirects, changes, broken connections."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def host(answer: Answer) -> Iterator[str]:
    """A host on loopback; `answer` answers every GET."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def whole(content: bytes) -> Answer:
    """Pays no heed to ranges."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        try:
            request.wfile.write(content)
        except ConnectionError:
            request.close_connection = True

    return answer


def redirect(target: str) -> Answer:
    """Sends every request elsewhere."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def parts(content: bytes, *, version: Callable[[], str] = lambda: '"1"', most: int | None = None) -> Answer:
    """Serves ranges; sends no more than `most` bytes of what it announces."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content)) + 1, len(content))
        request.send_response(206)
        request.send_header("Content-Length", str(end - start))
        request.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        request.send_header("ETag", version())
        request.end_headers()
        request.wfile.write(content[start:end][:most])

    return answer


def trickle(request: BaseHTTPRequestHandler) -> None:
    """Sends a byte every tenth of a second, of the head already, and never ends."""
    try:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            request.wfile.write(b"x")
            time.sleep(0.1)
    except OSError:
        request.close_connection = True
