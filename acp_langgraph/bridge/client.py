"""What can be asked of a bridge, and the clients: `BridgeClient` blocks, `AsyncBridgeClient` awaits.

    with BridgeClient("http://localhost:8080") as bridge:
        sent = bridge.query("sendgrid", "Send ... to ...", service_api_key="SG...")
        print(sent.result)

    async with AsyncBridgeClient("http://localhost:8080") as bridge:
        await bridge.init_mcp()
        print((await bridge.query_mcp("What is the weather in Oslo?")).result)

A query is sent once. It is sent again only where it certainly never left this machine, or where the
gateway turned it away for now. Everything else is raised, for a query may send a mail.

What a method takes and does is written once, in `acp_langgraph.bridge.operations`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from acp_langgraph.bridge import access
from acp_langgraph.bridge.answers import Check, error_of, usable, words_of
from acp_langgraph.bridge.calls import (
    APIBridgeOutput,
    BridgeInfo,
    Generation,
    Query,
    ResponseKind,
    Route,
    get_info,
    init_mcp,
    route_to,
)
from acp_langgraph.bridge.flow import send_query
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.processes import AsyncClosing, Closing
from acp_langgraph.core.retry import exchange, with_retries
from acp_langgraph.core.secrets import secrets
from acp_langgraph.transport.per_call import async_transport_to, transport_to

if TYPE_CHECKING:
    import httpx

    from acp_langgraph.auth import HeaderAuth


class Operations:
    """The operations of one bridge.

    Args:
        configuration: The gateway.
        headers: What identifies the client to the gateway.
        generation: Which paths the bridge has.
        authenticates: Whether the caller's own HTTP client adds credentials.
        is_owned: Whether the HTTP client is not the caller's own.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration,
        headers: Mapping[str, str],
        generation: Generation,
        *,
        authenticates: bool,
        is_owned: bool = True,
    ) -> None:
        self._retries = configuration.retries
        # A client of the caller's own has a patience of its own, unless the configuration says one.
        said = is_owned or "timeout" in configuration.model_fields_set
        self._timeout = configuration.timeout if said else None
        self._headers = {**configuration.auth_headers(), **headers}
        self._generation: Generation = generation
        self._authenticates = authenticates

    def query(
        self,
        service: str,
        text: str,
        *,
        service_api_key: str | None = None,
        check: Check | None = None,
        timeout: float | None = None,
        path: str | None = None,
    ) -> Flow[APIBridgeOutput]:
        """Ask one service; the bridge picks the operation.

        Args:
            service: The service's listen path in the gateway, e.g. `sendgrid`.
            text: What is wanted, in plain words.
            service_api_key: The service's credential: `Basic ...` or whatever scheme it wants; a
                key without a scheme is sent as a bearer token.
            check: A callable that returns `False` (or raises) for a result that means failure, or
                a regular expression that a good result matches.
            timeout: Seconds to wait.
            path: A path to use instead, exactly as it is.

        Raises:
            ApiValueError: If that cannot be sent.
            ApiConnectionError: If no answer came; `sent` tells whether the query may have arrived.
            ApiException: If the bridge, the gateway or the check refuses; `BridgeError` and its
                child classes tell which.
        """
        route = route_to("service", service, generation=self._generation, path=path)
        return (yield from self._send(route, text, service_api_key, check, timeout))

    def query_operation(
        self,
        service: str,
        operation: str,
        text: str,
        *,
        method: str = "POST",
        response: ResponseKind = "upstream",
        service_api_key: str | None = None,
        check: Check | None = None,
        timeout: float | None = None,
        path: str | None = None,
    ) -> Flow[APIBridgeOutput]:
        """Ask one operation of a service, where the gateway is set up for it; otherwise `query`.

        Args:
            service: The service's listen path in the gateway.
            operation: The operation's path in the service's API, path parameters filled in.
            text: What is wanted, in plain words.
            method: The operation's method.
            response: Whether to get the service's own answer (`upstream`) or words (`nl`).
            service_api_key: As in `query`.
            check: As in `query`.
            timeout: Seconds to wait.
            path: A path to use instead, exactly as it is.
        """
        route = route_to(
            "direct",
            service,
            generation=self._generation,
            path=path,
            operation=operation,
            method=method,
            response=response,
        )
        return (yield from self._send(route, text, service_api_key, check, timeout))

    def query_services(
        self,
        text: str,
        *,
        service_api_key: str | None = None,
        any_receiver: bool = False,
        check: Check | None = None,
        timeout: float | None = None,
        path: str | None = None,
    ) -> Flow[APIBridgeOutput]:
        """Ask whichever service fits; otherwise `query`.

        The bridge knows only services that were asked before its first query of this kind.

        Args:
            text: What is wanted, in plain words.
            service_api_key: As in `query`; it goes to whichever service the bridge picks.
            any_receiver: Whether that is all right.
            check: As in `query`.
            timeout: Seconds to wait.
            path: A path to use instead, exactly as it is.
        """
        route = route_to("cross_api", generation=self._generation, path=path)
        return (yield from self._send(route, text, service_api_key, check, timeout, any_receiver))

    def query_mcp(
        self,
        text: str,
        *,
        service_api_key: str | None = None,
        any_receiver: bool = False,
        check: Check | None = None,
        timeout: float | None = None,
        path: str | None = None,
    ) -> Flow[APIBridgeOutput]:
        """Have the bridge's model work with its MCP tools, which `init_mcp` connects.

        Hanging up does not stop the tools.

        Args:
            text: What is wanted, in plain words.
            service_api_key: As in `query_services`.
            any_receiver: As in `query_services`.
            check: As in `query`.
            timeout: Seconds to wait.
            path: A path to use instead, exactly as it is.
        """
        route = route_to("mcp", generation=self._generation, path=path)
        return (yield from self._send(route, text, service_api_key, check, timeout, any_receiver))

    def query_any(
        self,
        text: str,
        *,
        service_api_key: str | None = None,
        any_receiver: bool = False,
        check: Check | None = None,
        timeout: float | None = None,
        path: str | None = None,
    ) -> Flow[APIBridgeOutput]:
        """`query_services`, and `query_mcp` where no service fits.

        Args:
            text: What is wanted, in plain words.
            service_api_key: As in `query_services`.
            any_receiver: As in `query_services`.
            check: As in `query`.
            timeout: Seconds to wait.
            path: A path to use instead, exactly as it is.
        """
        route = route_to("any", generation=self._generation, path=path)
        return (yield from self._send(route, text, service_api_key, check, timeout, any_receiver))

    def info(self) -> Flow[BridgeInfo]:
        """What the bridge says about itself; bridges of the legacy generation do not."""
        return (yield from with_retries(get_info(), self._retries))

    def init_mcp(self) -> Flow[str]:
        """Connect the bridge to its MCP servers, which it does not do by itself."""
        call = init_mcp(self._generation)
        reply = yield from exchange(call, self._retries)
        hidden = secrets(self._headers)
        route = Route("mcp", call.method, call.path, {})
        if not reply.is_success:
            raise error_of(reply, route, hidden)
        return words_of(reply, route, hidden)

    def _send(
        self,
        route: Route,
        text: str,
        service_api_key: str | None,
        check: Check | None,
        timeout: float | None,
        any_receiver: bool = False,
    ) -> Flow[APIBridgeOutput]:
        credential = access.authorization(service_api_key)
        if credential is not None or self._authenticates:
            route.entrust(any_receiver=any_receiver)
        shown: dict[str, Any] = {} if credential is None else {"authorization": credential}
        hidden = secrets(self._headers, shown)
        query = Query(text, route, credential, hidden, timeout)
        return (yield from send_query(query, self._retries, usable(check), self._timeout))


