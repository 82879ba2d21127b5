"""The page of an upload and of the dataset that it became, and what a person can do with it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote

import polars as pl
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.registry.records import Upload, UploadStatus
from factory_pipeline.errors import ONBOARDING_CODES, FactoryError
from factory_pipeline.onboarding.manifest.model import TRAINED, Purpose, UploadManifest
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.onboarding.page.layers import Composition, compositions
from factory_pipeline.onboarding.page.preview import layers, picture_of
from factory_pipeline.onboarding.page.render import DatasetPage, Status, facts
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.onboarding.received_upload import load_manifest
from factory_pipeline.onboarding.stages import STAGES, onboarding_progress
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.catalog import title_of, upload_address
from factory_pipeline.web.studio.context import Studio, go_to, read_form, render, studio_of

PICTURE_SIDE = 640
PAIRS_PER_LIST = 100
"""Pairs that the drop-down of files offers at a time."""
MOST_DESCRIPTION = 10_000
DOWNLOADS = {
    "terratorch.yaml": "Configuration for terratorch fit",
    "training_params.json": "Statistics of the training images",
    "items.parquet": "Images and labels as STAC items (GeoParquet)",
    "croissant.json": "The dataset described for machines (Croissant)",
    "dataset.html": "This page as one file that needs no network",
}


@dataclass(frozen=True)
class Finished:
    """An onboarded dataset, which never changes: read once, shown often."""

    onboarding: Onboarding

    @cached_property
    def manifest(self) -> UploadManifest:
        """With all bands."""
        return self.onboarding.manifest

    @cached_property
    def parameters(self) -> TrainingParameters:
        """The statistics of the training images."""
        return self.onboarding.parameters()

    @cached_property
    def compositions(self) -> list[Composition]:
        """What is worth looking at."""
        return compositions(self.manifest.data_sources, self.parameters)

    @cached_property
    def names(self) -> pl.DataFrame:
        """`stem`, `original_name`, `split` of all pairs by name."""
        named = self.onboarding.index.select("stem", "original_name").collect()
        return named.join(self.onboarding.split, on="stem", how="left", maintain_order="left")

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What the sections of the page tell."""
        key = self.onboarding.key
        page = DatasetPage(
            self.manifest,
            Status.SUCCEEDED,
            key.partition("@")[2],
            self.onboarding.upload.received_at,
            self.onboarding.files.finished.root,
            self.onboarding.index,
            self.onboarding.split,
            self.parameters,
        )
        return facts(page) | {
            "notes": self.onboarding.split_notes(),
            "remarks": self.onboarding.remarks(),
        }

    def row(self, stem: str) -> Mapping[str, Any] | None:
        """Return the pair of a stem; None if there is none."""
        found = self.onboarding.index.filter(pl.col("stem") == stem).head(1).collect()
        return found.row(0, named=True) if found.height else None


@lru_cache(maxsize=16)
def finished(key: str, home: FactoryHome) -> Finished:
    """Return a dataset that is at its place.

    Args:
        key: of the upload.
        home: with the dataset.
    """
    return Finished(Onboarding(key, home, IntakePolicy.of_home(home)))


def show(request: Request) -> Response:
    """Show an upload: how far it is, why it failed, or the dataset that it became."""
    studio = studio_of(request)
    upload = living_upload(request, studio)
    values = {
        "upload": upload,
        "title": title_of(upload.manifest, upload.name),
        "version": upload.key.rpartition("@")[2],
        "address": upload_address(upload.key),
        "meaning": ONBOARDING_CODES.get(upload.code or "", ""),
        "others": [
            other
            for other in studio.registry.uploads()
            if other.name == upload.name and other.key != upload.key
        ],
        "description": _description(studio, upload),
        "trained": [purpose.value for purpose in TRAINED],
        "is_finished": False,
        **_progress(studio, upload),
    }
    files = studio.home.upload(upload.key)
    if upload.status is UploadStatus.SUCCEEDED and files.finished.root.exists():
        data = finished(upload.key, studio.home)
        downloads = [
            (name, text) for name, text in DOWNLOADS.items() if (files.finished.root / name).exists()
        ]
        values |= {"is_finished": True, "downloads": downloads, **data.facts, **_viewer(request, data)}
        return render(request, "dataset.html", **values)
    manifest = None
    with suppress(FactoryError, OSError):
        manifest = load_manifest(files)
    return render(request, "unfinished.html", manifest=manifest, **values)


def progress(request: Request) -> Response:
    """Answer the page of an upload that asks again; once it has ended, the page is loaded anew."""
    studio = studio_of(request)
    upload = living_upload(request, studio)
    if upload.status in (UploadStatus.SUCCEEDED, UploadStatus.FAILED):
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    values = {"upload": upload, "address": upload_address(upload.key), **_progress(studio, upload)}
    return render(request, "progress.html", **values)


