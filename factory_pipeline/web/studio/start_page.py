"""The start page: the cards of all datasets, searched, filtered and paged on the server."""

import hashlib
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.web.studio.catalog import Choice, Kind, Page, choose_cards
from factory_pipeline.web.studio.context import render, studio_of


def start(request: Request) -> Response:
    """Show the cards that are chosen by the query of the address."""
    choice = _choice(request)
    page = choose_cards(studio_of(request), choice)
    return render(
        request,
        "start.html",
        **_values(choice, page),
        kinds=[kind.value for kind in Kind],
        statuses=[status.value for status in UploadStatus],
    )


def cards(request: Request) -> Response:
    """Answer the page that asks again: with the cards, or 204 where they are the same."""
    choice = _choice(request)
    values = _values(choice, choose_cards(studio_of(request), choice))
    if request.query_params.get("seen") == values["seen"]:
        return Response(status_code=204)
    return render(request, "cards.html", **values)


def _values(choice: Choice, page: Page) -> dict[str, object]:
    def address(number: int) -> str:
        return "/?" + urlencode({**asked, "page": number})

    asked = {"q": choice.text, "kind": choice.kind, "status": choice.status}
    seen = hashlib.sha256(repr(page).encode()).hexdigest()[:16]
    return {
        "choice": choice,
        "page": page,
        "seen": seen,
        "again": "/cards?" + urlencode({**asked, "page": page.number, "seen": seen}),
        "before": address(page.number - 1) if page.number > 1 else "",
        "after": address(page.number + 1) if page.number < page.pages else "",
    }


def _choice(request: Request) -> Choice:
    asked = request.query_params
    number = asked.get("page", "1")
    return Choice(
        asked.get("q", "")[:200],
        asked.get("kind", ""),
        asked.get("status", ""),
        int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 1,
    )


ROUTES = [Route("/", start), Route("/cards", cards)]
