"""Operations become methods of the clients.

A client's class body lists the operations, one line each:

    get_thread = sends(calls.get_thread)

The method takes what the function in the protocol's `calls` takes, hands the `Call` to the
client's own `send` or `stream`, and returns that one's result. Its signature and documentation are
the function's, for type checkers as well as for `help`. There is one function for every kind of
result, as Python's types have no other way of saying it.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from acp_langgraph.core.arguments import Options
from acp_langgraph.core.calls import Call

__all__ = [
    "ApiResponse",
    "async_collects",
    "async_replies",
    "async_sends",
    "async_streams",
    "collects",
    "replies",
    "sends",
    "streams",
]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApiResponse(Generic[T]):
    """An answer with what HTTP says about it.

    Attributes:
        status_code: HTTP status code.
        headers: Header names in lower case.
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
