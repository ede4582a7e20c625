"""What every remote node is: a `Runnable` that takes a state and returns its change.

A node's work is one flow (`RemoteNode.life`). Inside a graph the graph performers run it, on its own
the transport does; there is no other difference, and none between `invoke` and `ainvoke`.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Coroutine, Mapping
from typing import Any, Final, Literal

import httpx
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.drive import adrive, drive
from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.performers import AsyncGraphPerformer, GraphPerformer
from acp_langgraph.transport import AsyncTransport, Transport

__all__ = ["RemoteNode"]

_log = logging.getLogger("acp_langgraph.nodes")

_CANCEL_WITHIN: Final = 10.0
_cancelling: set[asyncio.Task[None]] = set()


class RemoteNode(Runnable[Any, dict[str, Any]]):
    """Base of the nodes that have work done elsewhere.

    Args:
        name: The node's name in the graph.
        configuration: Where and as whom to connect; a URL will do.
        headers: Sent with every request of this node.
        client: A blocking client of the caller's own.
        async_client: An awaiting client of the caller's own.
        auth: Authentication of the caller's own, for both.
        on_cancel: Whether the remote job is ended when the node's execution is cancelled.

    Raises:
        NodeConfigurationError: If the name cannot be a node's.
    """

    name: str

    def __init__(
        self,
        name: str,
        configuration: ApiClientConfiguration | str | None,
        *,
        headers: Mapping[str, str] | None = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        auth: httpx.Auth | None = None,
        on_cancel: Literal["cancel", "detach"] = "cancel",
    ) -> None:
        if not isinstance(name, str) or not name or {":", "|"} & set(name):
            raise NodeConfigurationError(
                f"{name!r} cannot be a node's name; LangGraph wants text without ':' and '|'"
            )
        self.name = name
        self.on_cancel = on_cancel
        self.transport = Transport(configuration, client=client, auth=auth, headers=headers)
        self.async_transport = AsyncTransport(
            configuration, client=async_client, auth=auth, headers=headers
        )

    @abstractmethod
    def life(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """The node's work, from the state to the change of the state."""

    @abstractmethod
    def ending(self, execution: Execution, run_id: str | None) -> Flow[bool]:
        """What ends the remote job of an execution that was cancelled; whether it did."""

    def invoke(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Do the work, blocking.

        Args:
            input: The state: a dict, a pydantic model or a dataclass. It is not changed.
            config: LangGraph's, inside a graph.

        Returns:
            The changed channels of the state, and nothing else.
        """
        config = ensure_config(config)
        execution = Execution.of(self.name, config)
        performer = GraphPerformer(self.transport, execution)
        return drive(self.life(input, execution, config), performer)

    async def ainvoke(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Do the work, awaiting; otherwise `invoke`."""
        config = ensure_config(config)
        execution = Execution.of(self.name, config)
        performer = AsyncGraphPerformer(self.async_transport, execution)
        try:
            return await adrive(self.life(input, execution, config), performer)
        except asyncio.CancelledError:
            if self.on_cancel == "cancel":
                _in_background(self._end(execution, performer.run_id))
            raise

    def close(self) -> None:
        """Close the blocking connections."""
        self.transport.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and the blocking ones."""
        await self.async_transport.aclose()
        self.transport.close()

    async def _end(self, execution: Execution, run_id: str | None) -> None:
        # An event loop that shuts down cancels its tasks once, and then waits for them.
        for _ in range(2):
            try:
                async with asyncio.timeout(_CANCEL_WITHIN):
                    ended = await self.async_transport.run(self.ending(execution, run_id))
            except TimeoutError:
                ended = False
            except asyncio.CancelledError:
                continue
            if not ended:
                _log.warning("node %r: the remote job %s goes on", self.name, run_id or "")
            return


def _in_background(work: Coroutine[Any, Any, None]) -> None:
    """Let LangGraph go on: it does not wait for the clean-up of a node that it cancelled."""
    job = asyncio.get_running_loop().create_task(work)
    _cancelling.add(job)
    job.add_done_callback(_cancelling.discard)
