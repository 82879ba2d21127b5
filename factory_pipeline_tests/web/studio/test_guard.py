"""Requests that no page of the studio would send are refused, on every route."""

import re

import pytest
from starlette.routing import Route

from factory_pipeline.web.studio.app import studio_app
from factory_pipeline.web.studio.context import STATIC, Studio, static_bytes
from factory_pipeline.web.studio.guard import LOOPBACK, MOST_FORM_BYTES, SAFE_METHODS, Access, load_secret
from factory_pipeline_tests.web.studio.visitor import ORIGIN, Visitor


def changing_routes(studio: Studio) -> list[tuple[str, str]]:
    """Method and path of everything that changes something."""
    app = studio_app(studio, Access(b"secret"))
    return [
        (method, route.path.replace(":path", "").replace("{", "").replace("}", ""))
        for route in app.routes
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - SAFE_METHODS)
    ]


def test_nothing_is_changed_without_a_token_of_the_page(studio: Studio, visitor: Visitor) -> None:
    visitor.page("/")
    routes = changing_routes(studio)
    assert ("POST", "/datasets/name/version/delete") in routes
    for method, path in routes:
        for headers in (
            {},
            {"X-CSRF-Token": "guessed"},
            {"Origin": "null"},
            {"Origin": "http://evil.example"},
        ):
            assert visitor.request(method, path, headers=headers).status_code == 403, (method, path, headers)


def test_a_page_of_another_site_is_refused_even_with_the_token(visitor: Visitor) -> None:
    token = visitor.page("/").partition('name="csrf" content="')[2].partition('"')[0]
    allowed = {"X-CSRF-Token": token, "Origin": ORIGIN}
    assert visitor.post("/logout", headers=allowed, follow_redirects=False).status_code == 303
    for origin in ("http://127.0.0.1:3002", "http://evil.example", "null"):
        assert visitor.post("/logout", headers={**allowed, "Origin": origin}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "factory:3001"])
def test_a_name_that_was_pointed_at_this_machine_is_refused(visitor: Visitor, host: str) -> None:
    assert visitor.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:3001", "localhost", "[::1]:3001"])
def test_names_of_this_machine_are_answered(visitor: Visitor, host: str) -> None:
    assert visitor.get("/", headers={"Host": host}).status_code == 200


def test_behind_a_reverse_proxy_its_address_counts(studio: Studio) -> None:
    visitor = Visitor(studio, Access(b"secret", LOOPBACK, "https://factory.example"))
    asked = {"Host": "factory.example"}
    token = visitor.get("/", headers=asked).text.partition('name="csrf" content="')[2].partition('"')[0]
    headers = {"X-CSRF-Token": token, "Origin": "https://factory.example"}
    assert visitor.post("/logout", headers=headers, follow_redirects=False).status_code == 303


def test_every_answer_forbids_scripts_of_others(visitor: Visitor) -> None:
    for path in ("/", "/login", "/nothing", "/static/0/studio.css"):
        headers = visitor.get(path).headers
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
    page = visitor.page("/")
    assert "<script>" not in page
    assert not re.search(r"<[^>]+\son[a-z]+=", page), "a handler in an attribute"


def test_with_a_token_only_those_who_know_it_see_anything(studio: Studio) -> None:
    access = Access(b"secret", LOOPBACK, token="open sesame")
    visitor = Visitor(studio, access)
    assert visitor.get("/", headers={"Accept": "application/json"}).status_code == 401
    form = visitor.get("/?q=a", headers={"Accept": "text/html"})
    assert form.url.path == "/login"
    assert visitor.get("/", headers={"Authorization": "Bearer open sesame"}).status_code == 200
    token = form.text.partition('name="csrf" content="')[2].partition('"')[0]
    refused = visitor.post("/login", data={"csrf": token, "token": "wrong", "next": "/"})
    assert refused.status_code == 403
    assert "This is not the token." in refused.text
    assert visitor.get("/", headers={"Accept": "application/json"}).status_code == 401
    for target, led in (("/builds?a=1", "/builds?a=1"), ("//evil.example", "/"), ("/\\evil.example", "/")):
        data = {"csrf": token, "token": "open sesame", "next": target}
        answer = visitor.post("/login", data=data, follow_redirects=False)
        assert answer.headers["location"] == led
    assert visitor.get("/").status_code == 200
    other = Visitor(studio, Access(b"secret", LOOPBACK, token="another"))
    other.cookies = visitor.cookies
    assert other.get("/").status_code == 401, "a login ends with its token"


def test_a_form_has_a_largest_size(visitor: Visitor) -> None:
    visitor.page("/")
    body = b"csrf=" + bytes(MOST_FORM_BYTES)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert visitor.post("/logout", content=body, headers=headers).status_code == 413


def test_the_secret_is_kept_and_read_by_the_owner_alone(studio: Studio) -> None:
    path = studio.home.studio.secret
    first = load_secret(path)
    assert len(first) == 32
    assert load_secret(path) == first
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["../context.py", "vendor/../../app.py", "/etc/passwd", "vendor", ""])
def test_only_files_of_the_pages_are_served_as_such(visitor: Visitor, name: str) -> None:
    assert visitor.get(f"/static/0/{name}").status_code == 404
    with pytest.raises(KeyError):
        static_bytes(name)


def test_a_notice_can_not_be_made_up(visitor: Visitor) -> None:
    visitor.cookies.set("factory-notice", "aGFja2Vk.signature")
    assert "hacked" not in visitor.page("/")


def test_vendored_scripts_are_those_of_their_packages() -> None:
    import hashlib
    import json

    folder = STATIC / "vendor"
    known = json.loads((folder / "vendored.json").read_text())
    files = {path.name for path in folder.iterdir()} - {"vendored.json"}
    assert files == {one["file"] for one in known}
    for one in known:
        assert hashlib.sha256((folder / one["file"]).read_bytes()).hexdigest() == one["sha256"]
        assert one["version"] in one["file"]
