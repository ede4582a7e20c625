"""Authentications of httpx's kind that users bring along, and what they are shown to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator

import httpx

from acp_langgraph.testing import FakeHTTPServer, RecordedRequest, Response

__all__ = ["SECRET", "ClientCredentials", "behind_digest", "token_issuer"]

SECRET = "sesame-secret"


class ClientCredentials(httpx.Auth):
    """OAuth 2.0's flow for client credentials, as its authors write it down: one token for all."""

    requires_response_body = True

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self.token:
            form = {"grant_type": "client_credentials", "client_secret": SECRET}
            issued = yield httpx.Request("POST", f"{self.issuer}/token", data=form)
            issued.raise_for_status()
            self.token = issued.json()["access_token"]
        request.headers["authorization"] = f"Bearer {self.token}"
        yield request


def token_issuer() -> FakeHTTPServer:
    """Issues the token `sesame-token` for `SECRET`."""

    def respond(request: RecordedRequest) -> Response:
        if f"client_secret={SECRET}" not in request.text:
            return Response.json({"error": "invalid_client"}, 401)
        return Response.json({"access_token": "sesame-token", "expires_in": 3600})

    return FakeHTTPServer(respond)


def behind_digest(
    answer: Callable[[RecordedRequest], Response], user: str, password: str
) -> Callable[[RecordedRequest], Response]:
    """What `answer` says to requests with HTTP Digest (RFC 7616), and a challenge to all others."""
    realm, nonce = "agents", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    challenge = f'Digest realm="{realm}", qop="auth", algorithm=SHA-256, nonce="{nonce}"'

    def hashed(*parts: str) -> str:
        return hashlib.sha256(":".join(parts).encode()).hexdigest()

    def respond(request: RecordedRequest) -> Response:
        shown = request.headers.get("authorization", "")
        said = {
            name: quoted or bare
            for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', shown)
        }
        expected = hashed(
            hashed(user, realm, password),
            nonce,
            said.get("nc", ""),
            said.get("cnonce", ""),
            "auth",
            hashed(request.method, request.target),
        )
        if said.get("response") == expected:
            return answer(request)
        headers = {"www-authenticate": challenge, "set-cookie": "session=1"}
        return Response.json({"detail": "who is there?"}, 401, headers)

    return respond
