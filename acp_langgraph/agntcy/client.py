"""`ACPClient` and `AsyncACPClient` as `agntcy_acp` has them; see `acp_langgraph.agntcy.operations`.

with ApiClient(ApiClientConfiguration(host="http://127.0.0.1:8000")) as api_client:
client = ACPClient(api_client)
agents = client.search_agents(AgentSearchRequest(name="mailcomposer"))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

from acp_langgraph.agntcy.api_client import ApiClient, AsyncApiClient
from acp_langgraph.agntcy.configuration import ApiClientConfiguration
from acp_langgraph.agntcy.operations import OPERATIONS, awaiting, blocking
from acp_langgraph.core.operations import ApiResponse

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
