"""Dagster's web server with the routes of the factory: `python -m factory_pipeline.web.dagster_server`.

Links in the metadata of assets are kept for ever, ports are not: `/pages/...` on the web server leads to the
server of the pages, wherever that listens now. `/factory/read` answers the calls of the SDK that change
nothing; what works is a run.
"""

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dagster_webserver import cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from factory_pipeline.datalake.registry.records import ExportState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.exports.listing import read_exported
from factory_pipeline.datasets.versions.read_api import READS, handle
from factory_pipeline.datasets.versions.read_calls import READ_PATH
from factory_pipeline.errors import ArgumentError, ExportError, FactoryError
from factory_pipeline.orchestration.metadata import PAGES, pages_url
from factory_pipeline.storage.layout import FactoryHome

PAGES_PORT = "FACTORY_PAGES_PORT"
"""The environment variable that says where the server of the pages listens, on the web server's host."""


def add_routes(app: Starlette) -> Starlette:
    """Put the factory's routes before those of the web server."""
    app.router.routes.insert(0, Route(f"{PAGES}/{{path:path}}", _lead_to_pages))
    app.router.routes.insert(0, Route(READ_PATH, _read, methods=["POST"]))
    return app


def _lead_to_pages(request: Request) -> RedirectResponse:
    url = request.url.replace(
        port=int(os.environ[PAGES_PORT]), path=f"/{request.path_params['path']}", query=request.url.query
    )
    return RedirectResponse(str(url))


async def _read(request: Request) -> JSONResponse:
    # A page of another site can send a form, but no JSON without being asked for leave.
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return JSONResponse({"error": "The body must be JSON."}, 415)
    try:
        asked = await request.json()
        call, arguments = asked["call"], dict(asked["arguments"])
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"error": "The body must have a call and its arguments."}, 400)
    return await run_in_threadpool(_answered, call, arguments)


def _answered(call: str, arguments: Mapping[str, Any]) -> JSONResponse:
    home = FactoryHome.from_environment()
    registry = _registry(home.root)
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
    """Where a finished export lies; None where it must be made first, or again."""
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
def _registry(root: Path) -> Registry:
    """The registry of the home, opened once."""
    return Registry.open(os.environ.get("FACTORY_REGISTRY") or FactoryHome(root).registry)


def main() -> None:
    """Run `dagster-webserver` with its own arguments."""
    make: Callable[..., Starlette] = DagsterWebserver.create_asgi_app

    def make_with_routes(self: DagsterWebserver, *arguments: Any, **named: Any) -> Starlette:
        return add_routes(make(self, *arguments, **named))

    # Dagster has no setting for routes of one's own; everything else stays as its command has it.
    DagsterWebserver.create_asgi_app = make_with_routes  # type: ignore[method-assign, assignment]
    cli.dagster_webserver(auto_envvar_prefix="DAGSTER_WEBSERVER")


if __name__ == "__main__":
    main()
