"""The files of the page: what they may do in a browser, and that they are there to be had by anybody.

They hold nothing that is anybody's business, so they ask for no key. A browser runs no script in this
page but these, takes no text for markup, asks no other host, and shows it in nobody's frame.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


def file_routes() -> list[Route]:
    """The page at `/`, and what it is made of at `/page/...`."""
    folder = resources.files(__package__) / "static"
    return [
        _route("/" if each.name == "index.html" else f"/page/{each.name}", each.read_bytes())
        for each in folder.iterdir()
        if each.name.rpartition(".")[2] in _KINDS
    ]


def _route(path: str, content: bytes) -> Route:
    kind = _KINDS["html" if path == "/" else path.rpartition(".")[2]]
    headers = {**_HEADERS, "etag": f'"{sha256(content).hexdigest()[:32]}"'}

    async def give(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return Route(path, give)
