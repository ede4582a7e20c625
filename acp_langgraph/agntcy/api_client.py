"""What the clients connect with: a configuration, headers of every request, and the connections.

For settings that the package leaves to a client of the caller's own, there are clients of httpx's.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Self, TypeVar

import httpx
from pydantic import TypeAdapter

from acp_langgraph import config
from acp_langgraph.acp.client import ACPClient, AsyncACPClient
from acp_langgraph.agntcy import models
from acp_langgraph.agntcy.configuration import ApiClientConfiguration
from acp_langgraph.agntcy.exceptions import told
from acp_langgraph.agntcy.models import Convertible
from acp_langgraph.core.processes import PerLoop
from acp_langgraph.core.wire import plain
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.transport.peers import proxy_to, tls_context

_USUAL = ApiClientConfiguration()


def is_special(settings: ApiClientConfiguration) -> bool:
    """Whether a configuration says what needs a client of its own; the package's own does not."""
    names = (
        "assert_hostname",
        "tls_server_name",
        "connection_pool_maxsize",
        "proxy_headers",
        "socket_options",
    )
    usual = ((name, getattr(_USUAL, name)) for name in names)
    return any(getattr(settings, name, value) != value for name, value in usual)


def blocking_client(
    settings: ApiClientConfiguration, made: config.ApiClientConfiguration
) -> httpx.Client | None:
    """The client for what a configuration says; `None` where the package's own connections do."""
    if not is_special(settings):
        return None
    transport = httpx.HTTPTransport(**_options(settings, made))
    client = httpx.Client(transport=transport, event_hooks={"request": [_naming(settings)]})
    weakref.finalize(client, transport.close)
    return client


def awaiting_client(
    settings: ApiClientConfiguration, made: config.ApiClientConfiguration
) -> httpx.AsyncClient | None:
    """`blocking_client`, awaiting; of use in every event loop, whose connections are closed with it."""
    if not is_special(settings):
        return None
    name = _naming(settings)

    async def hook(request: httpx.Request) -> None:
        name(request)

    transport = _PerLoop(lambda: httpx.AsyncHTTPTransport(**_options(settings, made)))
    return httpx.AsyncClient(transport=transport, event_hooks={"request": [hook]})


class _PerLoop(httpx.AsyncBaseTransport):
    """Connections of the event loop that runs, closed together with it."""

    def __init__(self, make: Callable[[], httpx.AsyncHTTPTransport]) -> None:
        self._make = make
        self._made: PerLoop[httpx.AsyncHTTPTransport] = PerLoop()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        made = self._made.here()
        if made is None:
            made = self._make()
            self._made.keep(made, made.aclose)
        return await made.handle_async_request(request)

    async def aclose(self) -> None:
        await self._made.aclose()


def _options(
    settings: ApiClientConfiguration, made: config.ApiClientConfiguration
) -> dict[str, Any]:
    context = tls_context(made)
    if settings.assert_hostname is False:
        context.check_hostname = False
    proxy = proxy_to(httpx.URL(made.base_url), made.proxy)
    if proxy is not None:
        proxy.headers.update(settings.proxy_headers or {})
        proxy.ssl_context = tls_context(made) if proxy.url.scheme == "https" else None
    kept = settings.connection_pool_maxsize
    return {
        "verify": context,
        "proxy": proxy,
        "limits": httpx.Limits(max_connections=kept, max_keepalive_connections=kept),
        "socket_options": settings.socket_options,
        "trust_env": False,  # `proxy_to` has read it
    }


def _naming(settings: ApiClientConfiguration) -> Callable[[httpx.Request], None]:
    """Asks a server for the name that was configured, which its certificate then must have."""
    other = settings.assert_hostname
    name = settings.tls_server_name or (other if isinstance(other, str) else None)

    def hook(request: httpx.Request) -> None:
        if name:
            request.extensions["sni_hostname"] = name

    return hook


C = TypeVar("C", ACPClient, AsyncACPClient)


