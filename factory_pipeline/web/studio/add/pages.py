"""The pages on which a dataset is added, one after the other; each can be left and come back to."""

from collections.abc import Callable, Mapping
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from factory_pipeline.errors import FactoryError
from factory_pipeline.onboarding.manifest.write import manifest_text
from factory_pipeline.storage.slug import slug
from factory_pipeline.web.studio.add import answers, parts
from factory_pipeline.web.studio.add.archive_pages import (
    save_file,
    save_scan,
    show_file,
    show_scan,
    show_scan_progress,
)
from factory_pipeline.web.studio.add.drafts import Draft, drop_old_drafts, list_drafts, new_draft
from factory_pipeline.web.studio.add.manifest_pages import (
    name,
    save_configure,
    save_labels,
    save_splits,
    show_configure,
    show_labels,
    show_splits,
)
from factory_pipeline.web.studio.add.release_page import import_release
from factory_pipeline.web.studio.add.scan import found
from factory_pipeline.web.studio.add.steps import Save, render_step, requested_draft, scans_of
from factory_pipeline.web.studio.add.submit import complete_manifest, inbox_stem, submit_draft
from factory_pipeline.web.studio.catalog import upload_address
from factory_pipeline.web.studio.context import go_to, read_form, studio_of


def start(request: Request) -> Response:
    """Show the first page of a new draft, and the drafts that were left."""
    home = studio_of(request).home
    drop_old_drafts(home, scans_of(request).drafts)
    return show_file(request, new_draft(home), drafts=list_drafts(home))


def show(request: Request) -> Response:
    """Show a page of a draft."""
    draft = requested_draft(request)
    draft.files.answers.touch()  # A draft that is looked at is in use.
    step = request.path_params.get("step", "file")
    return SHOWN[step](request, draft) if step in SHOWN else Response(status_code=404)


async def save(request: Request) -> Response:
    """Take the form of a page; the next page follows where it is right, else the page says what is not."""
    form = await read_form(request)
    step = request.path_params.get("step", "file")
    if step not in SAVED:
        return Response(status_code=404)
    return await run_in_threadpool(lambda: SAVED[step](request, requested_draft(request), form))


async def save_first(request: Request) -> Response:
    """Take the first page of a draft that is not written down yet."""
    form = await read_form(request)
    return await run_in_threadpool(lambda: save_file(request, new_draft(studio_of(request).home), form))


def manifest(request: Request) -> Response:
    """Download the manifest as far as it is."""
    draft = requested_draft(request)
    name = f"{slug(draft.title)}.yaml"
    return PlainTextResponse(
        _text(draft), headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    )


async def drop(request: Request) -> Response:
    """Remove a draft with the archive that came for it."""
    draft = await run_in_threadpool(requested_draft, request)
    await run_in_threadpool(draft.files.remove)
    return go_to(request, "/add", f"The draft {draft.title} was dropped.")


def _review_page(request: Request, draft: Draft, error: str = "") -> Response:
    return render_step(
        request, draft, "review", error or answers.check(draft.manifest), text=_text(draft), scan=found(draft)
    )


def _text(draft: Draft) -> str:
    document = complete_manifest(draft)
    if draft.file is not None:
        document["dataset_url"] = f"{inbox_stem(draft)}{draft.file.ending}"
    return manifest_text(document, draft.files.root / "manifest.yaml")


def _save_review(request: Request, draft: Draft, form: answers.Form) -> Response:  # noqa: ARG001
    studio = studio_of(request)
    try:
        key = submit_draft(draft, studio.home, studio.registry)
    except FactoryError as error:
        return _review_page(request, draft, answers.in_words_of_form(error))
    return go_to(request, upload_address(key), f"{draft.title} was submitted and is being onboarded now.")


SHOWN: Mapping[str, Callable[[Request, Draft], Response]] = {
    "file": show_file,
    "scan": show_scan,
    "configure": show_configure,
    "labels": show_labels,
    "splits": show_splits,
    "review": _review_page,
}
SAVED: Mapping[str, Save] = {
    "file": save_file,
    "scan": save_scan,
    "release": import_release,
    "configure": save_configure,
    "labels": save_labels,
    "splits": save_splits,
    "review": _save_review,
}
ROUTES = [
    Route("/add", start),
    Route("/add", save_first, methods=["POST"]),
    *parts.ROUTES,
    Route("/add/{draft}/manifest.yaml", manifest),
    Route("/add/{draft}/scanning", show_scan_progress),
    Route("/add/{draft}/name", name),
    Route("/add/{draft}/drop", drop, methods=["POST"]),
    Route("/add/{draft}/{step}", show),
    Route("/add/{draft}/{step}", save, methods=["POST"]),
]
