"""The clients: `BridgeClient` blocks, `AsyncBridgeClient` awaits; otherwise they are equals.

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
from acp_langgraph.bridge.models import Generation
from acp_langgraph.bridge.operations import Operations
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.transport.closing import AsyncClosing, Closing
from acp_langgraph.transport.per_call import async_transport_to, transport_to

if TYPE_CHECKING:
    import httpx

    from acp_langgraph.auth import HeaderAuth

__all__ = ["AsyncBridgeClient", "BridgeClient"]

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