class _Connecting(Generic[C]):
    """What is the same in both colors."""

    _default: ClassVar[Any] = None

    def __init__(
        self,
        configuration: ApiClientConfiguration | None = None,
        header_name: str | None = None,
        header_value: str | None = None,
        cookie: str | None = None,
    ) -> None:
        self.configuration = configuration or ApiClientConfiguration.get_default()
        self.default_headers: dict[str, Any] = {}
        if header_name is not None:
            self.set_default_header(header_name, header_value)
        self.cookie = cookie
        self.user_agent = "acp-langgraph/python"
        self._made: tuple[config.ApiClientConfiguration, C] | None = None
        self._own: Any = None  # the client of httpx's that one is over

    @property
    def user_agent(self) -> Any:
        """What this client calls itself to servers."""
        return self.default_headers["User-Agent"]

    @user_agent.setter
    def user_agent(self, value: str) -> None:
        self.default_headers["User-Agent"] = value

    def set_default_header(self, header_name: str, header_value: Any) -> None:
        """Have a header sent with every request."""
        self.default_headers[header_name] = header_value

    @classmethod
    def get_default(cls) -> Self:
        """What clients without one connect with."""
        if cls._default is None:
            cls._default = cls()
        made: Self = cls._default
        return made

    @classmethod
    def set_default(cls, default: Self | None) -> None:
        """Have clients without one connect with another."""
        cls._default = default

    def sanitize_for_serialization(self, obj: Any) -> Any:
        """The JSON of an object: a model's, a list's, a date's."""
        return plain(obj.to_dict() if isinstance(obj, Convertible) else obj)

    def deserialize(
        self, response_text: str, response_type: str, content_type: str | None = None
    ) -> Any:
        """The object of a type, such as `List[Agent]`, that a JSON text stands for.

        Args:
            response_text: The text.
            response_type: A model's name, or `List[...]` of one; `object` for any JSON.
            content_type: What it was sent as; a text that was sent as `text/...` is given as it is.
        """
        if (content_type or "").startswith("text/"):
            return response_text
        several = re.fullmatch(r"List\[(\w+)]", response_type)
        kind: Any = getattr(models, several[1] if several else response_type, Any)
        return TypeAdapter(list[kind] if several else kind).validate_json(response_text)

    def client(self) -> C:
        """The package's client for what the configuration says now."""
        with told():
            own: Any = self.configuration
            wanted = own if isinstance(own, config.ApiClientConfiguration) else own.connection()
            if self._made is None or self._made[0] != wanted:
                self._made = wanted, self._client(wanted)
            return self._made[1]

    def _client(self, wanted: config.ApiClientConfiguration) -> C:
        raise NotImplementedError


class ApiClient(_Connecting[ACPClient]):
    """What blocking clients connect with.

    It is a context manager, and may be used after that, and without.

    Args:
        configuration: Where and as whom; the default one if left out.
        header_name: A header of every request.
        header_value: Its value.
        cookie: A cookie of every request.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            self._made[1].close()
        if self._own is not None:
            self._own.close()
            self._made = self._own = None

    def transport(self) -> Transport:
        """What performs calls for what the configuration says now."""
        return self.client()._transport  # noqa: SLF001 - for answers whose body is still to come

    def _client(self, wanted: config.ApiClientConfiguration) -> ACPClient:
        self._own = blocking_client(self.configuration, wanted)
        return ACPClient(wanted, client=self._own)


class AsyncApiClient(_Connecting[AsyncACPClient]):
    """What awaiting clients connect with.

    It is a context manager, and may be used after that, and without.

    Args:
        configuration: Where and as whom; the default one if left out.
        header_name: A header of every request.
        header_value: Its value.
        cookie: A cookie of every request.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        if self._made is not None:
            await self._made[1].aclose()
        if self._own is not None:
            await self._own.aclose()
            self._made = self._own = None

    def transport(self) -> AsyncTransport:
        """What performs calls for what the configuration says now."""
        return self.client()._transport  # noqa: SLF001 - for answers whose body is still to come

    def _client(self, wanted: config.ApiClientConfiguration) -> AsyncACPClient:
        self._own = awaiting_client(self.configuration, wanted)
        return AsyncACPClient(wanted, client=self._own)
