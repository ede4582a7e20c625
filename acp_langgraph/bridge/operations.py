"""What can be asked of a bridge, as flows; the clients run them under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acp_langgraph.bridge import access
from acp_langgraph.bridge.answers import Check, error_of, usable, words_of
from acp_langgraph.bridge.calls import Query, Route, get_info, init_mcp, route_to
from acp_langgraph.bridge.flow import send_query
from acp_langgraph.bridge.models import APIBridgeOutput, BridgeInfo, Generation, ResponseKind
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.retry import exchange, with_retries
from acp_langgraph.core.secrets import secrets

__all__ = ["Operations"]


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
