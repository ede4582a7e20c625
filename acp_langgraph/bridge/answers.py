"""What an answer means: a result, or which error.

A bridge reports its errors as a line of text with a status that says little: 500 is a query that was
not understood, a bridge that was set up wrongly, or a failure after the work was done. So the text
decides first and the status second. It also decides whether the work has certainly not been done,
which is what makes another try safe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Any, Final, TypeAlias, TypedDict

from acp_langgraph.bridge.calls import APIBridgeOutput, Query, Route
from acp_langgraph.core.calls import Reply
from acp_langgraph.core.secrets import redact
from acp_langgraph.errors import (
    AnswerRejectedError,
    ApiException,
    ApiTypeError,
    ApiValueError,
    BridgeError,
    BridgeInternalError,
    BridgeSetupError,
    GatewayError,
    GatewayTimeoutError,
    NoMatchingOperationError,
    NoServiceError,
    QueryNotUnderstoodError,
    QueryPassedThroughError,
    QueryTooLargeError,
    ServiceException,
    error_for_status,
)
from acp_langgraph.jobs.once import never_left

Check: TypeAlias = "Callable[[APIBridgeOutput], bool | None] | re.Pattern[str] | str"
"""Judges a result: a callable that returns `False`, or raises, if the work was not done; or a regular
expression that is found in the result if it was."""


class Answer(TypedDict):
    """A success, as it is remembered."""

    where: str
    status: int
    content_type: str
    text: str


@dataclass(frozen=True, slots=True)
class _Row:
    """One of the bridge's own errors: how its text begins, and what it stands for."""

    begins: str
    error: type[BridgeError]
    hint: str | None = None


_SPOKEN: Final = (
    _Row("no matching operation found", NoMatchingOperationError),
    _Row("no service available to answer the request", NoServiceError),
    _Row("query is too large", QueryTooLargeError),
    _Row("i'm sorry but i was not able to understand your query", QueryNotUnderstoodError),
    _Row(
        "i'm sorry but i was not able to find the service you are asking for",
        NoMatchingOperationError,
        "the service has no such operation; compare path and method with the service's API",
    ),
    _Row("can't retreive the llm configuration", BridgeSetupError),  # the bridge's own spelling
    _Row("can't retrieve the llm configuration", BridgeSetupError),
    _Row("error while loading mcp", BridgeSetupError),
    _Row(
        "i'm sorry, but i wasn't able to process your request, it's an internal error",
        BridgeInternalError,
    ),
)
_NOTHING_THERE: Final = (
    "the gateway has nothing at this path; is service_name the service's listen path, and is the "
    "bridge of the generation that is configured (current or legacy)?"
)
_STATUSES: Final[dict[int, tuple[type[BridgeError] | None, str | None]]] = {
    401: (None, None),  # this and the next: the gateway lets nobody pass
    403: (None, None),
    404: (NoServiceError, _NOTHING_THERE),
    408: (GatewayTimeoutError, None),
    413: (QueryTooLargeError, None),
    429: (None, None),
    504: (GatewayTimeoutError, None),
}
_TIMED_OUT: Final = frozenset({408, 504})
_PERHAPS_DONE: Final = _TIMED_OUT | {302, 303}  # these two may point to the result of the work


def keep(reply: Reply, query: Query) -> Answer:
    """What is remembered of a success.

    Raises:
        ApiException: If it is none.
    """
    if not reply.is_success:
        raise error_of(reply, query.route, query.hidden)
    content_type = reply.headers.get("content-type", "")
    return {
        "where": _where(reply, query.route),
        "status": reply.status,
        "content_type": content_type,
        "text": _decode(reply.content, content_type),
    }


def error_of(reply: Reply, route: Route, hidden: tuple[str, ...]) -> ApiException:
    """The error that an answer without success stands for."""
    reply = reply.to_tell()
    where = _where(reply, route)
    text = redact(reply.text, hidden)
    headers = {name: redact(value, hidden) for name, value in reply.headers.items()}
    content, status = text.encode(), reply.status
    said = " ".join(text.lower().replace("\u2019", "'").split())
    for row in _SPOKEN:
        if said.startswith(row.begins):
            return row.error(where, status, headers, content, problem=row.hint)
    if not route.speaks and status not in _TIMED_OUT:
        return error_for_status(where, status, headers, content)  # the service's own answer
    kind, hint = _by_status(status)
    if kind is None:
        return error_for_status(where, status, headers, content)
    return kind(where, status, headers, content, problem=hint)


