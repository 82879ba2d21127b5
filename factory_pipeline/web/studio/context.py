"""What all pages of the studio share: the factory behind them, and how a page is answered."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.onboarding.page.jinja_environment import make_environment
from factory_pipeline.sdk.backend import Backend, OnProgress
from factory_pipeline.sdk.client import DatasetClient
from factory_pipeline.sdk.remote import RemoteBackend
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.guard import Access, cookie

STATIC = resources.files("factory_pipeline.web.studio") / "static"
PAGE_STYLE = resources.files("factory_pipeline.onboarding.page") / "templates" / "style.css"
NOTICE_COOKIE = "factory-notice"
"""Holds what the next page says once, such as that a dataset was deleted."""


@dataclass(frozen=True)
class Studio:
    """The factory that the studio shows."""

    home: FactoryHome
    registry: Registry
    runs_url: str = ""
    """Address of Dagster's web server, which runs what is started here; empty runs it in this process."""

    def client(self, on_progress: OnProgress) -> DatasetClient:
        """Return what makes versions, as a program of a user does."""
        if self.runs_url:
            return DatasetClient(self.runs_url, on_progress=on_progress)
        return DatasetClient(home=self.home.root, on_progress=on_progress)

    def backend(self) -> Backend:
        """Return what makes exports."""
        if self.runs_url:
            return RemoteBackend(self.runs_url)
        from factory_pipeline.sdk.local import LocalBackend

        return LocalBackend(self.home)


def studio_of(request: Request) -> Studio:
    """Return the factory behind a request."""
    studio: Studio = request.app.state.studio
    return studio


def render(request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
    """Answer with a page; what the page before wanted to have said is said once.

    Args:
        request: that is answered.
        template: its file name.
        status: of HTTP.
        **values: of the template.
    """
    access: Access = request.scope["access"]
    notice = _decode(access, request.cookies.get(NOTICE_COOKIE, ""))
    text = (
        environment()
        .get_template(template)
        .render(
            csrf=request.scope["csrf"],
            path=request.url.path,
            notice=notice,
            runs_url=_swap_host(request, studio_of(request).runs_url),
            has_login=bool(access.token),
            **values,
        )
    )
    response = HTMLResponse(text, status, headers={"Cache-Control": "no-store"})
    if notice:
        response.headers.append("set-cookie", cookie(NOTICE_COOKIE, "", 0))
    return response


def go_to(request: Request, url: str, notice: str = "") -> Response:
    """Answer a form that was taken: the browser loads another page, which shows the notice.

    Args:
        request: that is answered.
        url: of the other page.
        notice: one sentence.
    """
    response = RedirectResponse(url, 303)
    if notice:
        access: Access = request.scope["access"]
        text = base64.urlsafe_b64encode(notice.encode()).decode().rstrip("=")
        value = f"{text}.{access.sign('notice', text)}"
        response.headers.append("set-cookie", cookie(NOTICE_COOKIE, value, 60))
    return response


async def read_form(request: Request) -> Mapping[str, list[str]]:
    """Return the fields of a form, each with its values in the order of the page."""
    body = await request.body()
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)


@cache
def environment() -> Environment:
    """Return what renders a template; all text is escaped. Templates of the dataset page are `page/...`."""
    own = PackageLoader("factory_pipeline.web.studio")
    shared = PrefixLoader({"page": PackageLoader("factory_pipeline.onboarding.page")})
    made = make_environment(ChoiceLoader([own, shared]))
    made.filters["bytes"] = _bytes
    made.globals["static"] = static_url
    made.globals["map_moves"] = True  # The offline page, whose templates these are too, has none of map.js.
    return made


@cache
def static_url(name: str) -> str:
    """Return the address of a file that the pages load, which changes with its content."""
    return f"/static/{hashlib.sha256(static_bytes(name)).hexdigest()[:12]}/{name}"


@cache
def static_bytes(name: str) -> bytes:
    """Return a file that the pages load; the style sheet begins with that of the dataset page.

    Raises:
        KeyError: there is no such file.
    """
    path = PurePosixPath(name)
    source = STATIC.joinpath(*path.parts)
    if path.is_absolute() or ".." in path.parts or not source.is_file():
        raise KeyError(name)
    content = source.read_bytes()
    return PAGE_STYLE.read_bytes() + content if name == "studio.css" else content


def _swap_host(request: Request, url: str) -> str:
    """Return the address of a server beside this one, by the name by which the browser reached this one."""
    return str(URL(url).replace(hostname=request.url.hostname)) if url else ""


def _decode(access: Access, value: str) -> str:
    text, _, signature = value.partition(".")
    if not text or not access.is_signed("notice", text, signature):
        return ""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace")


def _bytes(size: float | None) -> str:
    """Return a number of bytes as a person reads it."""
    if size is None:
        return "unknown size"
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError
