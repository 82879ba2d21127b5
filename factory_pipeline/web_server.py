"""Dagster's web server with the links of the factory: `python -m factory_pipeline.web_server`.

Links in the metadata of assets are kept for ever, ports are not: `/pages/...` on the web server leads to the
server of the pages, wherever that listens now.
"""

import os
from collections.abc import Callable
from typing import Any

from dagster_webserver import cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from factory_pipeline.assets.metadata import PAGES

PAGES_PORT = "FACTORY_PAGES_PORT"
"""The environment variable that says where the server of the pages listens, on the web server's host."""


def add_links(app: Starlette) -> Starlette:
    """Put the factory's routes before those of the web server."""
    app.router.routes.insert(0, Route(f"{PAGES}/{{path:path}}", _lead_to_pages))
    return app


def _lead_to_pages(request: Request) -> RedirectResponse:
    url = request.url.replace(
        port=int(os.environ[PAGES_PORT]), path=f"/{request.path_params['path']}", query=request.url.query
    )
    return RedirectResponse(str(url))


def main() -> None:
    """Run `dagster-webserver` with its own arguments."""
    make: Callable[..., Starlette] = DagsterWebserver.create_asgi_app

    def make_with_links(self: DagsterWebserver, *arguments: Any, **named: Any) -> Starlette:
        return add_links(make(self, *arguments, **named))

    # Dagster has no setting for routes of one's own; everything else stays as its command has it.
    DagsterWebserver.create_asgi_app = make_with_links  # type: ignore[method-assign, assignment]
    cli.dagster_webserver(auto_envvar_prefix="DAGSTER_WEBSERVER")


if __name__ == "__main__":
    main()
