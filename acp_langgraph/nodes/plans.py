"""A node's input and output, as it was given them: by a path, or by a mapping plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.runnables import RunnableConfig

from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.nodes.ports import InputPort, OutputPort

if TYPE_CHECKING:
    from acp_langgraph.mapping import MappingPlan


class Input(Protocol):
    """Where a node takes its input from."""

    @property
    def plan(self) -> MappingPlan | None:
        """The plan, if it is by one."""

    @property
    def declared(self) -> Any:
        """The input's type; `None` for any JSON."""

    def take(self, state: Any, config: RunnableConfig) -> Flow[Any]:
        """The JSON to send."""


class Output(Protocol):
    """Where a node puts the answer."""

    @property
    def plan(self) -> MappingPlan | None:
        """The plan, if it is by one."""

    @property
    def declared(self) -> Any:
        """The answer's type; `None` for any JSON."""

    def put(self, state: Any, values: Any, config: RunnableConfig) -> Flow[dict[str, Any]]:
        """The node's change of the state."""


def input_of(
    node: str, plan: Any, path: str | None, declared: Any, state_type: Any, model: Any
) -> Input:
    """The input that a node was given, by plan or by path.

    Args:
        node: The node's name.
        plan: Rules by field of the input, or one rule for all of it.
        path: Where in the state the input is.
        declared: The input's type; `None` for any JSON.
        state_type: The state's declaration, if known.
        model: A chat model, or where in `configurable` one is, for what rules cannot tell.

    Raises:
        NodeConfigurationError: If both are given, or one that can never work.
    """
    if plan is None:
        return InputPort("input", path or "", declared, node)
    if path is not None:
        raise NodeConfigurationError("give either input or input_path, not both", node=node)
    from acp_langgraph.nodes.planned import PlannedInput  # noqa: PLC0415 - only with a plan

    return PlannedInput(node, plan, declared, state_type, model)


def output_of(
    node: str, plan: Any, path: str | None, declared: Any, state_type: Any, model: Any
) -> Output:
    """The output that a node was given; see `input_of`."""
    if plan is None:
        return OutputPort(path or "", declared, state_type, node)
    if path is not None:
        raise NodeConfigurationError("give either output or output_path, not both", node=node)
    from acp_langgraph.nodes.planned import PlannedOutput  # noqa: PLC0415 - only with a plan

    return PlannedOutput(node, plan, declared, state_type, model)
