"""Where a node takes its input from the state, and where it puts the answer: by a path, or by a plan.

A path is a plan of one rule. What the rules of a mapping plan cannot tell a model is asked; its answers
are a step of the node's flow, so that they are remembered and the model is not asked again.

LangGraph drops what a node returns for a channel that the state does not have, without a word: a
misspelt `output_path` would lose the answer of a run that was paid for. Which channels there are, and
whether it is the graph itself that takes the node's change (and not a function that calls the node),
is told by private names only (`acp_langgraph.nodes.langgraph`); where they tell nothing, nothing is
refused. The function that makes tasks was made for the task, whose `proc` is the node and what writes
for it; the one that reads the state holds the channels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import is_dataclass
from functools import partial
from inspect import isroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from typing_extensions import is_typeddict

from acp_langgraph.core.flow import Flow, Step, Work
from acp_langgraph.core.wire import SECRETS, UnsendableError, plain, sendable, unsendable
from acp_langgraph.errors import (
    MappingError,
    NodeConfigurationError,
    NodeError,
    NodeInputError,
    NodeOutputError,
)
from acp_langgraph.mapping import schema, validation
from acp_langgraph.mapping.access import near
from acp_langgraph.mapping.paths import PathPlan, StateReadError
from acp_langgraph.mapping.writing import StateWriteError

if TYPE_CHECKING:
    from acp_langgraph.mapping import MappingPlan

Plan: TypeAlias = "PathPlan | MappingPlan"


def refuse_lost(
    named: Collection[str], channels: Mapping[str, Any] | None, node: str, what: str
) -> None:
    """Refuse a change that the graph would drop.

    Args:
        named: The channels that the change is for.
        channels: The channels that there are; `None` if not known.
        node: The node's name.
        what: Where it is said what the change is for.

    Raises:
        NodeOutputError: If there is a change, and all of it would be dropped.
    """
    if channels is None or not named or any(each in channels for each in named):
        return
    there = [name for name in channels if not name.startswith(("__", "branch:"))]
    if len(named) == 1:
        (only,) = named
        problem = f"the state has no channel {only!r}{near(only, there)}"
    else:
        wanted = ", ".join(map(repr, sorted(named)))
        problem = f"the state has none of the channels {wanted}{near('', there)}"
    raise NodeOutputError(f"{what}: {problem}", node=node)


class InputPort:
    """Makes the JSON to send of the state.

    Args:
        what: `input` or `config`, for errors.
        place: Where in the state it is; empty for the whole state. Or a plan of it.
        declared: Its type; `None` for any JSON.
        node: The node's name, for errors.
        model: A chat model, or where in `configurable` one is, for what a plan cannot tell.

    Attributes:
        path: Where it is, as it was given; `None` if it is by a plan.
        plan: The plan; of a path it is one of one rule.
        declared: Its type, as it was given.

    Raises:
        NodeConfigurationError: If the path or the type cannot be used.
    """

    def __init__(
        self, what: str, place: str | MappingPlan, declared: Any, node: str, model: Any = None
    ) -> None:
        self.what = what
        self.path = place if isinstance(place, str) else None
        self.plan: Plan = _plan(what, place, node)
        self.declared = declared
        self._adapter = _adapter(f"{what}_type", declared, node)
        self._node = node
        self._model = model

    def take(self, state: Any, config: RunnableConfig) -> Flow[Any]:
        """The JSON to send; a model may have to be asked for some of it.

        Raises:
            NodeInputError: If the state has no such place, or what is there does not fit.
            MappingError: If a plan's value cannot be made.
        """
        if not self.plan.semantic:
            return self.read(state, config)
        check = self.plan.value
        answers = yield from _answers("map_input", self.plan, self._model, check, state, config)
        return self.read(state, config, answers)

    def read(self, state: Any, config: RunnableConfig | None = None, answers: Any = None) -> Any:
        """The JSON to send, without asking anybody; see `take`."""
        try:
            value = self.plan.value(state, config, answers=answers)
        except StateReadError as error:
            raise NodeInputError(f"{self.what}_path: {error}", node=self._node) from None
        try:
            return sendable(self._fitting(value))
        except ValidationError as error:
            raise NodeInputError(self._refusal(describe_faults(error)), node=self._node) from None
        except UnsendableError as error:
            raise NodeInputError(self._refusal(str(error)), node=self._node) from None
        except (PydanticSerializationError, ValueError):
            found = unsendable(value) or f"it is of type {type(value).__name__}"
            problem = found if self.path is None else f"{found}, and cannot be sent as JSON"
            raise NodeInputError(self._refusal(problem), node=self._node) from None

    def _fitting(self, value: Any) -> Any:
        """The JSON of a value, as its type has it."""
        if self.path is None:  # the plan has made it of its type
            return plain(value, declares=partial(schema.declares_secret, self.declared or Any))
        if self._adapter is None:
            return plain(value)
        fitting = validation.validate(self.declared, value)
        if is_typeddict(self.declared):
            # The type says what the agent gets to see, be it of the whole state.
            known = self.declared.__annotations__
            fitting = {name: each for name, each in fitting.items() if name in known}
        dump = partial(self._adapter.dump_python, fitting, by_alias=True, warnings="error")
        return plain(
            fitting,
            dump=lambda mode: dump(mode=mode),
            declares=partial(schema.declares_secret, self.declared),
        )

    def _refusal(self, problem: str) -> str:
        if self.path is None:
            return f"the plan of the {self.what} gives what cannot be sent: {problem}"
        place = f"at {self.path!r} " if self.path else ""
        wanted = f" {_name(self.declared)}" if self.declared is not None else ""
        return f"the state {place}does not give the {self.what}{wanted}: {problem}"


class FixedPort(InputPort):
    """Gives the same JSON whatever the state.

    Args:
        value: What it gives.
        declared: Its type; `None` for any JSON.
        node: The node's name, for errors.

    Raises:
        NodeConfigurationError: If the value does not fit.
    """

    def __init__(self, value: Any, declared: Any, node: str) -> None:
        super().__init__("config", "", declared, node)
        try:
            self._value = super().read(value)
        except NodeInputError as error:
            raise NodeConfigurationError(str(error)) from None

    def read(self, *_: Any) -> Any:
        """The JSON to send."""
        return self._value


class OutputPort:
    """Turns an agent's answer into the node's update of the state.

    Args:
        place: Where in the state it goes; empty to take its fields for channels. Or a plan of it.
        declared: Its type; `None` for any JSON.
        state_type: The declaration of the state, for types that a dict of a state does not tell.
        node: The node's name, for errors.
        model: A chat model, or where in `configurable` one is, for what a plan cannot tell.

    Attributes:
        what: `output`.
        path: Where it goes, as it was given; `None` if it is by a plan.
        plan: The plan; of a path it is one of one rule.
        declared: Its type, as it was given.

    Raises:
        NodeConfigurationError: If the path or the type cannot be used.
    """

    def __init__(
        self,
        place: str | MappingPlan,
        declared: Any,
        state_type: Any,
        node: str,
        model: Any = None,
    ) -> None:
        self.what = "output"
        self.path = place if isinstance(place, str) else None
        self.plan: Plan = _plan("output", place, node, state_type)
        self.declared = declared
        _adapter("output_type", declared, node)
        self._node = node
        self._model = model

    def names_in(self, state: Any) -> tuple[str, ...]:
        """What the channel that it goes to may be called; empty if the answer says which it is."""
        if not self.path:
            return ()
        first = str(self.plan.writes[0].steps[0])
        return (first,) if isinstance(state, Mapping) else schema.names_of(type(state), first)

    def put(self, state: Any, values: Any, config: RunnableConfig) -> Flow[dict[str, Any]]:
        """The changed channel, or channels; a model may have to be asked for some of it.

        Raises:
            NodeOutputError: If the answer does not fit.
            MappingError: If a plan's value cannot be made.
        """
        if not self.plan.semantic:
            return self.write(state, values, config)
        values = self._fitting(values)
        check = partial(self.plan.delta, state=state)
        answers = yield from _answers(
            "map_output", self.plan, self._model, check, values, config, state=state
        )
        return self.plan.delta(values, config, state=state, answers=answers)

    def write(
        self, state: Any, values: Any, config: RunnableConfig | None = None
    ) -> dict[str, Any]:
        """The change, without asking anybody; the state itself stays as it is. See `put`."""
        values = self._fitting(values)
        try:
            return self.plan.delta(values, config, state=state)
        except MappingError:
            raise
        except NodeError as error:
            problem = f"output_path: {error}"
            if self.path == "" and isinstance(error, StateWriteError) and not error.path:
                problem = (
                    "the agent's answer must be an object, whose fields go to the channels of their names: "
                    f"{error.reason}. If it is to go elsewhere, give the node an output_path"
                )
            raise NodeOutputError(problem, node=self._node) from None

    def _fitting(self, values: Any) -> Any:
        try:
            return values if self.declared is None else validation.validate(self.declared, values)
        except ValidationError as error:
            raise NodeOutputError(
                f"the agent's answer is no {_name(self.declared)}: {describe_faults(error)}",
                node=self._node,
            ) from None


def input_of(
    node: str, plan: Any, path: str | None, declared: Any, state_type: Any, model: Any
) -> InputPort:
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
    from acp_langgraph.mapping import compile_input  # noqa: PLC0415 - only with a plan
    from acp_langgraph.mapping.asking import refuse_without_model  # noqa: PLC0415 - as above

    whole = compile_input(plan, state=state_type, agent=declared, name=f"{node}.input")
    refuse_without_model(whole, model)
    return InputPort("input", whole, declared, node, model)


def output_of(
    node: str, plan: Any, path: str | None, declared: Any, state_type: Any, model: Any
) -> OutputPort:
    """The output that a node was given; see `input_of`."""
    if plan is None:
        return OutputPort(path or "", declared, state_type, node)
    if path is not None:
        raise NodeConfigurationError("give either output or output_path, not both", node=node)
    from acp_langgraph.mapping import compile_output  # noqa: PLC0415 - only with a plan
    from acp_langgraph.mapping.asking import refuse_without_model  # noqa: PLC0415 - as above

    whole = compile_output(plan, state=state_type, agent=declared, name=f"{node}.output")
    refuse_without_model(whole, model)
    return OutputPort(whole, declared, state_type, node, model)


def _answers(
    step: str,
    plan: Any,
    model: Any,
    check: Callable[..., Any],
    source: Any,
    config: RunnableConfig,
    **more: Any,
) -> Flow[dict[str, Any]]:
    """What a model says of the fields that rules cannot tell."""
    from acp_langgraph.mapping import aask, ask  # noqa: PLC0415 - only with such fields

    asked = (plan, source, config)
    options = {"model": model, "check": check, **more}

    def body() -> Flow[dict[str, Any]]:
        return (yield from Work(partial(ask, *asked, **options), partial(aask, *asked, **options)))

    return (yield from Step(step, body))


def describe_faults(error: ValidationError) -> str:
    """Pydantic's findings in one line, without the values."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'it'}: {_said(fault)}"
        for fault in error.errors(include_url=False, include_context=False)[:5]
    )


