"""The clients: `QuantClient` blocks, `AsyncQuantClient` awaits; otherwise they are equals.

    with QuantClient(organisation="acme") as client:
        names = client.list_ai_tool_names().tools
        accepted = client.chat_inference_async({"modelId": ..., "messages": [...]})

    async with AsyncQuantClient("https://dashboard.quantcdn.io", organisation="acme") as client:
        async for event in client.chat_inference_stream({"modelId": ..., "messages": [...]}):
            print(event.delta, end="")

A method is an operation of the API under its own name; what it takes and does is written once, in
`acp_langgraph.quant.calls`. The organisation is the client's, and no method takes it. `run` runs a flow:

    tools = Tools()                            # acp_langgraph.quant.tools: how to wait for tools
    outcome = client.run(wait_for_execution(execution_id, tools, since=time.time()))

    QuantClient(organisation="acme")          # the token from QUANT_API_TOKEN
    QuantClient("https://dash.quantgov.cloud", organisation="acme", spelling="organisations")

The API is found both under `/organizations/` (its specification) and `/organisations/` (its own
applications), on several hosts; all of it can be said.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from functools import wraps
from typing import Any, Final, Literal, TypeAlias, TypeVar

import httpx

from acp_langgraph.auth import HeaderAuth
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, path
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.operations import async_sends, async_streams, sends, streams
from acp_langgraph.core.processes import AsyncClosing, Closing
from acp_langgraph.errors import ApiTypeError, ApiValueError
from acp_langgraph.quant import calls
from acp_langgraph.quant.models import ChatEvent, ChatEventReader
from acp_langgraph.transport.per_call import async_transport_to, transport_to

PUBLIC_CLOUD: Final = "https://dashboard.quantcdn.io"
_DEFAULT_PREFIX: Final = "/api/v3"

Spelling: TypeAlias = Literal["organizations", "organisations"]


def quant_configuration(
    configuration: ApiClientConfiguration | str | None = None,
    organisation: str | None = None,
    *,
    spelling: Spelling = "organizations",
    prefix: str = _DEFAULT_PREFIX,
) -> ApiClientConfiguration:
    """The configuration whose host is an organisation's AI root.

    Args:
        configuration: The API's host, or all there is to say of it. Left out: `QUANT_BASE_URL`, or
            else the public cloud. `QUANT_API_TOKEN` is the token where it names no credentials.
        organisation: The organisation's machine name; left out, `QUANT_ORGANISATION`.
        spelling: How the path spells it.
        prefix: Path before it. A host that ends with it already is fine.

    Raises:
        ApiValueError: If something is missing or cannot be.
    """
    if configuration is None:
        configuration = os.environ.get("QUANT_BASE_URL") or PUBLIC_CLOUD
    if isinstance(configuration, str):
        configuration = ApiClientConfiguration(configuration)
    organisation = organisation or os.environ.get("QUANT_ORGANISATION")
    if not organisation:
        raise ApiValueError(
            "name the organisation: give organisation= its machine name, or set QUANT_ORGANISATION"
        )
    if spelling not in {"organizations", "organisations"}:
        raise ApiValueError(f"spelling is 'organizations' or 'organisations', got {spelling!r}")
    prefix = prefix.strip("/")
    host = configuration.base_url.removesuffix("/" + prefix) if prefix else configuration.base_url
    root = "/".join(filter(None, (host, prefix, spelling)))
    changes: dict[str, object] = {
        "host": root + path("/{organisation}/ai", organisation=organisation),
        "server_variables": {},
    }
    token = os.environ.get("QUANT_API_TOKEN")
    if token and not configuration.auth_headers():
        changes["access_token"] = token
    return configuration.model_copy(update=changes)


T = TypeVar("T")
C = TypeVar("C", bound=type)


def _of_one_organisation(kind: C) -> C:
    """Have methods say whose the organisation is, which Quant's own client wants with each call."""
    for name in [each for each in vars(kind).keys() & vars(calls).keys() if each[0] != "_"]:
        setattr(kind, name, _saying_whose(getattr(kind, name)))
    return kind


