"""A node's input and output by mapping plans; imported only where there is one.

What a plan's rules cannot tell a model is asked; its answers are a step of the node's flow, so that
they are remembered and the model is not asked again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from acp_langgraph.core.flow import Flow, Step, Work
from acp_langgraph.core.wire import UnsendableError, plain, sendable, unsendable
from acp_langgraph.errors import NodeInputError, NodeOutputError
from acp_langgraph.mapping import (
    MappingPlan,
    aask,
    ask,
    compile_input,
    compile_output,
    schema,
    validation,
)
from acp_langgraph.mapping.asking import refuse_without_model
from acp_langgraph.nodes.ports import describe_faults

if TYPE_CHECKING:
    from acp_langgraph.mapping import MappingPlan


class PlannedInput:
    """An input by a plan."""

    def __init__(self, node: str, rules: Any, declared: Any, state_type: Any, model: Any) -> None:
        self.plan = compile_input(rules, state=state_type, agent=declared, name=f"{node}.input")
        refuse_without_model(self.plan, model)
        self.declared = declared
        self._node = node
        self._model = model

    def take(self, state: Any, config: RunnableConfig) -> Flow[Any]:
        """The JSON to send, as the rules make it."""
        plan = self.plan
        answers = yield from _answers("map_input", plan, self._model, plan.value, state, config)
        value = plan.value(state, config, answers=answers)
        try:
            declares = partial(schema.declares_secret, self.declared or Any)
            return sendable(plain(value, declares=declares))
        except UnsendableError as error:
            raise NodeInputError(
                f"the plan of the input gives what cannot be sent: {error}", node=self._node
            ) from None
        except (PydanticSerializationError, ValueError):
            raise NodeInputError(
                f"the plan of the input gives what cannot be sent as JSON: {unsendable(value)}",
                node=self._node,
            ) from None


class PlannedOutput:
    """An output by a plan."""

    def __init__(self, node: str, rules: Any, declared: Any, state_type: Any, model: Any) -> None:
        self.plan = compile_output(rules, state=state_type, agent=declared, name=f"{node}.output")
        refuse_without_model(self.plan, model)
        self._node = node
        self.declared = declared
        self._model = model

    def put(self, state: Any, values: Any, config: RunnableConfig) -> Flow[dict[str, Any]]:
        """The change of the state, as the rules make it of the answer."""
        plan, answer = self.plan, self._fitting(values)
        check = partial(plan.delta, state=state)
        answers = yield from _answers(
            "map_output", plan, self._model, check, answer, config, state=state
        )
        return plan.delta(answer, config, state=state, answers=answers)

    def _fitting(self, values: Any) -> Any:
        if self.declared is None:
            return values
        try:
            return validation.validate(self.declared, values)
        except ValidationError as error:
            raise NodeOutputError(
                f"the agent's answer does not fit its output_type: {describe_faults(error)}",
                node=self._node,
            ) from None


def _answers(
    step: str,
    plan: MappingPlan,
    model: Any,
    check: Any,
    source: Any,
    config: RunnableConfig,
    **more: Any,
) -> Flow[dict[str, Any]]:
    """What a model says of the fields that rules cannot tell; nothing is asked if there are none."""
    if not plan.semantic:
        return {}
    asked = (plan, source, config)
    options = {"model": model, "check": check, **more}

    def body() -> Flow[dict[str, Any]]:
        return (yield from Work(partial(ask, *asked, **options), partial(aask, *asked, **options)))

    return (yield from Step(step, body))
