"""A browser without scripts: it keeps cookies, follows links and sends the forms of its pages."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any

from starlette.testclient import TestClient

from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.app import studio_app
from factory_pipeline.web.studio.context import Studio
from factory_pipeline.web.studio.guard import Access

ORIGIN = "http://127.0.0.1:3001"


class Visitor(TestClient):
    """A client of the studio of a home."""

    def __init__(self, studio: Studio, access: Access | None = None) -> None:
        """Open the studio; nobody asks for a token unless `access` has one."""
        super().__init__(studio_app(studio, access or Access(b"secret")), base_url=ORIGIN)

    def page(self, path: str, status: int = 200) -> str:
        """Load a page, which must answer with a status."""
        answer = self.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == status, answer.text
        return answer.text

    def send_form(self, path: str, fields: Mapping[str, Any], status: int = 200) -> str:
        """Send a form as a page of the studio does, and follow where it leads."""
        answer = self.post(path, data=fields, headers=self.headers_of_page())
        assert answer.status_code == status, answer.text
        return answer.text

    def headers_of_page(self) -> dict[str, str]:
        """Return what a page of the studio sends with everything that it changes."""
        token = re.search(r'<meta name="csrf" content="([^"]+)">', self.page("/login"))
        assert token is not None
        return {"X-CSRF-Token": token[1], "Origin": ORIGIN}


def text_of(page: str) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def studio_of_home(home: FactoryHome) -> Studio:
    """Return the studio of a home, with a registry of its own."""
    from factory_pipeline.datalake.registry.registry import Registry

    home.root.mkdir(parents=True, exist_ok=True)
    return Studio(home, Registry.open(home.registry))
