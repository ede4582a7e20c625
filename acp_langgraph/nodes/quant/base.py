"""What Quant's nodes have in common."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypedDict

import httpx
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow, Step
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.jobs.job import Sighting, one_of
from acp_langgraph.nodes import suspending
from acp_langgraph.nodes.base import RemoteNode
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.identity import Auth, Headers
from acp_langgraph.nodes.ports import InputPort
from acp_langgraph.quant.client import Spelling, quant_configuration
from acp_langgraph.quant.polling import Pace, QuantPolicy, SharedPolling, shared_polling
from acp_langgraph.quant.reading import Keeper, Save
from acp_langgraph.quant.suspending import Awaited, Suspension, sighted

if TYPE_CHECKING:
    from acp_langgraph.nodes.tool import ToolSide


def since(policy: QuantPolicy) -> Flow[float]:
    """When the node began to wait: remembered, so that a restart does not begin anew."""
    return (yield from Step("begin", partial(_now, policy)))


def _now(policy: QuantPolicy) -> Flow[float]:
    yield from ()
    return policy.clock()


_MESSAGE: Final = {
    "type": "object",
    "properties": {"message": {"type": "string", "description": "What is wanted, in plain words."}},
    "required": ["message"],
}

_log = logging.getLogger("acp_langgraph.nodes")


def current_config(config: RunnableConfig) -> RunnableConfig:
    """The configuration for what is run inside of a step: the step's own, so that it is nested there.

    Args:
        config: The node's, for when there is no graph.
    """
    try:
        return get_config()
    except RuntimeError:
        return config


class QuantOptions(TypedDict, total=False):
    """The settings that all of Quant's nodes have; see `QuantNode`."""

    organisation: str | None
    spelling: Spelling
    prefix: str
    headers: Headers | None
    client: httpx.Client | None
    async_client: httpx.AsyncClient | None
    auth: Auth | None
    on_unknown: Literal["raise", "rerun"]
    save_to: str | os.PathLike[str] | Save | None
    wait: Literal["hold", "suspend"]
    after: float


