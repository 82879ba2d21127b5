"""The page of a version of a dataset: what it holds, what changed, its exports, and the same as a call."""

import io
import pprint
import shlex
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from factory_pipeline.datalake.registry.records import VersionState
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.exports.listing import LISTING, read_exported
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.compare import compare_versions
from factory_pipeline.datasets.versions.delete import delete_version
from factory_pipeline.datasets.versions.describe import describe_dataset, describe_version
from factory_pipeline.datasets.versions.find import find_version
from factory_pipeline.datasets.versions.item_ground import placed_items
from factory_pipeline.datasets.versions.summaries import VersionSummary
from factory_pipeline.errors import ExportError, FactoryError
from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.onboarding.page.charts import FootprintMap, corner_map
from factory_pipeline.onboarding.split_notes import SplitNotes
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.read_record import read_record
from factory_pipeline.web.studio.context import Studio, go_to, read_form, render, studio_of
from factory_pipeline.web.studio.tasks import Task, tasks_of

PIECE = 1 << 20
MOST_MAPPED = 100_000
"""Items on the map at most."""


def show(request: Request) -> Response:
    """Show a version, named by its id, or by its dataset for the latest one."""
    studio = studio_of(request)
    version = _version(request, studio)
    dataset = describe_dataset(studio.registry, studio.home, version.dataset_id)
    number = [each.id for each in dataset.versions].index(version.id)
    before = dataset.versions[number - 1] if number else None
    difference = ""
    if before is not None and version.damage is None and before.damage is None:
        one, other = (studio.registry.version(each.id) for each in (before, version))
        difference = str(compare_versions(studio.home, one, other))
    return render(
        request,
        "version.html",
        version=version,
        dataset=dataset,
        difference=difference,
        counts=_counts(version),
        notes=_notes(studio, version),
        map=_map(studio, version),
        exports=[(form, form.name in version.exports) for form in FORMATS.values()],
        python=python_call(version),
        command=download_command(version),
    )


def download_command(version: VersionSummary) -> str:
    """Return the command that downloads a version, in the first of its formats, else as it is stored."""
    named = shlex.quote(f"{version.dataset}@{version.number}")
    return f"factory dataset download {named} {shlex.quote(next(iter(version.exports), 'RAW'))}"


async def export(request: Request) -> Response:
    """Make an export of a version."""
    form = await read_form(request)
    return await run_in_threadpool(_export, request, form.get("export_type", [""])[0])


def _export(request: Request, name: str) -> Response:
    studio = studio_of(request)
    version = _version(request, studio)
    if name not in FORMATS:
        raise HTTPException(400, f"{name!r} is not a format; allowed are {', '.join(FORMATS)}.")

    def work(task: Task) -> str:
        studio.backend().export(version, name, task.progress)
        return f"/versions/{version.id}"

    task = tasks_of(request).start(f"Exporting {version.dataset} {version.number} as {name}", work)
    return go_to(request, f"/tasks/{task.id}")


async def delete(request: Request) -> Response:
    """Delete a version; the form names it."""
    studio = studio_of(request)
    version = await run_in_threadpool(_version, request, studio)
    form = await read_form(request)
    if form.get("key") != [version.id]:
        raise HTTPException(400, "The form names another version.")
    await run_in_threadpool(delete_version, studio.registry, studio.home, version.id)
    return go_to(request, "/", f"{version.dataset} {version.number} was deleted.")


def download(request: Request) -> Response:
    """Download an export as one zip, which is written while it is sent."""
    studio = studio_of(request)
    version = _version(request, studio)
    form = next((each for each in FORMATS.values() if each.slug == request.path_params["slug"]), None)
    if form is None or form.name not in version.exports:
        raise HTTPException(404)
    folder = studio.home.version(version.id).export(form.slug)
    try:
        listed = read_exported(folder)
    except ExportError:
        raise HTTPException(404) from None
    names = [LISTING, *(file.path for file in listed.files)]
    name = quote(f"{version.dataset}-{version.number}-{form.slug}.zip", safe="")
    return StreamingResponse(
        _stream_zip(studio, version.id, folder, names),
        media_type="application/zip",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )


def _stream_zip(studio: Studio, version_id: str, folder: Path, names: list[str]) -> Iterator[bytes]:
    """Give a zip of some files of a folder piece by piece; no process deletes the version meanwhile."""
    sink = _Sink()
    with studio.registry.reading(version_id), zipfile.ZipFile(sink, "w") as archive:
        for name in names:
            # Images are compressed already; a fixed time makes the same zip of the same export.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            with (folder / name).open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while piece := source.read(PIECE):
                    target.write(piece)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        """Give what was written since the last call."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def python_call(version: VersionSummary) -> str:
    """Return the call of the SDK that makes a version like this one."""
    defaults = {name: field.get_default() for name, field in DatasetRequest.model_fields.items()}
    arguments = {key: value for key, value in version.request.items() if value != defaults.get(key)}
    if arguments.pop("within_source", False):
        # The call has no such argument: it takes None in place of a collection.
        arguments["collection_id"] = None
    texts = {name: pprint.pformat(value, width=90, sort_dicts=False) for name, value in arguments.items()}
    lines = [f"    {name}={text}," for name, text in texts.items()]
    updates = "dataset_version_id" in arguments
    where = "collection" if "collection_id" in arguments else "datalake"
    call = f"update_dataset_version_from_{where}" if updates else f"create_dataset_from_{where}"
    return "\n".join(
        ["from factory_pipeline import DatasetClient", "", f"DatasetClient().{call}(", *lines, ")"]
    )


def _counts(version: VersionSummary) -> list[tuple[str, int, float]]:
    counts = {split: version.splits.get(split, 0) for split in SPLITS}
    total = max(sum(counts.values()), 1)
    return [(split, count, 100 * count / total) for split, count in counts.items()]


def _notes(studio: Studio, version: VersionSummary) -> SplitNotes | None:
    """Return what is said of the splits; None for a version of a release that searched nothing."""
    path = studio.home.version(version.id).splits
    return SplitNotes.of_record(read_record(path)) if path.exists() else None


def _map(studio: Studio, version: VersionSummary) -> FootprintMap | None:
    if version.damage is not None:
        return None
    return draw_map(studio.home.version(version.id).manifest)


@lru_cache(maxsize=16)
def draw_map(manifest: Path) -> FootprintMap | None:
    """Draw the footprints of a version, which never changes; None where no item is georeferenced.

    Args:
        manifest: of the version.
    """
    items = placed_items(manifest, "name")
    # Of very many, a part that is spread evenly over the names looks the same.
    items = items.gather_every(-(-items.height // MOST_MAPPED)) if items.height else items
    return corner_map(footprints(items), items.select("split", original_name="stem"))


def _version(request: Request, studio: Studio) -> VersionSummary:
    named: Mapping[str, str] = request.path_params
    try:
        found = find_version(studio.registry, named["version"])
        if found.state is VersionState.READY:
            return describe_version(studio.registry, studio.home, found.id)
    except FactoryError:
        pass
    raise HTTPException(404)


ROUTES = [
    Route("/versions/{version}", show),
    Route("/versions/{version}/export", export, methods=["POST"]),
    Route("/versions/{version}/delete", delete, methods=["POST"]),
    Route("/versions/{version}/exports/{slug}.zip", download),
]
