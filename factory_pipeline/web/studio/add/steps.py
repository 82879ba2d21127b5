"""What the pages share on which a dataset is added: their order, the draft, how they are shown."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from factory_pipeline.onboarding.manifest.model import Purpose
from factory_pipeline.web.studio.add import answers
from factory_pipeline.web.studio.add.drafts import Draft, load_draft
from factory_pipeline.web.studio.add.scan import Scans
from factory_pipeline.web.studio.context import go_to, render, studio_of

STEPS = {
    "file": "File",
    "scan": "Pre-scan",
    "configure": "Data sources",
    "labels": "Labels",
    "splits": "Splits",
    "review": "Submit",
}
"""The pages in their order, by what ends their address."""
HANDLED = (Purpose.SEGMENTATION, Purpose.CLASSIFICATION)
"""Purposes whose labels have categories."""
Save = Callable[[Request, Draft, answers.Form], Response]


def requested_draft(request: Request) -> Draft:
    """Return the draft that the address of a request names."""
    return load_draft(studio_of(request).home, request.path_params["draft"])


def scans_of(request: Request) -> Scans:
    """Return the pre-scans of the studio."""
    scans: Scans = request.app.state.scans
    return scans


def render_step(request: Request, draft: Draft, step: str, error: str = "", **values: Any) -> Response:
    """Answer with the page of a step.

    Args:
        request: that is answered.
        draft: that is shown.
        step: one of STEPS.
        error: a sentence on the form that was sent; empty where it is right.
        **values: of the template.
    """
    return render(
        request,
        f"add_{step}.html",
        422 if error else 200,
        draft=draft,
        given=answers.shown(draft.manifest),
        step=step,
        steps=_steps(draft),
        error=error,
        **values,
    )


def _steps(draft: Draft) -> dict[str, str]:
    purpose = draft.manifest.get("purpose")
    has_labels = purpose is None or purpose in HANDLED
    return {step: text for step, text in STEPS.items() if step != "labels" or has_labels}


def go_to_next(request: Request, draft: Draft, step: str) -> Response:
    """Answer a form that is right: the browser loads the page of the next step.

    Args:
        request: that is answered.
        draft: as saved.
        step: whose form it was.
    """
    steps = list(_steps(draft))
    return go_to(request, f"/add/{draft.id}/{steps[steps.index(step) + 1]}")
