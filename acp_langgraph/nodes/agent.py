"""What the nodes of agents have in common, whichever protocol their servers speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

import httpx
from typing_extensions import TypedDict

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.nodes.base import RemoteNode, one_of
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.identity import Auth, Headers
from acp_langgraph.nodes.plans import input_of, output_of
from acp_langgraph.nodes.ports import FixedPort, InputPort

if TYPE_CHECKING:
    from acp_langgraph.nodes.tool import ToolSide


STRATEGIES: Final = ("reject", "rollback", "interrupt", "enqueue")
"""What a busy remote thread may do with one more run."""


class AgentOptions(TypedDict, total=False):
    """What every node of an agent takes by keyword; see `acp_langgraph.ACPNode`."""

    input: Any
    output: Any
    llm: Any
    state_type: Any
    client: httpx.Client | None
    async_client: httpx.AsyncClient | None
    headers: Headers | None
    auth: Auth | None
    run_timeout: float | None
    on_timeout: Literal["cancel", "leave"]
    on_unknown: Literal["raise", "rerun"]
    on_failure: Literal["rerun", "keep"]
    on_cancel: Literal["cancel", "detach"]


class AgentNode(RemoteNode):
    """Base of the nodes of agents: what is read, what is written, and how patient to be.

    The arguments are those of `acp_langgraph.ACPNode`, where they are explained.

    Attributes:
        use_threads: Whether the agent runs on a remote thread of the node's own.
        policy: How patient to be with a run.
        input: Where the input comes from.
        output: Where the answer goes.
        config: Where the agent's configuration is, if anywhere.
    """

    def __init__(
        self,
        name: str,
        agent_id: str,
        client_config: ApiClientConfiguration | str | None,
        input_path: str | None,
        input_type: Any,
        output_path: str | None,
        output_type: Any,
        config_path: str | None,
        config_type: Any,
        auth_header: Headers | None,
        use_threads: bool,
        *,
        input: Any = None,  # noqa: A002 - what it is
        output: Any = None,
        llm: Any = None,
        state_type: Any = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        headers: Headers | None = None,
        auth: Auth | None = None,
        run_timeout: float | None = None,
        on_timeout: Literal["cancel", "leave"] = "cancel",
        on_unknown: Literal["raise", "rerun"] = "raise",
        on_failure: Literal["rerun", "keep"] = "rerun",
        on_cancel: Literal["cancel", "detach"] = "cancel",
        id_name: str = "agent_id",
    ) -> None:
        super().__init__(
            name,
            client_config,
            headers=auth_header if headers is None else headers,
            client=client,
            async_client=async_client,
            auth=auth,
            on_cancel=on_cancel,
        )
        if headers is not None and auth_header is not None:
            raise NodeConfigurationError(
                "auth_header and headers are two names for the same; give one of them", node=name
            )
        if not isinstance(agent_id, (str, UUID)) or not str(agent_id):
            given = "empty" if agent_id == "" else f"of type {type(agent_id).__name__}"
            kind = id_name.removesuffix("_id")
            raise NodeConfigurationError(
                f"{id_name} is {given}; give an {kind}'s name or id as text", node=name
            )
        if config_type is not None and config_path is None:
            raise NodeConfigurationError("config_type needs a config_path", node=name)
        if run_timeout is not None and not (
            isinstance(run_timeout, (int, float)) and run_timeout > 0
        ):
            raise NodeConfigurationError(
                f"run_timeout is a number of seconds above 0, or None for no limit; not "
                f"{run_timeout!r}",
                node=name,
            )
        one_of("on_timeout", on_timeout, ("cancel", "leave"), name)
        one_of("on_unknown", on_unknown, ("raise", "rerun"), name)
        one_of("on_failure", on_failure, ("rerun", "keep"), name)
        self.agent = str(agent_id)
        self.use_threads = use_threads
        self.policy = JobPolicy(
            run_timeout=run_timeout,
            on_timeout=on_timeout,
            on_unknown=on_unknown,
            on_failure=on_failure,
            retries=self.transport.retries,
            long_poll=min(30.0, self.transport.endpoint.configuration.timeout or 30.0),
        )
        self.input = input_of(name, input, input_path, input_type, state_type, llm)
        self.input_path, self.output_path = input_path, output_path
        self.output = output_of(name, output, output_path, output_type, state_type, llm)
        self.input_type, self.output_type, self.config_type = input_type, output_type, config_type
        self.config: InputPort | None = None
        if config_path is not None:
            self.config = InputPort("config", config_path, config_type, name)

    def _thread(self, execution: Execution) -> str | None:
        """The remote thread that the agent remembers on, if it is to."""
        return execution.remote_thread_id() if self.use_threads else None

    def _tool_side(self, config: Any, takes: Any, description: str) -> ToolSide:
        """What a tool is made from.

        Args:
            config: The agent's configuration, if it has one.
            takes: The JSON Schema of what it takes, where the node's types do not tell.
            description: What it says of itself.
        """
        from acp_langgraph.nodes.tool import (  # noqa: PLC0415 - only for those who want it
            ARGUMENTS,
            AnswerPort,
            ToolSide,
        )

        twin = self._as_called()
        if config is not None:
            twin.config = FixedPort(config, self.config_type, self.name)
        elif self.config is not None:
            raise NodeConfigurationError(
                "config_path is a place in the graph's state, which a tool does not see; give the "
                "agent's configuration with as_tool(config=...)",
                node=self.name,
            )
        twin.input = InputPort("input", ARGUMENTS, self.input_type, self.name)
        twin.output = AnswerPort(self.output_type, self.name)
        takes = takes if self.input_type is None else self.input_type
        said = description or f"Has the remote agent {self.agent!r} do its work."
        return ToolSide(twin, takes, said)
