"""Dagster's web server with the routes of the factory: `python -m factory_pipeline.web.dagster_server`.

Links in the metadata of assets are kept for ever, ports are not: `/pages/...` on the web server leads to the
studio, wherever that listens now. `/factory/read` answers the calls of the SDK that change
nothing; what works is a run.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from dagster_webserver import cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.records import ExportState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.exports.listing import read_exported
from factory_pipeline.datasets.versions.read_api import READS, handle
from factory_pipeline.datasets.versions.read_calls import READ_PATH
from factory_pipeline.errors import ArgumentError, DocumentError, ExportError, FactoryError
from factory_pipeline.json_document import parse_json
from factory_pipeline.orchestration.metadata import PAGES, pages_url
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.server import access_of
from factory_pipeline.web.studio import files
from factory_pipeline.web.studio.context import Studio
from factory_pipeline.web.studio.guard import LOGIN_PATH, SAFE_METHODS, Access

PAGES_PORT = "FACTORY_PAGES_PORT"
"""The environment variable that says where the studio listens, on the web server's host."""


def add_routes(app: Starlette) -> Starlette:
    """Put the factory's routes before those of the web server."""
    app.router.routes.insert(0, Route(f"{PAGES}/{{path:path}}", _lead_to_pages))
    app.router.routes.insert(0, Route(PAGES, _lead_to_pages))
    app.router.routes.insert(0, Route(READ_PATH, _read, methods=["POST"]))
    home = FactoryHome.from_environment()
    app.state.studio = Studio(home, _registry(home))
    # Not led to the studio: a client drops the token that it sends where it is led to another port.
    for path in reversed(files.EXPORT_PATHS):
        app.router.routes.insert(0, Route(f"{PAGES}{path}", files.of_export))
    return app


class Entrance:
    """Middleware that lets in who may use the studio, and no page of another site.

    A browser that is logged in to the studio is logged in here too: cookies do not tell ports apart.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        """Stand before an app."""
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        refusal = self._refuse(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await refusal(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refuse(self, scope: Scope) -> Response | None:
        request = HTTPConnection(scope)
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not self._access.allows_host(host):
            return PlainTextResponse(
                "This server does not have the name that the request has as its Host.", 421
            )
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and origin is not None and not self._access.allows_origin(origin, host):
            return PlainTextResponse("The request comes from a page of another site.", 403)
        if self._access.is_known(request.headers, request.cookies):
            return None
        if scope["type"] == "http" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(str(_studio_url(request, LOGIN_PATH)), 303)
        return JSONResponse({"error": "Give the token, as Authorization: Bearer TOKEN."}, 401)


def _lead_to_pages(request: Request) -> RedirectResponse:
    return RedirectResponse(str(_studio_url(request, f"/{request.path_params.get('path', '')}")))


def _studio_url(request: HTTPConnection, path: str) -> URL:
    port = int(os.environ[PAGES_PORT])
    scheme = {"ws": "http", "wss": "https"}.get(request.url.scheme, request.url.scheme)
    return request.url.replace(scheme=scheme, port=port, path=path)


async def _read(request: Request) -> JSONResponse:
    # A page of another site can send a form, but no JSON without being asked for leave.
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return JSONResponse({"error": "The body must be JSON."}, 415)
    try:
        asked = parse_json(await request.body(), "The body")
        call, arguments = asked["call"], dict(asked["arguments"])
    except (DocumentError, ValueError, KeyError, TypeError):
        return JSONResponse({"error": "The body must have a call and its arguments."}, 400)
    return await run_in_threadpool(_answer, call, arguments)


def _answer(call: str, arguments: Mapping[str, Any]) -> JSONResponse:
    home = FactoryHome.from_environment()
    registry = _registry(home)
    try:
        if call == "export":
            return JSONResponse({"answer": _address_of_export(registry, home, **arguments)})
        if call not in READS:
            return JSONResponse({"error": f"{call!r} is no call that only reads."}, 400)
        return JSONResponse({"answer": handle(registry, home, call, arguments)})
    except ArgumentError as error:
        return JSONResponse({"argument_error": error.as_json()})
    except FactoryError as error:
        return JSONResponse({"error": str(error)})
    except TypeError:
        return JSONResponse({"error": f"This version of the factory knows no such arguments of {call}."})


def _address_of_export(
    registry: Registry, home: FactoryHome, version_id: str, export_type: str
) -> str | None:
    """Return where a finished export is; None if it must be made first, or again."""
    form = format_named(export_type)
    finished = [
        export
        for export in registry.exports(version_id)
        if export.type == form.name and export.state is ExportState.READY
    ]
    try:
        listed = read_exported(home.version(version_id).export(form.slug))
    except ExportError:
        return None
    if not finished or listed.content_hash != finished[0].content_hash:
        return None
    return f"{pages_url()}/exports/{version_id}/{form.slug}"


@cache
def _registry(home: FactoryHome) -> Registry:
    """Return the registry of the home, opened once."""
    return open_registry(home)


def main() -> None:
    """Run `dagster-webserver` with its own arguments."""
    make: Callable[..., Starlette] = DagsterWebserver.create_asgi_app

    def make_with_routes(self: DagsterWebserver, *arguments: Any, **named: Any) -> Starlette:
        app = add_routes(make(self, *arguments, **named))
        app.add_middleware(Entrance, access=access_of(FactoryHome.from_environment(), _parse_host()))
        return app

    # Dagster has no setting for routes of one's own; everything else stays as its command has it.
    DagsterWebserver.create_asgi_app = make_with_routes  # type: ignore[method-assign, assignment]
    cli.dagster_webserver(auto_envvar_prefix="DAGSTER_WEBSERVER")


def _parse_host() -> str:
    """Return where the web server was told to listen; its command has no other way to be asked."""
    given = argparse.ArgumentParser(add_help=False)
    given.add_argument("-h", "--host", default="127.0.0.1")
    return str(given.parse_known_args()[0].host)


if __name__ == "__main__":
    main()
