"""The login, where the studio asks for a token, and the files that its pages load."""

from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from factory_pipeline.web.studio.context import go_to, read_form, render, static_bytes, static_url
from factory_pipeline.web.studio.guard import LOGIN_COOKIE, LOGIN_PATH, Access, cookie

MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def show_login(request: Request) -> Response:
    """Show the form that asks for the token."""
    return render(request, "login.html", next=_local_path(request.query_params.get("next", "")), error="")


async def log_in(request: Request) -> Response:
    """Let a browser in that knows the token."""
    form = await read_form(request)
    access: Access = request.scope["access"]
    target = _local_path(form.get("next", [""])[0])
    if not access.knows(form.get("token", [""])[0].strip()):
        return render(request, "login.html", 403, next=target, error="This is not the token.")
    response = go_to(request, target)
    response.headers.append("set-cookie", cookie(LOGIN_COOKIE, access.login()))
    return response


async def log_out(request: Request) -> Response:
    """Forget the login of a browser."""
    response = go_to(request, LOGIN_PATH)
    response.headers.append("set-cookie", cookie(LOGIN_COOKIE, "", 0))
    return response


def static(request: Request) -> Response:
    """Serve a file of the studio itself."""
    name = request.path_params["name"]
    try:
        content = static_bytes(name)
    except KeyError:
        raise HTTPException(404) from None
    # An address of another content is one that an older page asks for: it must not be kept for ever.
    headers = FOR_EVER if static_url(name) == request.url.path else {}
    media_type = MEDIA_TYPES.get(name.rpartition(".")[2], "text/plain")
    return Response(content, media_type=media_type, headers=headers)


def _local_path(target: str) -> str:
    """Return a path of this server; the start page where something else is given."""
    parts = urlsplit(target)
    is_path = not parts.scheme and not parts.netloc and target.startswith("/") and "\\" not in target
    return target if is_path else "/"


ROUTES = [
    Route(LOGIN_PATH, show_login),
    Route(LOGIN_PATH, log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
    Route("/static/{digest}/{name:path}", static),
]
