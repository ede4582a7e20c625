"""`ACPNode` as `agntcy_acp.langgraph.acp_node` has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from typing_extensions import override

from acp_langgraph import config
from acp_langgraph.agntcy.api_client import awaiting_client, blocking_client
from acp_langgraph.agntcy.configuration import ApiClientConfiguration
from acp_langgraph.agntcy.exceptions import told
from acp_langgraph.core.flow import Ask, Effect, Flow
from acp_langgraph.mapping.paths import StateReadError
from acp_langgraph.nodes import acp
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.ports import InputPort

__all__ = ["ACPNode"]


class ACPNode(acp.ACPNode):
    """Runs a remote agent as a node of a graph.

    It is `acp_langgraph.ACPNode`, which tells the rest, but for this:

    * an interrupt's value is what stands under the first key of what the agent asks, unless it asks
      several things at once;
    * `config_path` is a place in the invocation's `config["configurable"]`; if there is nothing, nothing is
      sent;
    * the server's errors are those of `acp_langgraph.agntcy.exceptions`.

    Args:
        name: The node's name in the graph.
        agent_id: The agent's id on the server, or its name there.
        client_config: Where and as whom to connect.
        input_path: Where in the state the agent's input is.
        input_type: Its type.
        output_path: Where in the state the agent's answer goes.
        output_type: Its type.
        config_path: Where in `configurable` the agent's configuration is.
        config_type: Its type.
        auth_header: Headers of every request.
        use_threads: Whether the agent runs on a remote thread.
        **options: What else `acp_langgraph.ACPNode` takes.
    """

    def __init__(
        self,
        name: str,
        agent_id: str,
        client_config: ApiClientConfiguration | config.ApiClientConfiguration | str | None,
        input_path: str | None = None,
        input_type: Any = None,
        output_path: str | None = None,
        output_type: Any = None,
        config_path: str | None = None,
        config_type: Any = None,
        auth_header: Mapping[str, str] | None = None,
        use_threads: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(client_config, ApiClientConfiguration):
            connection = client_config
        else:
            connection = client_config.connection()
            options.setdefault("client", blocking_client(client_config, connection))
            options.setdefault("async_client", awaiting_client(client_config, connection))
            if client_config.refresh_api_key_hook is not None:
                options["headers"] = partial(_refreshed, client_config, auth_header)
                auth_header = None
        super().__init__(
            name,
            agent_id,
            connection,
            input_path,
            input_type,
            output_path,
            output_type,
            auth_header=auth_header,
            use_threads=use_threads,
            **options,
        )
        if config_path:
            self.config = _ConfigurablePort("config", config_path, config_type, name)

    @override
    def invoke(self, input: Any, config: Any = None, **_: Any) -> dict[str, Any]:
        with told():
            return super().invoke(input, config)

    @override
    async def ainvoke(self, input: Any, config: Any = None, **_: Any) -> dict[str, Any]:
        with told():
            return await super().ainvoke(input, config)

    @override
    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """As ever, with questions in the reference's shape."""
        return _asking(super().flow(state, execution, config))


class _ConfigurablePort(InputPort):
    """Reads the agent's configuration from the invocation's."""

    @override
    def take(self, state: Any, config: Any) -> Flow[Any]:
        """The JSON to send; `None` if there is nothing."""
        yield from ()
        configurable = config.get("configurable", {})
        try:
            found = self.plan.value(configurable)
        except StateReadError:
            return None
        return None if found is None else self.read(configurable)


def _asking(flow: Flow[dict[str, Any]]) -> Flow[dict[str, Any]]:
    """A flow that asks what stands under the first key of its questions."""
    try:
        effect = next(flow)
        while True:
            try:
                reply = yield _first(effect)
            except GeneratorExit:
                flow.close()
                raise
            except BaseException as error:  # noqa: BLE001 - whatever it is, the flow is to judge
                effect = flow.throw(error)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        change: dict[str, Any] = end.value
        return change


def _first(effect: Effect) -> Effect:
    if not isinstance(effect, Ask):
        return effect
    match effect.payload:
        case {"interrupts": {}}:  # several at once, by their ids
            return effect
        case {**asked} if asked:
            return replace(effect, payload=next(iter(asked.values())))
    return effect


def _refreshed(
    settings: ApiClientConfiguration, headers: Mapping[str, str] | None, config: Any
) -> dict[str, str]:
    """The headers of an invocation, with keys that the configuration's hook has refreshed."""
    del config
    return {**(headers or {}), **settings.connection().auth_headers()}
