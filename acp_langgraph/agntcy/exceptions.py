"""The errors of `agntcy_acp` by their names, shapes and constructors.

    try:
        client.get_stateless_run(run_id)
    except NotFoundException as error:
        print(error.status, error.reason, error.body, error.headers["Content-Type"])

Each is a child of the package's own error of that name (`acp_langgraph.errors`), so that who catches
those catches these as well. What a program raised itself may be made as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from http.client import responses
from typing import Any, Self

from acp_langgraph import errors
from acp_langgraph.errors import ACPDescriptorValidationException, Headers, OpenApiException

__all__ = [
    "ACPDescriptorValidationException",
    "ACPRunException",
    "ApiAttributeError",
    "ApiException",
    "ApiKeyError",
    "ApiTypeError",
    "ApiValueError",
    "BadRequestException",
    "ConflictException",
    "ForbiddenException",
    "NotFoundException",
    "OpenApiException",
    "ServiceException",
    "UnauthorizedException",
    "UnprocessableEntityException",
]


class ACPRunException(errors.ACPRunException):
    """The remote run failed; made with words alone."""

    def __init__(self, *args: object) -> None:
        super().__init__(None, "")
        self.args = args


class _Located(OpenApiException):
    """Base of the errors that say where in the data something is wrong.

    Args:
        msg: What is wrong.
        path_to_item: Keys and places on the way to it.
        valid_classes: What it could be.
        key_type: Whether it is the key in a dict, or the value.
    """

    def __init__(
        self,
        msg: str,
        path_to_item: Sequence[str | int] | None = None,
        valid_classes: Any = None,
        key_type: bool | None = None,
    ) -> None:
        self.path_to_item, self.valid_classes, self.key_type = path_to_item, valid_classes, key_type
        place = "".join(f"[{step!r}]" for step in path_to_item or ())
        super().__init__(f"{msg} at {place}" if place else msg)


class ApiTypeError(_Located, errors.ApiTypeError):
    """An argument has the wrong type; nothing was sent."""


class ApiValueError(_Located, errors.ApiValueError):
    """An argument has an impossible value; nothing was sent."""


class ApiAttributeError(_Located, AttributeError):
    """There is no such attribute. Nothing here raises it."""


class ApiKeyError(_Located, KeyError):
    """There is no such key. Nothing here raises it."""


class ApiException(errors.ApiException):
    """The server answered with an error status.

    Attributes:
        status: HTTP status code.
        reason: What HTTP calls it, e.g. `Not Found`.
        body: The answer's body as text, all of it.
        data: At the statuses that the protocol has for an operation (404, 409, 422) the text of the JSON
            value in the body.
        headers: The answer's headers; looked up in whatever case.
        where: Method and URL of the request.

    Args:
        status: See above; so are `reason`, `body` and `data`.
        reason: See above.
        http_resp: An answer to take from what is not given: its `status`, `reason`, `data` and
            `getheaders()`.
        body: See above.
        data: See above.
    """

    reason: Any = None
    data: Any = None

    def __init__(
        self,
        status: int | None = None,
        reason: str | None = None,
        http_resp: Any = None,
        *,
        body: str | None = None,
        data: Any = None,
    ) -> None:
        if http_resp is not None:
            status = http_resp.status if status is None else status
            reason = http_resp.reason if reason is None else reason
            body = _text(http_resp.data) if body is None else body
        headers = dict(http_resp.getheaders()) if http_resp is not None else {}
        super().__init__("", status or 0, headers, (body or "").encode())
        self.status: Any = status
        self.reason, self.body, self.data = reason, body, data  # type: ignore[assignment]  # a text, or None
        self.headers = Headers({name.lower(): value for name, value in headers.items()})

    @classmethod
    def from_response(cls, *, http_resp: Any, body: str | None, data: Any) -> Self:
        """Raise the error that stands for an answer.

        Raises:
            ApiException: Its child class for the answer's status, if there is one.
        """
        raise _kind(http_resp.status)(http_resp=http_resp, body=body, data=data)

    def __str__(self) -> str:
        said = self._what_the_server_said((self.body or "").encode())
        about = f"({self.status})\nReason: {self.reason}\n"
        return f"{about}HTTP response body: {said}\n" if said else about


class BadRequestException(ApiException, errors.BadRequestException):
    """400: the server does not accept the request."""


class UnauthorizedException(ApiException, errors.UnauthorizedException):
    """401: the credentials are missing or wrong."""


class ForbiddenException(ApiException, errors.ForbiddenException):
    """403: these credentials may not do that."""


class NotFoundException(ApiException, errors.NotFoundException):
    """404: there is no such agent, run or thread."""


class ConflictException(ApiException, errors.ConflictException):
    """409: the thread or run is in a state that does not allow it."""


class UnprocessableEntityException(ApiException, errors.UnprocessableEntityException):
    """422: the body does not fit what the agent declares."""


class ServiceException(ApiException, errors.ServiceException):
    """5xx: the server, or something in front of it, failed."""


_BY_STATUS: dict[int, type[ApiException]] = {
    400: BadRequestException,
    401: UnauthorizedException,
    403: ForbiddenException,
    404: NotFoundException,
    409: ConflictException,
    422: UnprocessableEntityException,
}
_WITH_DATA = frozenset({404, 409, 422})


@contextmanager
def told() -> Iterator[None]:
    """Raise as errors of this module what the package raises meanwhile."""
    try:
        yield
    except errors.ApiException as error:
        raise (error if isinstance(error, ApiException) else _of(error)) from None
    except errors.ACPRunException as error:
        failed = ACPRunException(*error.args)
        vars(failed).update(vars(error))
        raise failed from None
    except (ApiTypeError, ApiValueError):
        raise
    except errors.ApiTypeError as error:
        raise ApiTypeError(str(error)) from None
    except errors.MissingCredentialsError:
        raise
    except errors.ApiValueError as error:
        raise ApiValueError(str(error)) from None


def _of(error: errors.ApiException) -> ApiException:
    kind_of_it: Any = type(error)
    kind: type[ApiException] = _twin(kind_of_it)
    is_error = error.status >= 300  # noqa: PLR2004 - a success that cannot be read is told in words
    reason = responses.get(error.status) if is_error else str(error)
    data = error.data if error.status in _WITH_DATA else None
    text = data if isinstance(data, str) or data is None else str(data)
    made = kind(error.status, reason, body=error.body, data=text)
    made.headers, made.where = error.headers, error.where
    return made


@cache
def _twin(kind: Any) -> type[ApiException]:
    """The class that is both a package's error and one of these."""
    for each in (*_BY_STATUS.values(), ServiceException):
        if each.__mro__[2] is kind:
            return each
    return type(kind.__name__, (ApiException, kind), {"__doc__": kind.__doc__})


def _kind(status: int) -> type[ApiException]:
    if 500 <= status < 600:  # noqa: PLR2004 - the 5xx of HTTP
        return ServiceException
    return _BY_STATUS.get(status, ApiException)


def _text(data: Any) -> str | None:
    try:
        return str(data, "utf-8")
    except (TypeError, ValueError):
        return None