def _said(fault: Any) -> str:
    if isinstance(fault["input"], SECRETS):
        return f"{fault['msg']}, and it is a {type(fault['input']).__name__}"
    return str(fault["msg"])


def _plan(what: str, place: str | MappingPlan, node: str, state_type: Any = None) -> Plan:
    if not isinstance(place, str):
        return place
    try:
        return PathPlan(place, state_type)
    except NodeConfigurationError as error:
        raise NodeConfigurationError(f"{what}_path: {error}", node=node) from None


def _adapter(what: str, declared: Any, node: str) -> TypeAdapter[Any] | None:
    if declared is None or declared is Any:
        return None
    if isinstance(declared, (str, bytes, int, float, list, dict)) or (
        not isinstance(declared, type) and _is_a_value(declared)
    ):
        raise NodeConfigurationError(
            f"{what} is a value of type {type(declared).__name__}, and no type itself; give a "
            "pydantic model, a TypedDict, a dataclass (the class, no object of it) or any other "
            "type, or None for any JSON",
            node=node,
        )
    return validation.adapter(declared)


def _is_a_value(declared: Any) -> bool:
    """Whether it is an object that pydantic cannot take for a type and would check nothing by."""
    return isinstance(declared, BaseModel) or is_dataclass(declared) or isroutine(declared)


def _name(declared: Any) -> str:
    return getattr(declared, "__name__", None) or str(declared)
