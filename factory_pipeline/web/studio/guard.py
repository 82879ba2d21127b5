"""Who may ask the studio for what: checks of every request, before any page sees it.

A page of another site can make a browser send requests to this machine, with the cookies that it holds. So
the `Host` must be a name of this server (a name that was pointed at this machine is refused), and a request
that changes something must come from one of the studio's own pages: by its `Origin` where the browser gives
one, and by a token that only these pages hold. All of it is done here for all routes, so that none can be
forgotten.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from factory_pipeline.storage.atomic import atomic_write

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SESSION_COOKIE = "factory-studio"
LOGIN_COOKIE = "factory-login"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
LOGIN_PATH = "/login"
OPEN_PATHS = (LOGIN_PATH, "/static/")
"""What is served without a login: the form itself and what it looks like."""
MOST_FORM_BYTES = 4 << 20
FORM = "application/x-www-form-urlencoded"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline';"
        " img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Access:
    """Who may use the studio, and under which names it is reached."""

    secret: bytes
    """Signs what the studio gives to a browser and takes back."""
    hosts: frozenset[str] = LOOPBACK
    """Names that a request may have as its `Host`; empty allows every name."""
    public_origin: str = ""
    """The address by which a reverse proxy is reached, such as `https://factory.example`."""
    token: str = ""
    """What a user must know; empty lets everyone in."""

    def sign(self, purpose: str, text: str) -> str:
        """Return what proves that the studio gave out a text for a purpose.

        Args:
            purpose: so that the proof of one is none of another.
            text: that is signed.
        """
        digest = hmac.new(self.secret, f"{purpose}\n{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def is_signed(self, purpose: str, text: str, signature: str) -> bool:
        """Return whether a signature is that of a text.

        Args:
            purpose: as signed.
            text: as signed.
            signature: as `sign` returned it.
        """
        return hmac.compare_digest(self.sign(purpose, text).encode(), signature.encode())

    def login(self) -> str:
        """Return the value of the cookie of a browser that is let in."""
        return self.sign("login", self.token)

    def knows(self, token: str) -> bool:
        """Return whether a token is the one that lets in."""
        return hmac.compare_digest(self.token.encode(), token.encode())

    def is_known(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Return whether a request knows the token, or comes from a browser that is logged in.

        Args:
            headers: of the request.
            cookies: of the request.
        """
        if not self.token:
            return True
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return self.knows(bearer) or self.is_signed("login", self.token, cookies.get(LOGIN_COOKIE, ""))

    def allows_host(self, host: str) -> bool:
        """Return whether a request may have a `Host`."""
        name = urlsplit(f"//{host}").hostname or ""
        return not self.hosts or name in self.hosts or host == urlsplit(self.public_origin).netloc

    def allows_origin(self, origin: str, host: str) -> bool:
        """Return whether a request that changes something may come from a page of an origin.

        Args:
            origin: of the page (the header).
            host: of the request (the header).
        """
        netloc = urlsplit(origin).netloc
        return bool(netloc) and netloc in (host, urlsplit(self.public_origin).netloc)


def load_secret(path: Path) -> bytes:
    """Return the secret of a factory home, made at its first use; forms stay valid after a restart."""
    if not path.exists():
        with atomic_write(path) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


class Guard:
    """Middleware that refuses what is not allowed, and gives every answer its security headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        """Guard an app."""
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cookies = {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
        session = cookies.get(SESSION_COOKIE) or secrets.token_urlsafe(24)
        scope["access"] = self._access
        scope["csrf"] = self._access.sign("csrf", session)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                if SESSION_COOKIE not in cookies:
                    answer.append("set-cookie", cookie(SESSION_COOKIE, session))
            await send(message)

        refusal = self._refuse_reader(scope, headers, cookies)
        if refusal is None and scope["method"] not in SAFE_METHODS:
            body, receive = await _buffered_form(headers, receive)
            refusal = self._refuse_change(scope, headers, body)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refuse_reader(self, scope: Scope, headers: Headers, cookies: dict[str, str]) -> Response | None:
        """Return why a request is not even answered; None if it is."""
        access = self._access
        if not access.allows_host(headers.get("host", "")):
            return PlainTextResponse(
                "This server does not have the name that the request has as its Host.", 421
            )
        path = scope["path"]
        if path.startswith(OPEN_PATHS) or access.is_known(headers, cookies):
            return None
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse(f"{LOGIN_PATH}?next={quote(path)}", 303)
        return JSONResponse({"error": "Give the token: as Authorization: Bearer TOKEN, or on /login."}, 401)

    def _refuse_change(self, scope: Scope, headers: Headers, body: bytes | None) -> Response | None:
        """Return why a request must not change anything; None if it may."""
        origin = headers.get("origin")
        if origin is not None and not self._access.allows_origin(origin, headers.get("host", "")):
            return PlainTextResponse("The request comes from a page of another site.", 403)
        if body is None:
            return PlainTextResponse(f"A form may have {MOST_FORM_BYTES:,} bytes.", 413)
        given = headers.get(CSRF_HEADER) or parse_qs(body.decode("utf-8", "replace")).get(CSRF_FIELD, [""])[0]
        if not hmac.compare_digest(scope["csrf"].encode(), given.encode()):
            return PlainTextResponse("The page is out of date: load it again, then send the form again.", 403)
        return None


def cookie(name: str, value: str, seconds: int | None = None) -> str:
    """Return the header that sets a cookie, which scripts and requests of other sites do not get.

    Args:
        name: of the cookie.
        value: of the cookie.
        seconds: that it lives; until the browser ends if None.
    """
    age = "" if seconds is None else f"; Max-Age={seconds}"
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}"


async def _buffered_form(headers: Headers, receive: Receive) -> tuple[bytes | None, Receive]:
    """Read the body of a form, and return it with what lets the page read it again.

    Anything else than a form is left unread: it must have its token as a header.
    """
    if headers.get("content-type", "").partition(";")[0] != FORM:
        return b"", receive
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_FORM_BYTES:
            return None, receive
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again
