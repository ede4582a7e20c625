"""A call is data: one exchange with a server, described but not performed.

`Call` says what to send and what type of reply to expect; `Reply` is what came back. Neither knows
of sockets. Inside a flow (see `acp_langgraph.core.flow`) a call is performed by yielding it, and
`yield from` reads its typed result:

    run = yield from create_stateless_run(body)      # run: RunStateless

which is short for `reply = yield call; run = call.read(reply)`.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, Generic, Self, TypeVar, get_origin
from urllib.parse import quote
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from acp_langgraph.core.secrets import SentSecrets
from acp_langgraph.core.wire import (
    WHAT_IS_JSON,
    Listing,
    first_fault,
    read_each,
    unsendable,
    with_whole_characters,
)
from acp_langgraph.errors import (
    ApiTypeError,
    ApiValueError,
    UnreadableAnswerException,
    error_for_status,
)

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


class _Absent:
    """The type of `ABSENT`: no body at all, as opposed to a body that is `null`."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()

EVENT_STREAM: Final = "text/event-stream"
_CREDENTIALS: Final = (
    "here, credentials are settings of the client configuration: api_key, access_token, or username "
    "and password"
)
_WHOSE_PAGE: Final = "is this the base URL of the server's API (e.g. of an ACP server), or is there a login page before it?"
_BLANKS_BEFORE: Final = 4096  # bytes; where a page is looked for
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered.

    Attributes:
        status: HTTP status code.
        headers: Header names in lower case.
        content: The decoded body.
        url: Where the answer came from, without query and credentials; empty in tests by hand.
        shown: What the server was shown, which it may repeat.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)
    url: str = ""
    shown: SentSecrets | None = field(default=None, repr=False, compare=False)

    def to_tell(self) -> Reply:
        """The reply as it may be told of: without what was shown to the server."""
        hide = self.shown.hide if self.shown is not None else str
        return replace(
            self,
            headers={name: hide(value) for name, value in self.headers.items()},
            content=hide(self.content.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            ),
        )

    @property
    def is_success(self) -> bool:
        """Whether the status is one of the 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the 2xx of HTTP

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.content.decode("utf-8-sig", "replace")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One exchange with a server; `yield from call` inside a flow reads as its typed result.

    Attributes:
        operation: The operation's name in the protocol's specification.
        method: HTTP method, upper case.
        path: Path below the configured host, already percent-encoded; begins with `/`.
        returns: The type of the result; `None` where the protocol sends no body.
        query: Query parameters.
        body: A JSON value to send, or `ABSENT`.
        content: Raw bytes to send instead of `body`.
        headers: Headers of this call alone.
        repeatable: Whether performing it twice is the same as performing it once. Follows from the
            method unless said otherwise (a search by POST is repeatable).
        timeout: Seconds to wait for the reply, or for each piece of a stream; `None` takes the
            configuration's.
        limit: Seconds after which the exchange is broken off, a stream at whatever piece.
        lasts: Whether it is answered only when the work is done, however long that takes, so that the
            configuration's time-out does not hold.
        may_leave: Whether nothing is lost if it is broken off, to be made again later.
    """

    operation: str
    method: str
    path: str
    returns: Any
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default=ABSENT, repr=False)
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    repeatable: bool | None = None
    timeout: float | None = None
    limit: float | None = None
    lasts: bool = False
    may_leave: bool = False

    def __iter__(self) -> Generator[Call[Any], Any, T]:
        reply = yield self
        return self.read(reply)

    @property
    def may_repeat(self) -> bool:
        """Whether performing the call twice does no harm."""
        return self.method in SAFE_METHODS if self.repeatable is None else self.repeatable

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream of events."""
        return self.headers.get("accept") == EVENT_STREAM

    def is_streamed_by(self, reply: Reply) -> bool:
        """Whether a reply begins the stream that was asked for, and is no error and no page.

        A call that asks for no stream takes whatever comes.
        """
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        return reply.is_success and (kind == EVENT_STREAM or not self.streams)

    def with_options(
        self, *, timeout: float | None = None, headers: Mapping[str, str] | None = None
    ) -> Self:
        """The same call with its own time-out in seconds and additional headers."""
        return replace(
            self,
            timeout=self.timeout if timeout is None else timeout,
            headers={**self.headers, **(headers or {})},
        )

    def encode(self) -> bytes | None:
        """The bytes to send.

        Raises:
            ApiValueError: If the body is not JSON (NaN, infinity, an object of some class).
        """
        if self.body is ABSENT:
            return self.content
        try:
            return _ENCODER.encode(self.body).encode()
        except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as error:
            raise ApiValueError(
                f"{self.operation}: the body cannot be sent as JSON: "
                f"{unsendable(self.body) or type(error).__name__}; {WHAT_IS_JSON}"
            ) from None

    def within(self, seconds: float) -> Call[T]:
        """The same call, broken off after so many seconds at the latest."""
        return replace(self, limit=seconds if self.limit is None else min(self.limit, seconds))

    def read(self, reply: Reply) -> T:
        """The typed result of a reply, which for a stream is the error that came in its place.

        Raises:
            ApiException: The child class that stands for an error status.
            UnreadableAnswerException: If the reply is no JSON of the expected type.
        """
        where = f"{self.method} {reply.url or self.path}"
        if not reply.is_success:
            told = reply.to_tell()
            raise _shown_in(
                error_for_status(
                    where, told.status, told.headers, told.content, advice=_CREDENTIALS
                ),
                reply,
            )
        if self.streams:
            found = reply.headers.get("content-type") or "no content type"
            problem = f"it should be {EVENT_STREAM}, and is {found}"
            raise self._unreadable(where, reply, problem)
        if self.returns is None:
            kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/html":
                raise self._unreadable(where, reply, f"it is an HTML page; {_WHOSE_PAGE}")
            return None  # type: ignore[return-value]  # T is None for calls without a body
        if self.returns is str:
            return reply.text  # type: ignore[return-value]  # T is str
        content = reply.content.removeprefix(BOM_UTF8)  # which tells nothing, and which some send
        if seen := _no_json(content):
            raise self._unreadable(where, reply, seen)
        adapter = adapter_of(self.returns)
        try:
            return adapter.validate_json(content)  # type: ignore[no-any-return]  # the adapter is made of T
        except ValidationError:
            content = with_whole_characters(content) or content
        try:
            return adapter.validate_json(content)  # type: ignore[no-any-return]  # as above
        except ValidationError as error:
            if get_origin(self.returns) is list and (listed := self._readable(where, content)):
                return listed  # type: ignore[return-value]  # T is a list
            raise self._unreadable(where, reply, first_fault(error)) from None

    def _readable(self, where: str, content: bytes) -> Listing[Any] | None:
        """What can be read of a list; `None` if that is nothing."""
        try:
            given = from_json(content)
        except ValueError:
            return None
        if not isinstance(given, list):
            return None
        return read_each(given, adapter_of(self.returns).validate_python, where)

    @staticmethod
    def _unreadable(where: str, reply: Reply, problem: str) -> UnreadableAnswerException:
        told = reply.to_tell()
        return _shown_in(
            UnreadableAnswerException(
                where, told.status, told.headers, told.content, problem=problem
            ),
            reply,
        )


def _no_json(content: bytes) -> str | None:
    """Why a body is no JSON, where that can be seen by its first character."""
    begin = content[:_BLANKS_BEFORE].lstrip()
    if begin.startswith(b"<"):
        return f"it is an HTML page where JSON is expected; {_WHOSE_PAGE}"
    return None if begin or content.strip() else "the answer has no body"


def _shown_in(error: E, reply: Reply) -> E:
    """An error without what was shown to the server, which may have written it in its own way."""
    return error if reply.shown is None else reply.shown.hidden_in(error)


@cache
def adapter_of(returns: Any) -> TypeAdapter[Any]:
    """What checks values of a type, made once."""
    return TypeAdapter(returns)


_LONGEST_ID: Final = 2000  # characters


def path(template: str, /, **parameters: str | int | UUID) -> str:
    """Fill a path template, percent-encoding every parameter.

    Raises:
        ApiTypeError: If a parameter is no id but, say, a whole run or `None`.
        ApiValueError: If a parameter is empty, for then the path would name another resource, or so
            long that no URL holds it.
    """
    filled = {}
    for name, value in parameters.items():
        if not isinstance(value, str | int | UUID):
            raise ApiTypeError(f"{name} must be a string, got {type(value).__name__}")
        text = str(value)
        if len(text) > _LONGEST_ID:
            raise ApiValueError(f"{name} has {len(text)} characters, which is no id")
        if text in {"", ".", ".."}:
            raise ApiValueError(f"{name} must name a resource, got {text!r}")
        try:
            filled[name] = quote(text, safe="")
        except UnicodeEncodeError:
            raise ApiValueError(f"{name} is no text that a URL can hold") from None
    return template.format(**filled)