def picture(request: Request) -> Response:
    """Serve one layer of a pair as WebP or PNG."""
    studio = studio_of(request)
    data = _load_finished(request, studio)
    row = data.row(request.path_params["stem"])
    layer = request.path_params["layer"]
    drawn = row and picture_of(
        row,
        layer,
        data.compositions,
        data.manifest,
        data.parameters,
        data.onboarding.files.finished.root,
        PICTURE_SIDE,
    )
    if not drawn:
        raise HTTPException(404)
    kind = "image/png" if drawn.startswith(b"\x89PNG") else "image/webp"
    return Response(drawn, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


def logs(request: Request) -> Response:
    """Download everything that the runs of an upload said."""
    from factory_pipeline.runs.onboarding import run_log  # imports Dagster, which takes seconds

    studio = studio_of(request)
    upload = living_upload(request, studio)
    return PlainTextResponse(
        run_log(upload, studio.home),
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(upload.key, safe='')}.log"},
    )


async def delete(request: Request) -> Response:
    """Delete a dataset; the form names it, so that a form of another page can't delete this one."""
    from factory_pipeline.runs.onboarding import remove  # imports Dagster, which takes seconds

    studio = studio_of(request)
    upload = await run_in_threadpool(living_upload, request, studio)
    form = await read_form(request)
    if form.get("key") != [upload.key]:
        raise HTTPException(400, "The form names another dataset.")
    await run_in_threadpool(remove, upload.key, studio.home)
    finished.cache_clear()
    return go_to(request, "/", f"{title_of(upload.manifest, upload.name)} ({upload.key}) was deleted.")


async def describe(request: Request) -> Response:
    """Keep another description of a dataset; that of the manifest stays in its files."""
    studio = studio_of(request)
    upload = await run_in_threadpool(living_upload, request, studio)
    text = (await read_form(request)).get("description", [""])[0].replace("\r\n", "\n").strip()
    if len(text) > MOST_DESCRIPTION:
        raise HTTPException(400, f"A description may have {MOST_DESCRIPTION:,} characters.")
    write_text(studio.home.upload(upload.key).description, text)
    return go_to(request, upload_address(upload.key), "The description was changed.")


def living_upload(request: Request, studio: Studio) -> Upload:
    """Return the living upload that the address names.

    Args:
        request: with `key` in its path.
        studio: its registry.
    """
    key = f"{request.path_params['name']}@{request.path_params['version']}"
    try:
        upload = studio.registry.upload(key)
    except FactoryError:
        raise HTTPException(404) from None
    if upload.key != key or upload.deleted_at is not None:
        raise HTTPException(404)
    return upload


def _load_finished(request: Request, studio: Studio) -> Finished:
    upload = living_upload(request, studio)
    if not studio.home.upload(upload.key).finished.root.exists():
        raise HTTPException(404)
    return finished(upload.key, studio.home)


def _description(studio: Studio, upload: Upload) -> str:
    files = studio.home.upload(upload.key)
    if files.description.exists():
        return files.description.read_text(encoding="utf-8")
    with suppress(FactoryError, OSError):
        return load_manifest(files).description
    return ""


def _progress(studio: Studio, upload: Upload) -> dict[str, Any]:
    """Return how far an upload is: its stages, the fraction, and about how long it will take."""
    files = studio.home.upload(upload.key)
    doing, fraction = onboarding_progress(files)
    begun = (datetime.now(UTC) - upload.updated.astimezone(UTC)).total_seconds()
    is_running = upload.status is UploadStatus.ONBOARDING
    left = begun * (1 - fraction) / fraction if is_running and 0 < fraction < 1 else None
    return {
        "doing": doing if is_running else "Waiting to start",
        "fraction": fraction,
        "left": _duration(left) if left is not None else "",
        "stages": [(stage.progress_text, stage.output(files).exists()) for stage in STAGES],
    }


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s left"
    return f"about {round(seconds / 60)} min left"


def _viewer(request: Request, data: Finished) -> dict[str, Any]:
    """Return the pair that is shown and the list around it, as the address asks for them."""
    asked = request.query_params.get("pair", "0")
    total = data.names.height
    number = min(int(asked), total - 1) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0
    first = number // PAIRS_PER_LIST * PAIRS_PER_LIST
    listed = data.names.slice(first, PAIRS_PER_LIST)
    stem = data.names["stem"][number]
    row = data.row(stem) or {}
    labelled = row["label"] is not None and (
        data.manifest.purpose is Purpose.REGRESSION or bool(data.manifest.label_categories)
    )
    return {
        "number": number,
        "pair": row,
        "pair_split": data.names["split"][number],
        "pairs": list(enumerate(listed.iter_rows(named=True), first)),
        "layers": layers(data.compositions, data.manifest, labelled),
    }


OF = "/datasets/{name}/{version}"
ROUTES = [
    Route(OF, show),
    Route(f"{OF}/progress", progress),
    Route(f"{OF}/logs", logs),
    Route(f"{OF}/delete", delete, methods=["POST"]),
    Route(f"{OF}/describe", describe, methods=["POST"]),
    Route(f"{OF}/pictures/{{stem}}/{{layer}}", picture),
]