def _saying_whose(method: Callable[..., Any]) -> Callable[..., Any]:
    parameters = [*inspect.signature(method).parameters.values()][1:]
    most = sum(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)

    @wraps(method)
    def checked(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if len(args) > most:
            raise ApiTypeError(
                f"{method.__name__} takes {most} positional arguments, got {len(args)}. The organisation "
                "is the client's and none of them: give it as QuantClient(organisation=...)"
            )
        return method(self, *args, **kwargs)

    return checked


@_of_one_organisation
class QuantClient(Closing):
    """A blocking client of Quant's AI API, for one organisation.

    Every method also takes `timeout`, seconds for all of it, and `headers`. Calls that may
    be repeated without harm are, as configured; a chat and `create_task` are not, once sent.

    A client may be shared by threads. It is a context manager; without `with`, `close` it.

    Args:
        configuration: The API's host, or all there is to say of it; left out, `QUANT_BASE_URL` or
            the public cloud, with the token in `QUANT_API_TOKEN`.
        organisation: The organisation's machine name; left out, `QUANT_ORGANISATION`.
        spelling: How paths spell it.
        prefix: What comes before it in paths.
        client: A client of the caller's own, which stays open when this is closed.
        auth: A `TokenAuth` or `HeaderAuth`, or an `httpx.Auth` of the caller's own.

    Raises, all methods:
        ApiTypeError: If an argument has the wrong type. Nothing was sent.
        ApiValueError: If an argument has an impossible value. Nothing was sent.
        ApiConnectionError: If no answer came, with `ApiTimeoutError` for none in time.
        ApiException: If the answer is an error or cannot be read; its child classes tell which.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None = None,
        organisation: str | None = None,
        *,
        spelling: Spelling = "organizations",
        prefix: str = "/api/v3",
        client: httpx.Client | None = None,
        auth: httpx.Auth | HeaderAuth | None = None,
    ) -> None:
        self._transport = transport_to(
            quant_configuration(configuration, organisation, spelling=spelling, prefix=prefix),
            client=client,
            auth=auth,
        )

    def send(self, call: Call[T], /) -> T:
        """Perform any call and return its result."""
        return self._transport.send(call)

    def stream(self, call: Call[ChatEvent], /) -> Generator[ChatEvent, None, None]:
        """Perform a call that streams and yield the events as they come."""
        reader = ChatEventReader(call, self._transport.endpoint.configuration.max_answer_bytes)
        with self._transport.shown.out_of_errors():
            with closing(self._transport.stream(call)) as chunks:
                for chunk in chunks:
                    yield from reader.feed(chunk)
            reader.close()

    def run(self, flow: Flow[T], /) -> T:
        """Run a flow to its end, such as one that waits for something."""
        return self._transport.run(flow)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # Tools

    list_ai_tools = sends(calls.list_ai_tools)
    list_ai_tool_names = sends(calls.list_ai_tool_names)
    list_ai_tool_executions = sends(calls.list_ai_tool_executions)
    get_ai_tool_execution_status = sends(calls.get_ai_tool_execution_status)
    get_ai_orchestration_status = sends(calls.get_ai_orchestration_status)

    # Chat

    chat_inference = sends(calls.chat_inference)
    chat_inference_async = sends(calls.chat_inference_async)
    chat_inference_stream = streams(calls.chat_inference_stream)
    get_durable_execution_status = sends(calls.get_durable_execution_status)
    submit_tool_callback = sends(calls.submit_tool_callback)
    chat_with_ai_agent = sends(calls.chat_with_ai_agent)
    chat_with_ai_agent_async = sends(calls.chat_with_ai_agent_async)

    # Tasks

    create_task = sends(calls.create_task)
    list_tasks = sends(calls.list_tasks)
    get_task = sends(calls.get_task)
    update_task = sends(calls.update_task)
    delete_task = sends(calls.delete_task)
    get_dependency_graph = sends(calls.get_dependency_graph)


@_of_one_organisation
class AsyncQuantClient(AsyncClosing):
    """An awaiting client of Quant's AI API, for one organisation.

    Every method also takes `timeout`, seconds for all of it, and `headers`. Calls that may
    be repeated without harm are, as configured; a chat and `create_task` are not, once sent.

    A client may be shared by tasks, also of several event loops. It is a context manager; without
    `async with`, `aclose` it.

    Args:
        configuration: The API's host, or all there is to say of it; left out, `QUANT_BASE_URL` or
            the public cloud, with the token in `QUANT_API_TOKEN`.
        organisation: The organisation's machine name; left out, `QUANT_ORGANISATION`.
        spelling: How paths spell it.
        prefix: What comes before it in paths.
        client: A client of the caller's own, which stays open when this is closed.
        auth: A `TokenAuth` or `HeaderAuth`, or an `httpx.Auth` of the caller's own.

    Raises, all methods:
        ApiTypeError: If an argument has the wrong type. Nothing was sent.
        ApiValueError: If an argument has an impossible value. Nothing was sent.
        ApiConnectionError: If no answer came, with `ApiTimeoutError` for none in time.
        ApiException: If the answer is an error or cannot be read; its child classes tell which.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None = None,
        organisation: str | None = None,
        *,
        spelling: Spelling = "organizations",
        prefix: str = "/api/v3",
        client: httpx.AsyncClient | None = None,
        auth: httpx.Auth | HeaderAuth | None = None,
    ) -> None:
        self._transport = async_transport_to(
            quant_configuration(configuration, organisation, spelling=spelling, prefix=prefix),
            client=client,
            auth=auth,
        )

    async def send(self, call: Call[T], /) -> T:
        """Perform any call and return its result."""
        return await self._transport.send(call)

    async def stream(self, call: Call[ChatEvent], /) -> AsyncGenerator[ChatEvent, None]:
        """Perform a call that streams and yield the events as they come."""
        reader = ChatEventReader(call, self._transport.endpoint.configuration.max_answer_bytes)
        with self._transport.shown.out_of_errors():
            async with aclosing(self._transport.stream(call)) as chunks:
                async for chunk in chunks:
                    for event in reader.feed(chunk):
                        yield event
            reader.close()

    async def run(self, flow: Flow[T], /) -> T:
        """Run a flow to its end, such as one that waits for something."""
        return await self._transport.run(flow)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._transport.aclose()

    # Tools

    list_ai_tools = async_sends(calls.list_ai_tools)
    list_ai_tool_names = async_sends(calls.list_ai_tool_names)
    list_ai_tool_executions = async_sends(calls.list_ai_tool_executions)
    get_ai_tool_execution_status = async_sends(calls.get_ai_tool_execution_status)
    get_ai_orchestration_status = async_sends(calls.get_ai_orchestration_status)

    # Chat

    chat_inference = async_sends(calls.chat_inference)
    chat_inference_async = async_sends(calls.chat_inference_async)
    chat_inference_stream = async_streams(calls.chat_inference_stream)
    get_durable_execution_status = async_sends(calls.get_durable_execution_status)
    submit_tool_callback = async_sends(calls.submit_tool_callback)
    chat_with_ai_agent = async_sends(calls.chat_with_ai_agent)
    chat_with_ai_agent_async = async_sends(calls.chat_with_ai_agent_async)

    # Tasks

    create_task = async_sends(calls.create_task)
    list_tasks = async_sends(calls.list_tasks)
    get_task = async_sends(calls.get_task)
    update_task = async_sends(calls.update_task)
    delete_task = async_sends(calls.delete_task)
    get_dependency_graph = async_sends(calls.get_dependency_graph)