def _by_status(status: int) -> tuple[type[BridgeError] | None, str | None]:
    """What a status without the bridge's own words stands for; `None` for what HTTP says of it."""
    if status in _STATUSES:
        return _STATUSES[status]
    if status >= 500:  # noqa: PLR2004 - the 5xx of HTTP
        return GatewayError, None
    return (QueryPassedThroughError if status >= 400 else None), None  # noqa: PLR2004 - its 4xx


def not_done(error: Exception) -> bool:
    """Whether the work that was asked for has certainly not been done.

    True of what never left, of what the bridge says before it calls the service, and of requests
    that were refused (3xx, 4xx). Everything else may come after the work: no answer, a failure of
    the gateway, the bridge's internal error, and any 5xx of the service itself.
    """
    if isinstance(error, QueryNotUnderstoodError | BridgeSetupError | NoMatchingOperationError):
        return True
    if isinstance(error, BridgeInternalError | ServiceException) or not isinstance(
        error, ApiException
    ):
        return never_left(error)
    return error.status not in _PERHAPS_DONE


def read(answer: Answer, route: Route, hidden: tuple[str, ...] = ()) -> APIBridgeOutput:
    """The result that a success stands for.

    Raises:
        QueryPassedThroughError: If no bridge answers like that.
    """
    media_type = answer["content_type"].partition(";")[0].strip().lower()
    text = answer["text"]
    if route.speaks and media_type and not _speaks(media_type):
        content = redact(text, hidden).encode()
        problem = f"{QueryPassedThroughError.hint} The answer is {media_type}, not text"
        raise QueryPassedThroughError(
            answer["where"],
            answer["status"],
            {"content-type": answer["content_type"]},
            content,
            problem=problem,
        )
    is_json = media_type.endswith(("/json", "+json")) or text.lstrip()[:1] in {"{", "["}
    return APIBridgeOutput(
        result=text,
        status=answer["status"],
        content_type=answer["content_type"],
        parsed=_json(text) if is_json else None,
        mode=route.mode,
    )


def _speaks(media_type: str) -> bool:
    """Whether a bridge answers like that: words, and no page of whatever is in between."""
    return media_type.startswith("text/") and media_type != "text/html"


def words_of(reply: Reply, route: Route, hidden: tuple[str, ...]) -> str:
    """What a bridge says of itself, in words.

    Raises:
        QueryPassedThroughError: If no bridge answers like that.
    """
    content_type = reply.headers.get("content-type", "")
    answer: Answer = {
        "where": _where(reply, route),
        "status": reply.status,
        "content_type": content_type,
        "text": _decode(reply.content, content_type),
    }
    return read(answer, route, hidden).result.strip()


def usable(check: Check | None) -> Check | None:
    """The check, ready for use: after a query has been sent it is too late to find it broken.

    Raises:
        ApiTypeError: If it is neither a callable nor a regular expression.
        ApiValueError: If it is no regular expression that can be compiled.
    """
    if check is None or callable(check) or isinstance(check, re.Pattern):
        return check
    if not isinstance(check, str):
        raise ApiTypeError(
            f"check is a callable or a regular expression, got {type(check).__name__}"
        )
    try:
        return re.compile(check)
    except re.error as error:
        raise ApiValueError(f"check is no regular expression: {error}") from None


def checked(
    output: APIBridgeOutput, check: Check | None, where: str, hidden: tuple[str, ...] = ()
) -> APIBridgeOutput:
    """The result, if the check accepts it.

    Raises:
        AnswerRejectedError: If it does not.
    """
    if check is None:
        return output
    if callable(check):
        accepted = check(output) is not False
    else:
        accepted = re.search(check, output.result) is not None
    if not accepted:
        content = redact(output.result, hidden).encode()
        headers = {"content-type": output.content_type}
        raise AnswerRejectedError(where, output.status, headers, content)
    return output


def _where(reply: Reply, route: Route) -> str:
    return f"{route.method} {reply.url or route.path}"


def _decode(content: bytes, content_type: str) -> str:
    """The text, which is UTF-8 unless the answer says something else that can be read."""
    header = Message()
    header["content-type"] = content_type or "text/plain"
    charset = header.get_content_charset() or "utf-8"
    try:
        return content.decode(charset).removeprefix("\ufeff")
    except (LookupError, ValueError):
        return content.decode("utf-8-sig", "replace")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
