"""Operations: what is given to one becomes what is sent, and each becomes a method of the clients.

What does not fit is refused before anything is sent.

What an operation is, is said once, as an `Operation` in its protocol's table.

A refusal names the field and what is wrong with it, never the value: that is the caller's data.

A client's class body lists the operations, one line each:

    get_thread = sends(calls.get_thread)

The method takes what the function in the protocol's `calls` takes, hands the `Call` to the
client's own `send` or `stream`, and returns that one's result. Its signature and documentation are
the function's, for type checkers as well as for `help`. There is one function for every kind of
result, as Python's types have no other way of saying it.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import (
    Annotated,
    Any,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    TypeAlias,
    TypedDict,
    TypeVar,
)

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from acp_langgraph.core.calls import EVENT_STREAM, Call, path
from acp_langgraph.core.wire import Wire, dump, unsendable
from acp_langgraph.errors import ApiTypeError, ApiValueError

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

JSONObject: TypeAlias = Mapping[str, Any]


class Options(TypedDict, total=False):
    """The options of one call.

    Attributes:
        timeout: Seconds for all of it, tries together, or for each piece of a stream; `None` takes
            the configuration's for each try.
        headers: Sent with this call alone.
    """

    timeout: float | None
    headers: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a protocol; its calls, what serves it and what fakes it are made of this.

    Attributes:
        name: Its name in the protocol's specification.
        route: HTTP method, upper case, and path template: `GET /runs/{run_id}`.
        gives: The type of its result, of a stream that of one event; `None` where there is no body.
        takes: The model of its body, `Any` for any JSON; `None` if it has none.
        query: The names of its query parameters.
        repeatable: As of a `Call`.
        lasts: As of a `Call`.
        streams: Whether it is answered with server-sent events.
    """

    name: str
    route: str
    gives: Any
    takes: Any = None
    query: tuple[str, ...] = ()
    repeatable: bool | None = None
    lasts: bool = False
    streams: bool = False

    @property
    def method(self) -> str:
        """HTTP method, upper case."""
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """Path template, with `{parameter}`s."""
        return self.route.partition(" ")[2]

    @property
    def parameters(self) -> list[str]:
        """The names of its path parameters, in their order."""
        return _PARAMETER.findall(self.path)

    def call(
        self,
        ids: Sequence[Any],
        body: Any,
        query: Mapping[str, str],
        options: Options,
        returns: Any = None,
        **more: Any,
    ) -> Call[Any]:
        """The call that performs it.

        Args:
            ids: Its path parameters, in their order.
            body: The JSON to send, or `ABSENT`.
            query: What `queried` made of its query parameters.
            options: Those of the one call.
            returns: The type of its result, if less of it is wanted than it gives.
            **more: What else is to be said of the call.

        Raises:
            ApiTypeError, ApiValueError: If an id or an option cannot be used.
        """
        call: Call[Any] = Call(
            self.name,
            self.method,
            path(self.path, **dict(zip(self.parameters, ids, strict=True))) if ids else self.path,
            returns or self.gives,
            query=query,
            body=body,
            headers=_STREAM if self.streams else _NO_HEADERS,
            repeatable=self.repeatable,
            lasts=self.lasts,
            **more,
        )
        return call.with_options(**checked_options(options)) if options else call


_PARAMETER: Final = re.compile(r"{(\w+)}")
_STREAM: Final = {"accept": EVENT_STREAM, "cache-control": "no-store"}
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Ready(dict[str, Any]):
    """A body that this package made itself: JSON of the right shape, to be sent as it is."""


def sent(model: type[Wire], body: Wire | JSONObject) -> Any:
    """The JSON object to send for a body, given as a model or as a dict of the same shape.

    Raises:
        ApiTypeError: If it is neither, or a field has the wrong type.
        ApiValueError: If a field has an impossible value.
    """
    if isinstance(body, Ready):
        return body
    checked = _checked(model, dict(body) if isinstance(body, Mapping) else body)
    return as_json(model.__name__, dump, checked)


def queried(model: type[Query], **parameters: Any) -> dict[str, str]:
    """The query parameters that were given, as text.

    Args:
        model: Says which there are.
        **parameters: By their names in Python; those that are `None` were not given.

    Raises:
        ApiTypeError: If one has the wrong type.
        ApiValueError: If one has an impossible value.
    """
    given = _checked(model, parameters).model_dump(mode="json", exclude_none=True, by_alias=True)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def checked_options(options: Options) -> Options:
    """The same options, with the names of headers in lower case, as they are everywhere here.

    Raises:
        ApiTypeError: If one has the wrong type.
        ApiValueError: If one has an impossible value, such as a line break in a header.
    """
    _checked(_Options, options)
    headers = options.get("headers") or {}
    lowered = {name.lower(): value for name, value in headers.items()}
    return {"timeout": options.get("timeout"), "headers": lowered}


