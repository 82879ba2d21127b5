"""The studio as a web app: its pages, the files of datasets and exports, and the guard before all of them."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from factory_pipeline.errors import FactoryError
from factory_pipeline.web.studio import (
    augmentations,
    builds_page,
    dataset_page,
    files,
    finetune_page,
    lake_page,
    login,
    pictures,
    start_page,
    tasks,
    version_page,
)
from factory_pipeline.web.studio.add import pages as add
from factory_pipeline.web.studio.add.drafts import drop_old_drafts
from factory_pipeline.web.studio.add.scan import Scans
from factory_pipeline.web.studio.context import Studio, render
from factory_pipeline.web.studio.guard import Access, Guard

TITLES = {404: "There is no such page", 405: "This can't be done here", 413: "This is too large"}


def studio_app(studio: Studio, access: Access) -> Starlette:
    """Return the studio of a factory; drafts that nobody has used for long are removed.

    Args:
        studio: the factory.
        access: who may use it.
    """
    app = Starlette(
        routes=[
            *start_page.ROUTES,
            *login.ROUTES,
            *pictures.ROUTES,
            *add.ROUTES,
            *finetune_page.ROUTES,
            *dataset_page.ROUTES,
            *tasks.ROUTES,
            *builds_page.ROUTES,
            *lake_page.ROUTES,
            *augmentations.ROUTES,
            *version_page.ROUTES,
            *files.ROUTES,
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={HTTPException: _show_refusal, FactoryError: _show_failure},  # type: ignore[dict-item]
    )
    drop_old_drafts(studio.home)
    app.state.studio = studio
    app.state.scans = Scans(studio.home)
    app.state.tasks = tasks.Tasks()
    return app


def _show_refusal(request: Request, error: HTTPException) -> Response:
    title = TITLES.get(error.status_code, "This can't be shown")
    message = error.detail if error.status_code not in TITLES else "It may have been deleted or renamed."
    return render(request, "error.html", error.status_code, title=title, message=message)


def _show_failure(request: Request, error: FactoryError) -> Response:
    return render(request, "error.html", 400, title="This can't be shown", message=str(error))
