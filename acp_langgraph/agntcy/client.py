"""`ACPClient` and `AsyncACPClient` as `agntcy_acp` has them.

    with ApiClient(ApiClientConfiguration(host="http://127.0.0.1:8000")) as api_client:
        client = ACPClient(api_client)
        agents = client.search_agents(AgentSearchRequest(name="mailcomposer"))

Each of the 30 operations has the reference's three forms:

    client.get_thread(thread_id)                              # what it gives
    client.get_thread_with_http_info(thread_id)               # and status, headers, raw body
    client.get_thread_without_preload_content(thread_id)      # the answer, its body still to come

What an operation takes and gives, how it is called and how it is repeated is known to
`acp_langgraph.acp.calls`. Different here are the models, and the names by which bodies go. `client.pyi` is made
of the same table, for type checkers.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Self, get_args

from acp_langgraph.acp import calls
from acp_langgraph.acp.models import RunOutputStream as Event
from acp_langgraph.agntcy import models
from acp_langgraph.agntcy.api_client import ApiClient, AsyncApiClient
from acp_langgraph.agntcy.configuration import ApiClientConfiguration
from acp_langgraph.agntcy.exceptions import ApiValueError, told
from acp_langgraph.agntcy.models import Model
from acp_langgraph.agntcy.responses import async_opened, opened
from acp_langgraph.core import operations as core
from acp_langgraph.core.calls import ABSENT, Call
from acp_langgraph.core.operations import ApiResponse, Ready, as_json
from acp_langgraph.core.wire import plain, sendable_headers

OPTIONS: Final = ("_request_timeout", "_request_auth", "_content_type", "_headers", "_host_index")
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
FORMS: Final = ("", "_with_http_info", "_without_preload_content")


@dataclass(frozen=True)
class Operation:
    """An operation as the reference has it.

    Attributes:
        here: The same as this package has it.
    """

    here: core.Operation

    @property
    def name(self) -> str:
        """Its name in the specification."""
        return self.here.name

    @property
    def streams(self) -> bool:
        """Whether it is answered with a stream."""
        return self.here.streams

    @property
    def gives(self) -> Any:
        """The model of what it gives, of a stream that of one event, or a list of a model."""
        gives = self.here.gives
        (each,) = get_args(gives) or (gives,)
        kind = each and getattr(models, each.__name__)
        return list[kind] if get_args(gives) else kind  # type: ignore[valid-type]  # made as it runs

    @property
    def takes(self) -> type[Model] | None:
        """The model of its body; `None` if it has none, or takes any JSON."""
        name = getattr(self.here.takes, "__name__", "")
        return getattr(models, name) if name in models.__all__ else None

    @property
    def body(self) -> str:
        """By which name it takes its body: that of the model in small letters."""
        words = _CAPITAL.sub("_", self.takes.__name__) if self.takes else "body"
        return words.lower()

    @cached_property
    def own(self) -> dict[str, inspect.Parameter]:
        """Its parameters without the options, by their names in `acp_langgraph.acp.calls`."""
        either = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = inspect.signature(getattr(calls, self.name)).parameters
        return {
            name: each.replace(kind=either, name=self.body, default=each.empty)
            if name == "body"
            else each.replace(kind=either)
            for name, each in parameters.items()
            if each.kind is not each.VAR_KEYWORD
        }

    @cached_property
    def signature(self) -> inspect.Signature:
        """What its methods take."""
        either = inspect.Parameter.POSITIONAL_OR_KEYWORD
        options = [
            inspect.Parameter(name, either, default=0 if name == "_host_index" else None)
            for name in OPTIONS
        ]
        self_ = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        return inspect.Signature([self_, *self.own.values(), *options])

    def call(self, api: ApiClient | AsyncApiClient, args: Any, kwargs: Any) -> Call[Any]:
        """What is sent for what one of its methods is called with."""
        bound = self.signature.bind(None, *args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        with told():
            own = {name: given[each.name] for name, each in self.own.items()}
            if self.takes:
                own["body"] = _sent(self.takes, given[self.body])
            call: Call[Any] = getattr(calls, self.name)(**own)
            return self._with_options(call, api, {name: given[name] for name in OPTIONS})

    def _with_options(
        self, call: Call[Any], api: ApiClient | AsyncApiClient, options: Mapping[str, Any]
    ) -> Call[Any]:
        if options["_host_index"] != 0:
            raise ApiValueError("_host_index is 0: the protocol has one host")
        headers = {**api.default_headers, **({"cookie": api.cookie} if api.cookie else {})}
        headers |= options["_headers"] or {}
        query, auth = dict(call.query), options["_request_auth"]
        if auth:
            if auth["in"] == "query":
                query[auth["key"]] = auth["value"]
                api.transport().shown.add([(auth["key"], auth["value"])])
            else:
                headers["cookie" if auth["in"] == "cookie" else auth["key"]] = auth["value"]
        if options["_content_type"] and call.body is not ABSENT:
            headers["content-type"] = options["_content_type"]
        sent = sendable_headers({name: str(value) for name, value in headers.items()}, "headers")
        seconds = options["_request_timeout"]
        return replace(
            call,
            returns=self.gives,
            query=query,
            headers={**{name.lower(): value for name, value in sent.items()}, **call.headers},
            # Of a pair the first is for connecting, and the rest comes after that.
            timeout=sum(seconds) if isinstance(seconds, (tuple, list)) else seconds,
        )

    def event(self, event: Event) -> models.RunOutputStream | None:
        """An event of its stream; `None` for one of a type that the protocol does not know."""
        if isinstance(event.data, dict):
            return None
        kind = "agent_event" if event.event == "message" else event.event
        data = event.data.model_dump(mode="json", exclude_unset=True)
        return models.RunOutputStream.from_dict({"id": event.id or "", "event": kind, "data": data})


OPERATIONS: Final = tuple(map(Operation, calls.OPERATIONS.values()))


def _sent(kind: type[Model], body: Any) -> Ready:
    return Ready(as_json(kind.__name__, plain, kind.model_validate(body).to_dict()))


def blocking(operation: Operation) -> dict[str, Callable[..., Any]]:
    """The blocking methods of an operation by their names."""

    def events(api: ApiClient, call: Call[Any]) -> Iterator[models.RunOutputStream]:
        with told(), closing(api.client().stream(call)) as stream:
            for event in stream:
                if (made := operation.event(event)) is not None:
                    yield made

    def data(api: ApiClient, call: Call[Any]) -> Any:
        with told():
            return api.client().send(call)

    def whole(api: ApiClient, call: Call[Any]) -> Any:
        with told():
            return api.client().with_raw_response.send(call)

    def raw(api: ApiClient, call: Call[Any]) -> Any:
        with told():
            return opened(api.transport(), call)

    return _methods(operation, *((events, events) if operation.streams else (data, whole)), raw)


def awaiting(operation: Operation) -> dict[str, Callable[..., Any]]:
    """The awaiting methods of an operation by their names."""

    async def events(api: AsyncApiClient, call: Call[Any]) -> AsyncIterator[models.RunOutputStream]:
        with told():
            async with aclosing(api.client().stream(call)) as stream:
                async for event in stream:
                    if (made := operation.event(event)) is not None:
                        yield made

    async def data(api: AsyncApiClient, call: Call[Any]) -> Any:
        with told():
            return await api.client().send(call)

    async def whole(api: AsyncApiClient, call: Call[Any]) -> Any:
        with told():
            return await api.client().with_raw_response.send(call)

    async def raw(api: AsyncApiClient, call: Call[Any]) -> Any:
        with told():
            return await async_opened(api.transport(), call)

    return _methods(operation, *((events, events) if operation.streams else (data, whole)), raw)


def _methods(
    operation: Operation, *forms: Callable[[Any, Call[Any]], Any]
) -> dict[str, Callable[..., Any]]:
    """The methods by their names, of what performs a call in each of the three forms."""
    made: dict[str, Callable[..., Any]] = {}
    for suffix, form in zip(FORMS, forms, strict=True):

        def method(self: Any, /, *args: Any, _form: Any = form, **kwargs: Any) -> Any:
            return _form(self.api_client, operation.call(self.api_client, args, kwargs))

        method.__name__ = method.__qualname__ = name = operation.name + suffix
        method.__doc__ = getattr(calls, operation.name).__doc__
        method.__signature__ = operation.signature  # type: ignore[attr-defined]  # read by inspect
        made[name] = method
    return made


__all__ = ["ACPClient", "ApiResponse", "AsyncACPClient"]


def _taking(like: Any) -> Callable[[Any], Any]:
    """Gives a function the signature of another one."""

    def decorate(function: Any) -> Any:
        function.__signature__ = inspect.signature(like)
        return function

    return decorate


class _Client:
    _kind: Any

    def __init__(
        self,
        api_client: Any = None,
        configuration: ApiClientConfiguration | None = None,
        stream_chunk_size: int = 4096,
    ) -> None:
        if api_client is None:
            api_client = self._kind(configuration) if configuration else self._kind.get_default()
        self.api_client = api_client
        self.stream_chunk_size = stream_chunk_size

    @classmethod
    @_taking(ApiClientConfiguration.__init__)
    def fromConfiguration(cls, *settings: Any, **more: Any) -> Self:  # noqa: N802 - its name
        """A client by the settings of an `ApiClientConfiguration`."""
        return cls(configuration=ApiClientConfiguration(*settings, **more))

    @classmethod
    @_taking(vars(ApiClientConfiguration)["fromEnvPrefix"].__func__)
    def fromEnvPrefix(cls, *settings: Any, **more: Any) -> Self:  # noqa: N802 - its name
        """A client by what environment variables say; see `ApiClientConfiguration.fromEnvPrefix`."""
        return cls(configuration=ApiClientConfiguration.fromEnvPrefix(*settings, **more))


class ACPClient(_Client):
    """A blocking client of one server that speaks the Agent Connect Protocol.

    It is a context manager, and may be used without.

    Args:
        api_client: What to connect with; the default one if neither that nor a configuration is given.
        configuration: Where and as whom to connect.
        stream_chunk_size: Kept, and of no use: what comes is passed on as it comes.
    """

    _kind = ApiClient

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api_client.close()


class AsyncACPClient(_Client):
    """An awaiting client of one server that speaks the Agent Connect Protocol.

    It is a context manager, and may be used without.

    Args:
        api_client: What to connect with; the default one if neither that nor a configuration is given.
        configuration: Where and as whom to connect.
        stream_chunk_size: Kept, and of no use: what comes is passed on as it comes.
    """

    _kind = AsyncApiClient

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api_client.close()


for _operation in OPERATIONS:
    for _name, _method in blocking(_operation).items():
        setattr(ACPClient, _name, _method)
    for _name, _method in awaiting(_operation).items():
        setattr(AsyncACPClient, _name, _method)
