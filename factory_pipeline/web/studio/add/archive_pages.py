"""The first two pages of adding a dataset: its archive, and what the pre-scan finds in it."""

from starlette.requests import Request
from starlette.responses import Response

from factory_pipeline.archives.url_policy import has_user
from factory_pipeline.onboarding.list_inbox import ARCHIVE_ENDINGS
from factory_pipeline.onboarding.manifest.model import Purpose
from factory_pipeline.web.studio.add import answers
from factory_pipeline.web.studio.add.drafts import Draft
from factory_pipeline.web.studio.add.scan import Scan, found
from factory_pipeline.web.studio.add.steps import go_to_next, render_step, requested_draft, scans_of
from factory_pipeline.web.studio.context import go_to, render


def show_file(request: Request, draft: Draft, error: str = "", drafts: list[Draft] | None = None) -> Response:
    """Show the form of the archive and the purpose.

    Args:
        request: that is answered.
        draft: that is shown.
        error: a sentence on the form that was sent.
        drafts: that were left, to go on with.
    """
    return render_step(
        request,
        draft,
        "file",
        error,
        drafts=drafts or [],
        purposes=[purpose.value for purpose in Purpose],
        endings=",".join(ARCHIVE_ENDINGS),
    )


def save_file(request: Request, draft: Draft, form: answers.Form) -> Response:
    """Take the form of the archive and the purpose, and start the pre-scan.

    Args:
        request: that is answered.
        draft: that is changed.
        form: as sent.
    """
    saved = draft.answered(**answers.file_answers(form))
    link = answers.field(form, "dataset_url")
    if link:
        saved = Draft(saved.id, saved.files, saved.manifest).answered(dataset_url=link)
    error = answers.check(saved.manifest)
    if not saved.has_archive:
        error = "Choose an archive of this computer, or give a link to one."
        if saved.file is not None:
            error = f"{saved.file.name} has not come as a whole: choose it again to go on from there."
    elif link and has_user(link):
        error = "A link must hold no user and password, for the manifest is kept and shown."
    elif "purpose" not in saved.manifest:
        error = "Choose what the dataset is for."
    if error:
        return show_file(request, saved, error)
    if draft.manifest.get("dataset_url") != saved.manifest.get("dataset_url"):
        saved.files.scan.unlink(missing_ok=True)
    if saved.file is not None and link:
        saved.files.archive.unlink(missing_ok=True)
    saved = saved.save()
    scans_of(request).start(saved)
    return go_to(request, f"/add/{saved.id}/scan")


def show_scan(request: Request, draft: Draft) -> Response:
    """Show what the pre-scan found, or how far it is.

    Args:
        request: that is answered.
        draft: that is shown.
    """
    scan = found(draft)
    if scan is None:
        scans_of(request).start(draft)
    return render_step(request, draft, "scan", scan=scan, doing=scans_of(request).progress(draft))


def show_scan_progress(request: Request) -> Response:
    """Answer the page that asks how far the pre-scan is; once it has ended, the page is loaded anew."""
    draft = requested_draft(request)
    doing = scans_of(request).progress(draft)
    if not doing and found(draft) is not None:
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    scans_of(request).start(draft)
    return render(request, "add_scanning.html", draft=draft, doing=doing)


def save_scan(request: Request, draft: Draft, form: answers.Form) -> Response:
    """Save the suffixes that the pre-scan suggested, or scan again with suffixes that the user typed.

    Args:
        request: of the page.
        draft: whose archive was scanned.
        form: with `suffixes`, `label_suffix` and `action` (`again` scans once more).
    """
    scan = found(draft)
    given = {
        "training_data_suffixes": answers.suffixes_of(answers.field(form, "suffixes")),
        "label_suffix": answers.field(form, "label_suffix"),
    }
    if answers.field(form, "action") == "again":
        tried = draft.answered(**{key: value or None for key, value in given.items()})
        error = answers.check(tried.manifest)
        if error:
            return render_step(request, tried, "scan", error, scan=scan, doing="")
        tried = tried.save()
        tried.files.scan.unlink(missing_ok=True)
        scans_of(request).start(tried)
        return go_to(request, f"/add/{draft.id}/scan")
    if scan is not None and scan.suffixes and scan.label_suffix:
        # What was plain from the names of the files is an answer from now on.
        known = draft.answered(training_data_suffixes=list(scan.suffixes), label_suffix=scan.label_suffix)
        _keep_scan(draft, known, scan)
        return go_to_next(request, known, "scan")
    error = "Say how the names of images and labels end."
    return render_step(request, draft, "scan", error, scan=scan, doing="")


def _keep_scan(draft: Draft, known: Draft, scan: Scan) -> None:
    known.save()
    if known.manifest != draft.manifest:
        scan.keep_for(known)