class Query(BaseModel):
    """Base of the query parameters of a protocol; `True` is not 1 and "10" not 10 here."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _Options(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    headers: (
        Mapping[
            Annotated[str, StringConstraints(pattern=r"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\z")],
            Annotated[str, StringConstraints(pattern=r"\A[\t\x20-\x7e]*\z")],
        ]
        | None
    ) = None


def _checked(model: type[M], value: object) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        said = "; ".join(
            f"{_place(model, fault['loc'])}: {_said(model, fault)}" for fault in faults
        )
        wrong_type = all(fault["type"].endswith("_type") for fault in faults)
        raise (ApiTypeError if wrong_type else ApiValueError)(said) from None


def _said(model: type[BaseModel], fault: ErrorDetails) -> str:
    if fault["type"] != "extra_forbidden":
        return fault["msg"]
    near = get_close_matches(str(fault["loc"][-1]), model.model_fields, n=1)
    return (
        f"there is no such field; did you mean {near[0]!r}?" if near else "there is no such field"
    )


def _place(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    # pydantic names the branch of a union in brackets, which no caller has ever heard of.
    fields = [str(part) for part in location if "[" not in str(part)]
    return ".".join([model.__name__.lstrip("_"), *fields])


def as_json(what: str, encode: Callable[[T], Any], value: T, place: str = "") -> Any:
    """The JSON value that a function makes of a value.

    Raises:
        ApiValueError: If it cannot.
    """
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ApiValueError(
            f"{what} cannot be sent as JSON: {unsendable(value, place) or type(error).__name__}; use dicts, lists, strings, "
            "finite numbers, booleans, None, dates, dataclasses and pydantic models"
        ) from None


P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class ApiResponse(Generic[T]):
    """An answer with what HTTP says about it.

    Attributes:
        status_code: HTTP status code.
        headers: Header names in lower case; looked up in whatever case.
        data: What the method returns without `with_raw_response`; for a stream the list of its
            events.
        raw_data: The body as it came, decompressed.
    """

    status_code: int
    headers: Mapping[str, str]
    data: T
    raw_data: bytes


def sends(operation: Callable[P, Call[T]]) -> Callable[Concatenate[Any, P], T]:
    """The method that sends a call and returns its result."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.send(operation(*args, **kwargs))

    return _described(method, operation, "{}")


def async_sends(
    operation: Callable[P, Call[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """`sends`, awaiting."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return await self.send(operation(*args, **kwargs))

    return _described(method, operation, "{}")


def streams(
    operation: Callable[P, Call[T]],
) -> Callable[Concatenate[Any, P], Generator[T, None, None]]:
    """The method that returns an iterator over the events of a stream."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.stream(operation(*args, **kwargs))

    return _described(method, operation, "Generator[{}, None, None]")


def async_streams(
    operation: Callable[P, Call[T]],
) -> Callable[Concatenate[Any, P], AsyncGenerator[T, None]]:
    """`streams`, awaiting."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.stream(operation(*args, **kwargs))

    return _described(method, operation, "AsyncGenerator[{}, None]")


def replies(operation: Callable[P, Call[T]]) -> Callable[Concatenate[Any, P], ApiResponse[T]]:
    """The method that sends a call and returns all of the answer."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.send(operation(*args, **kwargs))

    return _described(method, operation, "ApiResponse[{}]")


def async_replies(
    operation: Callable[P, Call[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, ApiResponse[T]]]:
    """`replies`, awaiting."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return await self.send(operation(*args, **kwargs))

    return _described(method, operation, "ApiResponse[{}]")


def collects(
    operation: Callable[P, Call[T]],
) -> Callable[Concatenate[Any, P], ApiResponse[list[T]]]:
    """The method that returns all of a stream, once it has ended."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.collect(operation(*args, **kwargs))

    return _described(method, operation, "ApiResponse[list[{}]]")


def async_collects(
    operation: Callable[P, Call[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, ApiResponse[list[T]]]]:
    """`collects`, awaiting."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return await self.collect(operation(*args, **kwargs))

    return _described(method, operation, "ApiResponse[list[{}]]")


def _described(
    method: Callable[..., Any], operation: Callable[..., Call[Any]], returns: str
) -> Callable[..., Any]:
    """The method under the operation's name, with its signature and documentation."""
    signature = inspect.signature(operation)
    *own, _options = signature.parameters.values()
    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint.__forward_arg__
        )
        for name, hint in Options.__annotations__.items()
    ]
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    result = signature.return_annotation.removeprefix("Call[").removesuffix("]")
    method.__name__ = method.__qualname__ = operation.__name__
    method.__doc__ = operation.__doc__
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # read by inspect
        [self, *own, *options], return_annotation=returns.format(result)
    )
    return method