P = ParamSpec("P")
T = TypeVar("T")


def _runs(
    operation: Callable[Concatenate[Operations, P], Flow[T]],
) -> Callable[Concatenate[Any, P], T]:
    """The method that runs an operation and returns its result."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self._transport.run(operation(self._operations, *args, **kwargs))

    return _described(method, operation)


def _async_runs(
    operation: Callable[Concatenate[Operations, P], Flow[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """`_runs`, awaiting."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return await self._transport.run(operation(self._operations, *args, **kwargs))

    return _described(method, operation)


def _described(method: Callable[..., Any], operation: Callable[..., Any]) -> Callable[..., Any]:
    """The method under the operation's name, with its signature and documentation."""
    signature = inspect.signature(operation)
    result = signature.return_annotation.removeprefix("Flow[").removesuffix("]")
    method.__name__ = method.__qualname__ = operation.__name__
    method.__doc__ = operation.__doc__
    method.__signature__ = signature.replace(return_annotation=result)  # type: ignore[attr-defined]  # read by inspect
    return method


class BridgeClient(Closing):
    """A blocking client of one API Bridge.

    May be shared by threads. It is a context manager; without `with`, `close` it.

    Args:
        configuration: The gateway that the bridge is in; a URL will do, and then waits 120 seconds
            for an answer.
        apikey: The gateway's key, sent as `apikey`.
        headers: Whatever else the gateway or the services want with every request.
        generation: `legacy` for bridges older than May 2025.
        client: A client of the caller's own, which stays open when this is closed.
        auth: A `TokenAuth` or `HeaderAuth` for what the gateway wants, such as
            `TokenAuth(fetch, header="apikey", scheme="")`; the gateway hands it on.

    Raises:
        ApiValueError: If that cannot work, or would send a credential where it does not belong.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str,
        *,
        apikey: str | None = None,
        headers: Mapping[str, str] | None = None,
        generation: Generation = "current",
        client: httpx.Client | None = None,
        auth: HeaderAuth | None = None,
    ) -> None:
        configuration = access.connection(configuration)
        sent = access.gateway_headers(apikey, headers)
        self._operations = Operations(
            configuration,
            sent,
            generation,
            authenticates=access.authenticates(client),
            is_owned=client is None,
        )
        self._transport = transport_to(
            configuration, client=client, auth=auth, headers=sent, refuse=access.refuse
        )

    query = _runs(Operations.query)
    query_operation = _runs(Operations.query_operation)
    query_services = _runs(Operations.query_services)
    query_mcp = _runs(Operations.query_mcp)
    query_any = _runs(Operations.query_any)
    info = _runs(Operations.info)
    init_mcp = _runs(Operations.init_mcp)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class AsyncBridgeClient(AsyncClosing):
    """An awaiting client of one API Bridge.

    May be shared by tasks, also of several event loops. It is a context manager; without
    `async with`, `aclose` it.

    Args:
        configuration: The gateway that the bridge is in; a URL will do, and then waits 120 seconds
            for an answer.
        apikey: The gateway's key, sent as `apikey`.
        headers: Whatever else the gateway or the services want with every request.
        generation: `legacy` for bridges older than May 2025.
        client: A client of the caller's own, which stays open when this is closed.
        auth: A `TokenAuth` or `HeaderAuth` for what the gateway wants, such as
            `TokenAuth(fetch, header="apikey", scheme="")`; the gateway hands it on.

    Raises:
        ApiValueError: If that cannot work, or would send a credential where it does not belong.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str,
        *,
        apikey: str | None = None,
        headers: Mapping[str, str] | None = None,
        generation: Generation = "current",
        client: httpx.AsyncClient | None = None,
        auth: HeaderAuth | None = None,
    ) -> None:
        configuration = access.connection(configuration)
        sent = access.gateway_headers(apikey, headers)
        self._operations = Operations(
            configuration,
            sent,
            generation,
            authenticates=access.authenticates(client),
            is_owned=client is None,
        )
        self._transport = async_transport_to(
            configuration, client=client, auth=auth, headers=sent, refuse=access.refuse
        )

    query = _async_runs(Operations.query)
    query_operation = _async_runs(Operations.query_operation)
    query_services = _async_runs(Operations.query_services)
    query_mcp = _async_runs(Operations.query_mcp)
    query_any = _async_runs(Operations.query_any)
    info = _async_runs(Operations.info)
    init_mcp = _async_runs(Operations.init_mcp)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._transport.aclose()
