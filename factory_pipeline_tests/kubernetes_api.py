"""What Dagster's launcher calls of Kubernetes' API, answered on loopback: Jobs that are kept, a pod each."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PATH = re.compile(
    r"/(?:api|apis/(?P<group>[\w.]+))/v1/namespaces/(?P<namespace>[\w-]+)"
    r"/(?P<resource>\w+)(?:/(?P<name>[\w-]+)(?:/(?P<part>\w+))?)?"
)
VERBS = {"POST": "create", "DELETE": "delete"}


@dataclass
class KubernetesApi:
    """A server, what it was asked to do, and the Jobs that were created."""

    url: str = ""
    calls: set[tuple[str, str, str]] = field(default_factory=set)
    """API group, resource and verb, as the rules of a Role name them."""
    namespaces: set[str] = field(default_factory=set)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    """Whether the pods have ended without success."""

    def kubeconfig(self) -> dict[str, Any]:
        """The file by which a client finds the server."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {}}],
        }

    def answer(self, method: str, path: str, body: bytes) -> Any:
        """Do what a request asks; the answer is a text, or goes out as JSON."""
        found = PATH.fullmatch(urlsplit(path).path)
        assert found, path
        resource = "/".join(filter(None, (found["resource"], found["part"])))
        verb = VERBS.get(method) or ("get" if found["name"] else "list")
        self.calls.add((found["group"] or "", resource, verb))
        self.namespaces.add(found["namespace"])
        if (resource, verb) == ("jobs", "create"):
            self.jobs.append(json.loads(body))
            return self.jobs[-1]
        if resource == "pods/log":
            return "killed\n"
        if verb == "delete":
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if verb == "get":
            return self._with_status(self.jobs[-1])
        items = {"jobs": list(map(self._with_status, self.jobs)), "pods": self._pods(), "events": []}
        return {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items[resource]}

    def _with_status(self, job: dict[str, Any]) -> dict[str, Any]:
        began = {"startTime": "2026-01-01T00:00:00Z"}
        return {**job, "status": began | ({"failed": 1} if self.finished else {"active": 1})}

    def _pods(self) -> list[dict[str, Any]]:
        if not self.jobs:
            return []
        template = self.jobs[-1]["spec"]["template"]
        ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        state = {"name": "dagster", "image": "", "imageID": "", "ready": False, "restartCount": 0}
        return [{**template, "status": {"phase": "Failed", "containerStatuses": [{**state, "state": ended}]}}]


@contextmanager
def kubernetes_api() -> Iterator[KubernetesApi]:
    """Serve on a free port of loopback."""
    api = KubernetesApi()

    class Handler(BaseHTTPRequestHandler):
        def handle_call(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = api.answer(self.command, self.path, body)
            sent = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_DELETE = handle_call  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
