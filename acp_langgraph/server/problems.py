"""What a client is told when a request cannot be served.

Raised anywhere below the HTTP surface, answered by it: the body is a JSON string, as the
specification's `ErrorResponse` says. Messages name fields and ids, never the values sent.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

__all__ = ["Problem", "busy", "conflict", "invalid", "not_found", "stopping", "unstored"]

_LIMIT: Final = 2000
_LATER: Final = {"retry-after": "1"}


class Problem(Exception):
    """A request that is answered with an error status.

    Attributes:
        status: HTTP status code.
        message: The body, a sentence or two.
        headers: Headers of the answer.
    """

    def __init__(
        self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{int(status)}: {message}")
        self.status = int(status)
        self.message = message if len(message) <= _LIMIT else message[: _LIMIT - 3] + "..."
        self.headers = headers


def not_found(what: str, name: str) -> Problem:
    """404: there is no such thing."""
    return Problem(HTTPStatus.NOT_FOUND, f"there is no {what} {name[:100]!r}")


def conflict(message: str) -> Problem:
    """409: not in the state that the thing is in."""
    return Problem(HTTPStatus.CONFLICT, message)


def invalid(message: str) -> Problem:
    """422: the request does not fit what is declared."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message)


def busy() -> Problem:
    """503: as many runs as the server takes on are pending."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "too many runs are pending; try again later", _LATER
    )


def unstored() -> Problem:
    """500: a run ended, and nobody will know how."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the outcome of the run could not be stored")


def stopping() -> Problem:
    """503: the server goes down; whatever was asked for can be asked of its successor."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping", _LATER)
