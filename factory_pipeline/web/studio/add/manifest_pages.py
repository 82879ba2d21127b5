"""The pages that fill in the manifest of a dataset that is added: data sources, labels, splits."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from factory_pipeline.onboarding.manifest.known_collections import known_collections
from factory_pipeline.storage.slug import slug
from factory_pipeline.web.studio.add import answers
from factory_pipeline.web.studio.add.drafts import Draft
from factory_pipeline.web.studio.add.scan import found
from factory_pipeline.web.studio.add.steps import go_to_next, render_step, requested_draft
from factory_pipeline.web.studio.context import render, studio_of


def show_configure(request: Request, draft: Draft, error: str = "") -> Response:
    """Show the form of the name and the data sources.

    Args:
        request: that is answered.
        draft: that is shown.
        error: a sentence on the form that was sent.
    """
    scan, suffixes = found(draft), draft.manifest.get("training_data_suffixes", [])
    report = scan.report if scan is not None else None
    sources = draft.manifest.get("data_sources")
    if sources is None or [source.get("file_suffix") for source in sources] != list(suffixes):
        sources = answers.proposed_sources(report, suffixes)
    name = draft.manifest.get("dataset_name", answers.proposed_name(draft.source))
    return render_step(
        request,
        draft,
        "configure",
        error,
        sources=answers.shown(sources),
        **_name_state(request, name),
        collections=known_collections(),
        report=report,
    )


def name(request: Request) -> Response:
    """Answer the page while a name is typed: whether it is allowed, and whether it is free."""
    requested_draft(request)
    return render(
        request, "add_name.html", **_name_state(request, request.query_params.get("dataset_name", "").strip())
    )


def _name_state(request: Request, name: str) -> dict[str, Any]:
    uploads = studio_of(request).registry.uploads()
    return {
        "name": name,
        "refused": answers.check({"dataset_name": name}),
        "taken": [upload.key for upload in uploads if name and upload.name == slug(name)],
    }


def save_configure(request: Request, draft: Draft, form: answers.Form) -> Response:
    """Take the form of the name and the data sources.

    Args:
        request: that is answered.
        draft: that is changed.
        form: as sent.
    """
    suffixes = draft.manifest.get("training_data_suffixes", [])
    saved = draft.answered(
        dataset_name=answers.field(form, "dataset_name"),
        description=answers.field(form, "description").replace("\r\n", "\n"),
        data_sources=answers.source_answers(form, suffixes),
    )
    action = answers.field(form, "action")
    if action.startswith("fill:"):
        scan = found(draft)
        filled = [
            answers.filled_in(_clear_bands(source), scan.report if scan is not None else None)
            if action == f"fill:{place}"
            else source
            for place, source in enumerate(saved.manifest["data_sources"])
        ]
        return show_configure(request, saved.answered(data_sources=filled).save())
    if action == "bands":
        return show_configure(request, saved.save())
    error = answers.check(saved.manifest)
    without = [
        source.get("modality_tag", "image")
        for source in saved.manifest["data_sources"]
        if not source["bands"]
    ]
    if not error and without and found(draft) is None:
        error = f"Give the number of bands of {', '.join(without)}."
    if error:
        return show_configure(request, saved, error)
    return go_to_next(request, saved.save(), "configure")


def _clear_bands(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a data source that says nothing of its bands but their names, for its collection to fill in."""
    bands = [{"index": band["index"], "band_name": band["band_name"]} for band in source["bands"]]
    return {**source, "bands": bands}


def show_labels(
    request: Request, draft: Draft, error: str = "", categories: list[dict[str, Any]] | None = None
) -> Response:
    """Show the form of the label categories.

    Args:
        request: that is answered.
        draft: that is shown.
        error: a sentence on the form that was sent.
        categories: of the form; None for those of the draft.
    """
    scan = found(draft)
    values = scan.values if scan is not None else ()
    if categories is None:
        categories = draft.manifest.get("label_categories")
    if categories is None:
        categories = answers.with_values([], values)
    taken = {category["id"] for category in categories}
    return render_step(
        request,
        draft,
        "labels",
        error,
        categories=categories,
        values=values,
        values_error=scan.values_error if scan is not None else "",
        missing=[value for value in values if value not in taken],
    )


def save_labels(request: Request, draft: Draft, form: answers.Form) -> Response:
    """Take the form of the label categories.

    Args:
        request: that is answered.
        draft: that is changed.
        form: as sent.
    """
    categories, action = answers.label_answers(form), answers.field(form, "action")
    nodata = answers.field(form, "label_nodata")
    saved = draft.answered(
        label_categories=categories, label_nodata=answers.number(nodata) if nodata else None
    )
    if action == "add":
        more = [*categories, answers.one_more(categories)]
        return show_labels(request, saved.answered(label_categories=more).save())
    if action == "values":
        scan = found(draft)
        more = answers.with_values(categories, scan.values if scan is not None else ())
        return show_labels(request, saved.answered(label_categories=more).save())
    if action.startswith("remove:"):
        rest = [one for place, one in enumerate(categories) if action != f"remove:{place}"]
        return show_labels(request, saved.answered(label_categories=rest).save())
    error = answers.check(saved.manifest)
    if error:
        return show_labels(request, saved, error)
    return go_to_next(request, saved.save(), "labels")


def show_splits(request: Request, draft: Draft, error: str = "") -> Response:
    """Show the form of the splits.

    Args:
        request: that is answered.
        draft: that is shown.
        error: a sentence on the form that was sent.
    """
    scan = found(draft)
    rule = dict(draft.manifest.get("splits", {}))
    method = rule.get("method", "random")
    if method == "given":
        method = "files" if any(key.endswith("_file") for key in rule) else "folders"
    shares = {"train": 60, "test": 20, "validation": 20, **rule.get("percentages", {})}
    overlap = scan.overlap if scan is not None else ""
    return render_step(
        request,
        draft,
        "splits",
        error,
        rule=answers.shown(rule),
        method=method,
        shares=shares,
        overlap=overlap,
    )


def save_splits(request: Request, draft: Draft, form: answers.Form) -> Response:
    """Take the form of the splits.

    Args:
        request: that is answered.
        draft: that is changed.
        form: as sent.
    """
    saved = draft.answered(splits=answers.split_answers(form))
    error = answers.check(saved.manifest)
    if error:
        return show_splits(request, saved, error)
    return go_to_next(request, saved.save(), "splits")
