"""The import of an archive that is a release, in place of the pages of a dataset."""

from starlette.requests import Request
from starlette.responses import Response

from factory_pipeline.web.studio.add import answers
from factory_pipeline.web.studio.add.drafts import Draft
from factory_pipeline.web.studio.add.submit import import_draft
from factory_pipeline.web.studio.context import go_to, studio_of
from factory_pipeline.web.studio.tasks import Task, tasks_of


def import_release(request: Request, draft: Draft, form: answers.Form) -> Response:
    """Start the import of a release.

    Args:
        request: that is answered.
        draft: with the archive.
        form: as sent: what is said of the release.
    """
    studio = studio_of(request)

    def work(task: Task) -> str:
        report = import_draft(
            draft,
            studio.home,
            studio.client(task.progress),
            name=answers.field(form, "name"),
            mltype=answers.field(form, "mltype"),
            label_coordinates=answers.field(form, "label_coordinates"),
            skip_invalid=bool(answers.field(form, "skip_invalid")),
        )
        for line in str(report).splitlines():
            task.say(line)
        return "/lake"

    task = tasks_of(request).start(f"Importing {draft.source}", work)
    return go_to(request, f"/tasks/{task.id}")
