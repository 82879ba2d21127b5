"""The server of the studio, beside Dagster's web UI: `python -m factory_pipeline.web.server HOME`.

It has an origin of its own, so that no page of an upload can reach into the web UI.
"""

import argparse
import os
from contextlib import closing

import uvicorn

from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datasets.versions.read_calls import TOKEN
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.app import studio_app
from factory_pipeline.web.studio.context import Studio
from factory_pipeline.web.studio.guard import LOOPBACK, Access, load_secret


def access_of(home: FactoryHome, host: str, public_origin: str = "") -> Access:
    """Return who may use the studio that listens on a host.

    Args:
        home: its secret signs the sessions.
        host: name or address that the studio listens on; on loopback, requests must name loopback as their
            `Host`.
        public_origin: address of a reverse proxy, such as `https://factory.example`; empty without one.
    """
    is_local = host in LOOPBACK
    return Access(
        load_secret(home.studio.secret),
        LOOPBACK if is_local else frozenset(),
        public_origin,
        os.environ.get(TOKEN, ""),
    )


def serve(home: FactoryHome, host: str, port: int, runs_url: str = "", public_origin: str = "") -> None:
    """Serve the studio of a home until the process is ended.

    Args:
        home: that the studio shows.
        host: name or address to listen on.
        port: 1 to 65535.
        runs_url: address of Dagster's web UI, for links; empty without one.
        public_origin: as for `access_of`.
    """
    with closing(open_registry(home)) as registry:
        app = studio_app(Studio(home, registry, runs_url), access_of(home, host, public_origin))
        # A page that is requested while the server ends is not waited for longer than this.
        config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=5)
        uvicorn.Server(config).run()


def main() -> None:
    """Serve the studio of a factory home."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=FactoryHome.at)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--runs-url", default="")
    parser.add_argument("--public-origin", default="")
    given = parser.parse_args()
    serve(given.home, given.host, given.port, given.runs_url, given.public_origin)


if __name__ == "__main__":
    main()
