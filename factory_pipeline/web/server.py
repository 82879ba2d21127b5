"""A small server of the dataset pages, beside the web UI: `python -m factory_pipeline.web.server`.

It has an origin of its own, so that nothing in an upload can reach into the web UI, and serves the files of
onboarded datasets and of exports only.
"""

import argparse
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from factory_pipeline.datalake.registry.records import Upload
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.exports.listing import LISTING
from factory_pipeline.errors import ONBOARDING_CODES, FactoryError
from factory_pipeline.onboarding.page.jinja_environment import environment
from factory_pipeline.onboarding.page.render import DatasetPage, Status, render_page
from factory_pipeline.onboarding.received_upload import kept_manifest
from factory_pipeline.storage.layout import FactoryHome

MEDIA_TYPES = {
    ".html": "text/html",
    ".json": "application/json",
    ".yaml": "text/plain",
    ".txt": "text/plain",
    ".parquet": "application/octet-stream",
}
"""What is served, and as what; images and labels are not, for their names end as the uploader liked."""
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
SECONDS_BETWEEN_LOOKS = 2.0
_EXPORTS = frozenset(form.slug for form in FORMATS.values())


def pages_app(home: FactoryHome, registry: Registry) -> Starlette:
    """The list of datasets at `/`, their files under `/datasets/`, those of exports under `/exports/`."""

    def listed(_: Request) -> Response:
        return HTMLResponse(_render_list(registry.uploads()), headers=HEADERS)

    def served(request: Request) -> Response:
        key = f"{request.path_params['name']}@{request.path_params['version']}"
        root = home.upload(key).finished.root
        path = _file_within(home.datasets, root, request.path_params["file"])
        media_type = MEDIA_TYPES.get(path.suffix) if path is not None else None
        if path is not None and media_type:
            return FileResponse(path, media_type=media_type, headers=HEADERS)
        if request.path_params["file"] == "dataset.html":
            return HTMLResponse(_render_unfinished(home, registry, key), headers=HEADERS)
        raise HTTPException(404)

    def exported(request: Request) -> Response:
        slug = request.path_params["slug"]
        root = home.version(request.path_params["version_id"]).export(slug)
        path = _file_within(home.versions, root, request.path_params.get("file", LISTING))
        if path is None or slug not in _EXPORTS:
            raise HTTPException(404)
        if path.name == LISTING:
            return FileResponse(path, media_type="application/json", headers=HEADERS)
        # Saved, never shown: the content is what somebody uploaded.
        return FileResponse(path, filename=path.name, media_type="application/octet-stream", headers=HEADERS)

    return Starlette(
        routes=[
            Route("/", listed),
            Route("/datasets/{name}/{version}/{file:path}", served),
            Route("/exports/{version_id}/{slug}", exported),
            Route("/exports/{version_id}/{slug}/{file:path}", exported),
        ],
    )


def _file_within(top: Path, folder: Path, name: str) -> Path | None:
    """Return a file of a folder below `top`; None if the folder or the file leads elsewhere or is missing.

    The parts of the folder below `top` must be plain names, and neither they nor the file may lead elsewhere
    by symbolic links.
    """
    try:
        parts = folder.relative_to(top).parts
        resolved = top.resolve().joinpath(*parts)
        path = (folder / name).resolve()
        if ".." in parts or folder.resolve() != resolved or not path.is_relative_to(resolved):
            return None
        return path if path.is_file() else None
    except (OSError, ValueError):  # a name that no file system has: too long, or with a NUL
        return None


def serve_pages(home: FactoryHome, host: str, port: int, parent: int | None = None) -> None:
    """Serve until the process `parent` is gone, for ever without one."""
    with closing(Registry.open(os.environ.get("FACTORY_REGISTRY") or home.registry)) as registry:
        app = pages_app(home, registry)
        server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning"))
        if parent is not None:
            threading.Thread(target=_end_with, args=(parent, server), daemon=True).start()
        server.run()


def _end_with(parent: int, server: uvicorn.Server) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    server.should_exit = True


def _render_list(uploads: list[Upload]) -> str:
    return environment().get_template("list.html").render(uploads=uploads[::-1])


def _render_unfinished(home: FactoryHome, registry: Registry, key: str) -> str:
    """The page of an upload that has not become a dataset: how far it is, or why it failed."""
    try:
        upload = registry.upload(key)
    except FactoryError:
        raise HTTPException(404) from None
    if upload.deleted_at is not None:
        raise HTTPException(404)
    try:
        manifest = kept_manifest(home.upload(key))
    except (FactoryError, OSError):
        return _render_refused(upload)  # It failed on arrival: nothing but the registry knows of it.
    return render_page(
        DatasetPage(
            manifest=manifest,
            status=Status(upload.status.value),
            version=key.partition("@")[2],
            updated=upload.updated,
            root=home.upload(key).finished.root,
            error_code=upload.code,
            reason=upload.reason,
            commands={
                "Download the logs": f"factory upload logs {key}",
                "Delete the dataset": f"factory upload delete {key}",
            },
        )
    )


def _render_refused(upload: Upload) -> str:
    """The page of an upload that was not taken in, such as one whose manifest can't be read, as HTML."""
    return (
        environment()
        .get_template("refused.html")
        .render(
            key=upload.key,
            name=upload.name,
            version=upload.key.partition("@")[2],
            status=upload.status.value,
            updated=upload.updated,
            reason=upload.reason,
            code=upload.code,
            meaning=ONBOARDING_CODES.get(upload.code or "", ""),
            manifest=upload.manifest,
        )
    )


def main() -> None:
    """Serve the pages of a factory home."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--parent", type=int)
    given = parser.parse_args()
    serve_pages(FactoryHome(given.home), given.host, given.port, given.parent)


if __name__ == "__main__":
    main()
