"""The files of onboarded datasets and of exports, as downloads.

What an upload brought is saved by the browser, never shown: images and labels are not served at all, for
their names end as the uploader liked, and the dataset page, which is HTML that the factory wrote, is shown in
a sandbox of its own that can't reach the studio.
"""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.exports.listing import LISTING
from factory_pipeline.storage.media_types import MEDIA_TYPES
from factory_pipeline.web.studio.catalog import upload_address
from factory_pipeline.web.studio.context import studio_of

PAGE = "dataset.html"
SERVED = (".html", ".json", ".yaml", ".txt", ".parquet")
"""What is served of a dataset, by the ending of its name."""
SHOWN_AS_TEXT = (".yaml",)
"""What a browser would save to a file instead of showing it."""
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'; frame-ancestors 'none'"
)
"""For the dataset page, which has its script and style inside."""
EXPORT_PATHS = ("/exports/{version_id}/{slug}", "/exports/{version_id}/{slug}/{file:path}")
NO_GUESSING = {"X-Content-Type-Options": "nosniff"}
_EXPORTS = frozenset(form.slug for form in FORMATS.values())


def of_dataset(request: Request) -> Response:
    """Serve a file of an onboarded dataset."""
    home = studio_of(request).home
    key = f"{request.path_params['name']}@{request.path_params['version']}"
    root = home.upload(key).finished.root
    path = file_within(home.datasets, root, request.path_params["file"])
    if path is not None and path.suffix in SERVED and (path.suffix != ".html" or path.name == PAGE):
        media_type = MEDIA_TYPES[".txt" if path.suffix in SHOWN_AS_TEXT else path.suffix]
        headers = {"Content-Security-Policy": SANDBOX} if path.name == PAGE else {}
        return FileResponse(path, media_type=media_type, headers=headers)
    if request.path_params["file"] == PAGE:
        # Links to it are kept in the runs, also of uploads that did not become a dataset.
        return RedirectResponse(upload_address(key))
    raise HTTPException(404)


def of_export(request: Request) -> Response:
    """Serve a file of an export, and without a name the list of its files."""
    home, slug = studio_of(request).home, request.path_params["slug"]
    root = home.version(request.path_params["version_id"]).export(slug)
    path = file_within(home.versions, root, request.path_params.get("file", LISTING))
    if path is None or slug not in _EXPORTS:
        raise HTTPException(404)
    if path.name == LISTING:
        return FileResponse(path, media_type="application/json", headers=NO_GUESSING)
    return FileResponse(path, filename=path.name, media_type="application/octet-stream", headers=NO_GUESSING)


def file_within(top: Path, folder: Path, name: str) -> Path | None:
    """Return a file of a folder below `top`; None if the folder or the file leads elsewhere or is missing.

    The parts of the folder below `top` must be plain names, and neither they nor the file may lead elsewhere
    by symbolic links.

    Args:
        top: folder that is not left.
        folder: below it.
        name: of the file.
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


ROUTES = [
    Route("/datasets/{name}/{version}/{file:path}", of_dataset),
    *(Route(path, of_export) for path in EXPORT_PATHS),
]
