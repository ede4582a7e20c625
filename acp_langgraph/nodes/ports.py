"""Where a node takes its input from the state, and where it puts the answer.

Here by a path, which is the simple case; `acp_langgraph.nodes.planned` does it by mapping plans.

LangGraph drops what a node returns for a channel that the state does not have, without a word: a
misspelt `output_path` would lose the answer of a run that was paid for. Which channels there are, and
whether it is the graph itself that takes the node's change (and not a function that calls the node),
is told by private names only (`acp_langgraph.nodes.langgraph`); where they tell nothing, nothing is
refused. The function that makes tasks was made for the task, whose `proc` is the node and what writes
for it; the one that reads the state holds the channels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from functools import partial
from inspect import isroutine
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from typing_extensions import is_typeddict

from acp_langgraph.core.flow import Flow
from acp_langgraph.core.wire import SECRETS, UnsendableError, plain, sendable, unsendable
from acp_langgraph.errors import NodeConfigurationError, NodeError, NodeInputError, NodeOutputError
from acp_langgraph.mapping import schema, validation
from acp_langgraph.mapping.access import near
from acp_langgraph.mapping.paths import StatePath

if TYPE_CHECKING:
    from acp_langgraph.mapping import MappingPlan


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
    """Reads JSON from a place in the state.

    Args:
        what: `input` or `config`, for errors.
        path: Where in the state it is; empty for the whole state.
        declared: Its type; `None` for any JSON.
        node: The node's name, for errors.

    Attributes:
        path: Where it is, as it was given.
        declared: Its type, as it was given.

    Raises:
        NodeConfigurationError: If the path or the type cannot be used.
    """

    def __init__(self, what: str, path: str, declared: Any, node: str) -> None:
        self.what = what
        self._node = node
        self._path = _parse(f"{what}_path", path, node)
        self.declared = declared
        self._adapter = _adapter(f"{what}_type", declared, node)
        self.path = path
        self.plan: MappingPlan | None = None

    def take(self, state: Any, _: Any) -> Flow[Any]:
        """`read` as a flow, as an input by a plan is one."""
        yield from ()
        return self.read(state)

    def read(self, state: Any) -> Any:
        """The JSON to send.

        Raises:
            NodeInputError: If the state has no such place, or what is there does not fit.
        """
        try:
            value = self._path.read(state)
        except NodeError as error:
            raise NodeInputError(f"{self.what}_path: {error}", node=self._node) from None
        try:
            if self._adapter is None:
                return sendable(plain(value))
            fitting = validation.validate(self.declared, value)
            if is_typeddict(self.declared):
                # The type says what the agent gets to see, be it of the whole state.
                known = self.declared.__annotations__
                fitting = {name: each for name, each in fitting.items() if name in known}
            adapter = self._adapter
            made = plain(
                fitting,
                dump=lambda mode: adapter.dump_python(
                    fitting, mode=mode, by_alias=True, warnings="error"
                ),
                declares=partial(schema.declares_secret, self.declared),
            )
            return sendable(made)
        except ValidationError as error:
            raise NodeInputError(self._refusal(describe_faults(error)), node=self._node) from None
        except UnsendableError as error:
            raise NodeInputError(self._refusal(str(error)), node=self._node) from None
        except (PydanticSerializationError, ValueError):
            found = unsendable(value) or f"it is of type {type(value).__name__}"
            problem = f"{found}, and cannot be sent as JSON"
            raise NodeInputError(self._refusal(problem), node=self._node) from None

    def _refusal(self, problem: str) -> str:
        place = f"at {str(self._path)!r} " if self._path.steps else ""
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

    def read(self, state: Any) -> Any:  # noqa: ARG002 - the base's
        """The JSON to send."""
        return self._value


class OutputPort:
    """Turns an agent's answer into the node's update of the state.

    Args:
        path: Where in the state it goes; empty to take its fields for channels.
        declared: Its type; `None` for any JSON.
        state_type: The declaration of the state, for types that a dict of a state does not tell.
        node: The node's name, for errors.

    Attributes:
        path: Where it goes, as it was given.
        declared: Its type, as it was given.

    Raises:
        NodeConfigurationError: If the path or the type cannot be used.
    """

    def __init__(self, path: str, declared: Any, state_type: Any, node: str) -> None:
        self._node = node
        self._path = _parse("output_path", path, node)
        self.declared = declared
        _adapter("output_type", declared, node)
        self._state_type = state_type
        self.path = path
        self.plan: MappingPlan | None = None

    def names_in(self, state: Any) -> tuple[str, ...]:
        """What the channel that it goes to may be called; empty if the answer says which it is."""
        if not self._path.steps:
            return ()
        first = str(self._path.steps[0])
        return (first,) if isinstance(state, Mapping) else schema.names_of(type(state), first)

    def put(self, state: Any, values: Any, _: Any) -> Flow[dict[str, Any]]:
        """`write` as a flow, as an output by a plan is one."""
        yield from ()
        return self.write(state, values)

    def write(self, state: Any, values: Any) -> dict[str, Any]:
        """The changed channel, or channels; the state itself stays as it is.

        Raises:
            NodeOutputError: If the answer does not fit.
        """
        try:
            value = values if self.declared is None else validation.validate(self.declared, values)
        except ValidationError as error:
            raise NodeOutputError(
                f"the agent's answer is no {_name(self.declared)}: {describe_faults(error)}",
                node=self._node,
            ) from None
        try:
            return self._path.write(state, value, self._state_type)
        except NodeError as error:
            raise NodeOutputError(f"output_path: {error}", node=self._node) from None


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


def _parse(what: str, path: str, node: str) -> StatePath:
    try:
        return StatePath.parse(path)
    except NodeConfigurationError as error:
        raise NodeConfigurationError(f"{what}: {error}", node=node) from None


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