class QuantNode(RemoteNode):
    """Base of the nodes that have work done by Quant's AI API.

    Args:
        name: The node's name in the graph.
        configuration: The API's host, or all there is to say of it; left out, `QUANT_BASE_URL` or
            the public cloud, with the token in `QUANT_API_TOKEN`.
        organisation: The organisation's machine name; left out, `QUANT_ORGANISATION`.
        spelling: How paths spell it.
        prefix: What comes before it in paths.
        headers: Sent with every request of this node; or a function that makes them, of the
            invocation's config or runtime, as told in `HeaderAuth`.
        client: A blocking client of the caller's own.
        async_client: An awaiting client of the caller's own.
        auth: A `TokenAuth` or `HeaderAuth`; or an `httpx.Auth` of the caller's own.
        pace: How often to look, and when to give up.
        on_unknown: What to do where it cannot be told whether something was started: `raise`
            UnknownOutcomeError, or `rerun` and accept that it may run twice.
        save_to: Where binary results go: a directory, or a function; `None` leaves references to
            them in the result. They are never part of the state.
        wait: `hold` waits for what is at work there. `suspend` suspends the graph meanwhile, so that no
            process waits; a `Sweeper` or `acp-langgraph wake` goes on with it, for the API calls no
            webhooks. The deadline of `pace` counts meanwhile. It needs a checkpointer; without one the
            node holds, and tasks cannot be waited for like that.
        after: With `suspend`, for how many seconds to hold first.

    Raises:
        NodeConfigurationError: If the node can never work like that.
        ApiValueError: If the organisation is missing, or the configuration is not valid.

    Raises, when it runs:
        NodeInputError: If the state does not give the input; nothing was sent.
        NodeOutputError: If the answer does not fit where it should go.
        QuantRunError: If what was started failed.
        RunTimeoutError: If `pace` gives up; the ids allow picking it up again.
        RunLostError: If the API no longer knows what was started.
        UnknownOutcomeError: If it cannot be told whether something was started.
        ApiConnectionError: If the API cannot be reached.
        ApiException: If it refuses; the child classes tell which way.
    """

    _can_suspend: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        organisation: str | None = None,
        spelling: Spelling = "organizations",
        prefix: str = "/api/v3",
        headers: Headers | None = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        auth: Auth | None = None,
        pace: Pace,
        on_unknown: Literal["raise", "rerun"] = "raise",
        save_to: str | os.PathLike[str] | Save | None = None,
        wait: Literal["hold", "suspend"] = "hold",
        after: float = 0.0,
    ) -> None:
        whole = quant_configuration(configuration, organisation, spelling=spelling, prefix=prefix)
        super().__init__(
            name,
            whole,
            headers=headers,
            client=client,
            async_client=async_client,
            auth=auth,
            on_cancel="detach",  # the API cannot cancel anything
        )
        one_of("on_unknown", on_unknown, ("raise", "rerun"), name)
        self.base_url = whole.base_url
        self.policy = QuantPolicy(pace, retries=whole.retries, on_unknown=on_unknown)
        self.keeper = Keeper(save_to)
        # Nodes with credentials of their own making cannot be told to be the same user.
        own = client or async_client or auth or headers
        self.sharing: SharedPolling | None = SharedPolling() if own else shared_polling(whole)
        if self.identity.varies:  # nor can two executions of one node
            self.sharing = None
        self.wait, self.after = one_of("wait", wait, ("hold", "suspend"), name), after
        if wait == "hold" and after:
            raise NodeConfigurationError('after needs wait="suspend"', node=name)
        if wait == "suspend":
            self.after = suspending.held_for(after, name)
            if not self._can_suspend:
                raise NodeConfigurationError(
                    f'{type(self).__name__} cannot wait="suspend": the node itself works on the task, and '
                    "holds its lease. Leave wait= out",
                    node=name,
                )
            suspending.note(self)

    async def ainvoke(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Do the work, awaiting. Cancelling ends the waiting; what was started goes on."""
        try:
            return await super().ainvoke(input, config, **options)
        except asyncio.CancelledError as cancelled:
            said = (
                f"node {self.name!r} stopped waiting; what it started goes on on the server, which "
                "cannot cancel it"
            )
            cancelled.add_note(said)
            _log.warning(said)
            raise

    def _told_by_a_model(self, config: Any, description: str) -> ToolSide:
        """What a tool is made from that takes a message; of nodes with an `_input`."""
        from acp_langgraph.nodes.tool import ARGUMENTS, AnswerPort, ToolSide  # noqa: PLC0415 - only for those who want it

        self._refuse_configuration(config)
        twin: Any = self._as_called()
        if self.wait == "suspend":
            suspending.note(twin)
        twin._input = InputPort("input", f"{ARGUMENTS}.message", None, self.name)  # noqa: SLF001 - a node of its own
        twin.output = AnswerPort(None, self.name)
        return ToolSide(twin, _MESSAGE, description)

    def _look(self, wait: suspending.Wait) -> Flow[Sighting]:
        """How something is that is waited for; asked once, for whoever asks will ask again."""
        return sighted(wait.key, wait.run_id)

    def _cancel(self, wait: suspending.Wait) -> Flow[bool]:  # noqa: ARG002 - as of nodes that can
        """End what is waited for: nothing can be ended."""
        yield from ()
        return False

    def _suspension_in(self, execution: Execution) -> Suspension | None:
        """How the graph is suspended meanwhile, if it is to be."""
        if self.wait == "hold" or not execution.remembered:
            return None
        return Suspension(self.after, self._marker)

    def _marker(self, awaited: Awaited) -> dict[str, Any]:
        return suspending.Wait(
            id="",
            node=self.name,
            agent=self.agent,
            server=self.transport.endpoint.base_url,
            run_id=awaited.id,
            key=awaited.kind,
            thread=None,
            since=awaited.since,
            due=awaited.due,
        ).marker()

    def ending(
        self,
        execution: Execution,  # noqa: ARG002 - the base's
        key: str,  # noqa: ARG002 - the base's
        run_id: str | None,  # noqa: ARG002 - the base's
    ) -> Flow[bool]:
        """Nothing can be ended."""
        yield from ()
        return False
