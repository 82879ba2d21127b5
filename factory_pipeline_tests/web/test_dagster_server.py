"""Dagster's web server lets in who may use the studio, and no page of another site."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from factory_pipeline.web.dagster_server import PAGES_PORT, Entrance
from factory_pipeline.web.studio.guard import LOGIN_COOKIE, LOOPBACK, Access

pytestmark = pytest.mark.integration  # loads Dagster's web server

URL = "http://127.0.0.1:3000"


def client(token: str = "") -> TestClient:
    """A client of a web server that answers everything, behind the entrance."""

    def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("answered")

    access = Access(b"secret", LOOPBACK, token=token)
    app = Starlette(
        routes=[Route("/graphql", answer, methods=["GET", "POST"])],
        middleware=[Middleware(Entrance, access=access)],
    )
    return TestClient(app, base_url=URL, follow_redirects=False)


def test_without_a_token_this_machine_is_answered_and_other_names_are_not() -> None:
    assert client().get("/graphql").text == "answered"
    assert client().post("/graphql", headers={"Origin": URL}).status_code == 200
    assert client().get("/graphql", headers={"Host": "evil.example"}).status_code == 421
    assert client().post("/graphql", headers={"Origin": "http://evil.example"}).status_code == 403


def test_with_a_token_programs_send_it_and_browsers_log_in_to_the_studio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PAGES_PORT, "3001")
    asked = client("open sesame")
    assert asked.post("/graphql").status_code == 401
    assert asked.post("/graphql", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert asked.post("/graphql", headers={"Authorization": "Bearer open sesame"}).text == "answered"
    led = asked.get("/graphql", headers={"Accept": "text/html"})
    assert led.headers["location"] == "http://127.0.0.1:3001/login"
    asked.cookies.set(LOGIN_COOKIE, Access(b"secret", token="open sesame").login())
    assert asked.get("/graphql").text == "answered"
