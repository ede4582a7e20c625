"""What the clients connect with: a configuration, headers of every request, and the connections."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import TypeAdapter

from acp_langgraph import config
from acp_langgraph.acp.client import ACPClient, AsyncACPClient
from acp_langgraph.agntcy import models
from acp_langgraph.agntcy.configuration import ApiClientConfiguration
from acp_langgraph.agntcy.connecting import awaiting_client, blocking_client
from acp_langgraph.agntcy.exceptions import told
from acp_langgraph.agntcy.shapes import Convertible
from acp_langgraph.core.wire import plain
from acp_langgraph.transport import AsyncTransport, Transport

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
