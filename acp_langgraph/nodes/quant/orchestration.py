"""`QuantOrchestrationNode`: several asynchronous tools, gathered by Quant, as a node."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal, Unpack

from langchain_core.runnables import RunnableConfig

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow, Progress, Step
from acp_langgraph.errors import NodeInputError
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.ports import InputPort, OutputPort
from acp_langgraph.nodes.quant.base import QuantNode, QuantOptions
from acp_langgraph.nodes.quant.waiting import since
from acp_langgraph.quant.pace import ORCHESTRATION, Pace
from acp_langgraph.quant.reading import polled_id
from acp_langgraph.quant.tools import Tools, wait_for_orchestration

__all__ = ["QuantOrchestrationNode"]


class QuantOrchestrationNode(QuantNode):
    """Waits for an orchestration that was started elsewhere.

        gather = QuantOrchestrationNode("gather", organisation="acme", input_path="orchestration",
                                        output_path="answer")

    The answer is `{"text", "tools", "orchestrationId"}`: what the model wrote, and what became of
    each tool. `QuantToolNode` starts orchestrations, and waits for them as well.

    Args:
        name: The node's name in the graph.
        configuration: The API's host, or all there is to say of it.
        input_path: Where in the state the orchestration's id is, or the URL to poll it by.
        output_path: Where in the state the answer goes; empty to take its fields for channels.
        output_type: The answer's type, if it is to be checked.
        state_type: The type of the graph's state, where a dict of it does not tell.
        on_error: Whether a tool that failed is an error (`raise`), or told with the others (`keep`).
            An orchestration that failed always is.
        pace: How often to look, and when to give up: every 2 s for 10 minutes.
        **options: What every node of Quant's takes: `organisation`, `spelling`, `prefix`, `headers`,
            `client`, `async_client`, `auth`, `on_unknown` and `save_to`; see `QuantNode`.

    Raises:
        NodeConfigurationError: If the node can never work like that.
        ApiValueError: If the configuration is not valid.
    """

    def __init__(
        self,
        name: str,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        input_path: str,
        output_path: str = "",
        output_type: Any = None,
        state_type: Any = None,
        on_error: Literal["raise", "keep"] = "raise",
        pace: Pace = ORCHESTRATION,
        **options: Unpack[QuantOptions],
    ) -> None:
        super().__init__(name, configuration, pace=pace, **options)
        self._input = InputPort("input", input_path, str, name)
        self.output_type = output_type
        self.output = OutputPort(output_path, output_type, state_type, name)
        self._tools = replace(
            Tools(on_error=on_error, keeper=self.keeper, node=name), orchestrations=self.policy
        )

    def life(
        self,
        state: Any,
        execution: Execution,  # noqa: ARG002 - the base's
        config: RunnableConfig,  # noqa: ARG002 - the base's
    ) -> Flow[dict[str, Any]]:
        """Wait for the orchestration."""
        identifier = self._identifier(self._input.read(state))
        begun = yield from since(self.policy)
        yield from Progress("waiting", identifier)
        wait = partial(wait_for_orchestration, identifier, self._tools, begun)
        return self.output.write(state, (yield from Step("wait_for_orchestration", wait)))

    def _identifier(self, said: str) -> str:
        if "/" not in said:
            return said
        kind, identifier = polled_id(said, self.base_url)
        if kind != "tools/orchestrations":
            raise NodeInputError(
                "the input is neither an orchestration's id nor the URL of one on the configured host",
                node=self.name,
            )
        return identifier
