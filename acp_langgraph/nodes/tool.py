"""A remote agent as a LangChain tool, for a model to call.

What identifies a call, and what it has to do with the graph around it, is in
`acp_langgraph.nodes.tool_calls`. Here is what a model sees: name, description, arguments, result.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Never, NoReturn, TypedDict

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool, ToolException
from langgraph.errors import GraphInterrupt
from langgraph.graph import START, StateGraph
from pydantic import BaseModel, PrivateAttr, create_model
from typing_extensions import override

from acp_langgraph.core.wire import plain
from acp_langgraph.errors import (
    AcpLangGraphError,
    CheckpointerRequiredError,
    NodeConfigurationError,
    UnknownOutcomeError,
)
from acp_langgraph.json_schema.types import type_from_json_schema
from acp_langgraph.mapping import schema, validation
from acp_langgraph.nodes.drawing import refuse_fallbacks
from acp_langgraph.nodes.ports import OutputPort
from acp_langgraph.nodes.tool_calls import ToolCall

if TYPE_CHECKING:
    from acp_langgraph.nodes.base import RemoteNode


ARGUMENTS: Final = "arguments"
"""Where in the state of a call the agent's input is."""

ANSWER: Final = "answer"
"""Where in the state of a call the agent's answer goes."""

_ONLY: Final = "input"
_NOT_FOR_MODELS: Final = (CheckpointerRequiredError, NodeConfigurationError, UnknownOutcomeError)


class _Called(TypedDict, total=False):
    """The state of a call."""

    arguments: Any
    answer: Any


class AnswerPort(OutputPort):
    """Takes an agent's answer as the result of a call: JSON, checked against its declared type.

    Args:
        declared: Its type; `None` for any JSON.
        node: The node's name, for errors.
    """

    def __init__(self, declared: Any, node: str) -> None:
        super().__init__(ANSWER, declared, None, node)

    def write(
        self, state: Any, values: Any, config: RunnableConfig | None = None
    ) -> dict[str, Any]:
        """The answer as it came, once it is certain that it fits.

        Raises:
            NodeOutputError: If it does not.
        """
        super().write(state, values, config)
        return {ANSWER: values}


@dataclass(frozen=True, slots=True)
class ToolSide:
    """What a tool is made from.

    Attributes:
        node: The node, made to read `ARGUMENTS` and to write `ANSWER`.
        takes: The type, or the JSON Schema, of what the agent takes; `None` if it is not known.
        description: What the agent does, for a model.
    """

    node: RemoteNode
    takes: Any
    description: str


class RemoteTool(BaseTool):
    """A remote agent that a model may call; made by `as_tool` of a node.

    In a graph with a checkpointer one call is one remote run, whatever dies in between; calls are
    told apart by the ids that the model gives them. What the agent asks becomes the graph's
    interrupt. Where several calls of one message ask, all questions are put at once, to be answered
    with `Command(resume={id: answer, ...})`.

    Outside of a graph, `tool.invoke({...})` calls the agent, and its questions are refused.

    A wrapper or middleware that calls again with the same id and arguments gets the same run.

    The result is the agent's text, or its answer as JSON; the answer itself is the message's
    `artifact`. Arguments that do not fit are a `pydantic.ValidationError`, which `ToolNode` tells the
    model. What goes wrong remotely is raised; with `tool.handle_tool_error = True`, or
    `ToolNode(..., handle_tool_errors=True)`, the model is told that as well.
    """

    response_format: Any = "content_and_artifact"

    _node: Any = PrivateAttr()
    _arguments: Any = PrivateAttr()
    _graph: Any = PrivateAttr()

    def __init__(self, node: RemoteNode, arguments: Arguments, **fields: Any) -> None:
        super().__init__(args_schema=arguments.schema, **fields)
        self._node = node
        self._arguments = arguments
        builder: StateGraph[Any, Any, Any, Any] = StateGraph(_Called)
        builder.add_node(node.name, node).add_edge(START, node.name)
        self._graph = builder.compile(name=self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Made again of what it was made of: graphs, and types that were made here, cannot be pickled."""
        fields = {each: getattr(self, each) for each in self.model_fields_set - {"args_schema"}}
        return _made_again, (type(self), self._node, self._arguments, fields)

    @override
    def with_fallbacks(self, *_: Any, **__: Any) -> NoReturn:
        """Refused, as of a node."""
        refuse_fallbacks(self.name)

    @override
    def _to_args_and_kwargs(
        self, tool_input: str | dict[str, Any], tool_call_id: str | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self._arguments.read(tool_input), tool_call_id), {}

    @override
    def _run(self, arguments: Any, tool_call_id: str | None) -> tuple[str, Any]:
        config = ensure_config()
        call = ToolCall.begin(self.name, tool_call_id, arguments, config)
        state = {ARGUMENTS: arguments}
        if call is None:
            return self._result(self._performed_alone(state, config))
        asked: Any = ()
        try:
            return self._result(self._performed(call, state))
        except GraphInterrupt as interrupt:
            asked = interrupt.args[0]
        finally:
            others = call.leave(asked)
        others.result()
        raise call.beside.question()

    @override
    async def _arun(self, arguments: Any, tool_call_id: str | None) -> tuple[str, Any]:
        config = ensure_config()
        call = ToolCall.begin(self.name, tool_call_id, arguments, config)
        state = {ARGUMENTS: arguments}
        if call is None:
            return self._result(await self._aperformed_alone(state, config))
        asked: Any = ()
        try:
            return self._result(await self._aperformed(call, state))
        except GraphInterrupt as interrupt:
            asked = interrupt.args[0]
        finally:
            others = call.leave(asked)
        await asyncio.shield(asyncio.wrap_future(others))
        raise call.beside.question()

    def _performed_alone(self, state: Any, config: RunnableConfig) -> Any:
        try:
            return self._node.invoke(state, config)
        except AcpLangGraphError as error:
            self._raise(error)

    async def _aperformed_alone(self, state: Any, config: RunnableConfig) -> Any:
        try:
            return await self._node.ainvoke(state, config)
        except AcpLangGraphError as error:
            self._raise(error)

    def _performed(self, call: ToolCall, state: Any) -> Any:
        if call.before is not None:
            call.before.result()
        if call.saver is None:
            return self._performed_alone(state, call.config)
        config = call.config
        if call.is_answered():
            found = [call.saver.get_tuple(place) for place in call.asked_in]
            config = call.with_its_answers(*found)
        try:
            return self._graph.invoke(state, config)
        except AcpLangGraphError as error:
            self._raise(error)

    async def _aperformed(self, call: ToolCall, state: Any) -> Any:
        if call.before is not None:
            await asyncio.shield(asyncio.wrap_future(call.before))
        if call.saver is None:
            return await self._aperformed_alone(state, call.config)
        config = call.config
        if call.is_answered():
            found = [await call.saver.aget_tuple(place) for place in call.asked_in]
            config = call.with_its_answers(*found)
        try:
            return await self._graph.ainvoke(state, config)
        except AcpLangGraphError as error:
            self._raise(error)

    def _raise(self, error: AcpLangGraphError) -> Never:
        """Raise an error; in a form that `handle_tool_error` covers, if the model may be told."""
        if self.handle_tool_error and not isinstance(error, _NOT_FOR_MODELS):
            raise ToolException(str(error)) from error
        raise error

    def _result(self, state: Mapping[str, Any]) -> tuple[str, Any]:
        answer = state.get(ANSWER)
        return _text(answer), answer


@dataclass(frozen=True, slots=True)
class NamedTypes:
    """The types of a tool's arguments, by their names."""

    name: str
    types: Mapping[str, type]

    def model(self) -> type[BaseModel]:
        """The model that they make up."""
        fields: dict[str, Any] = {each: (kind, ...) for each, kind in self.types.items()}
        made: type[BaseModel] = create_model(self.name, **fields)
        return made


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a model gives a tool.

    Attributes:
        schema: What the model is told: a pydantic model, or a JSON Schema of an object.
        declared: The type that the arguments are checked against.
        only: The name of the one argument that is the agent's whole input, where that is no object.
        takes: What it was made of.
    """

    schema: Any
    declared: Any
    only: str | None = None
    takes: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Types that were made here are made again elsewhere."""
        return Arguments.of, (self.takes,)

    @classmethod
    def of(cls, takes: Any) -> Arguments:
        """The arguments for what an agent takes: a type, a JSON Schema, or types by name."""
        made = cls._of(takes.model() if isinstance(takes, NamedTypes) else takes)
        return replace(made, takes=takes)

    @classmethod
    def _of(cls, takes: Any) -> Arguments:
        declared = takes
        if isinstance(takes, Mapping):
            declared = type_from_json_schema(takes, "arguments")
        schema = validation.json_schema(takes)
        if _is_object(schema):
            if isinstance(takes, type) and issubclass(takes, BaseModel):
                return cls(takes, declared)
            return cls({"type": "object", "properties": {}, **schema}, declared)
        definitions = {each: schema[each] for each in ("$defs", "definitions") if each in schema}
        inner = {each: schema[each] for each in schema if each not in definitions}
        whole = {"type": "object", "properties": {_ONLY: inner}, "required": [_ONLY]}
        return cls({**whole, **definitions}, declared, _ONLY)

    def read(self, given: str | dict[str, Any]) -> Any:
        """The agent's input, as JSON.

        Raises:
            pydantic.ValidationError: If what the model gave does not fit.
        """
        value: Any = given
        if self.only is not None:
            value = given.get(self.only) if isinstance(given, dict) else given
        elif isinstance(given, str):
            (name, *others) = _names(self.schema) or [_ONLY]
            value = given if others else {name: given}
        if self.declared is not None:
            validation.validate(self.declared, value)
        return plain(value, declares=partial(schema.declares_secret, self.declared or Any))


def make_tool(
    side: ToolSide,
    args_schema: Any,
    name: str | None,
    description: str | None,
    arg_types: Mapping[str, Any] | None,
) -> RemoteTool:
    """The tool that a node is.

    Raises:
        NodeConfigurationError: If it is not known what the agent takes.
    """
    node = side.node
    takes: Any = args_schema
    if takes is None and arg_types:
        takes = NamedTypes(f"{_tool_name(node.name)}_arguments", dict(arg_types))
    if takes is None:
        takes = side.takes
    if takes is None:
        raise NodeConfigurationError(
            "it is not known what the agent takes, which a model must be told. Read the agent's "
            "descriptor first (node.describe() or await node.adescribe()), or give input_type, or "
            "as_tool(args_schema=...)",
            node=node.name,
        )
    return RemoteTool(
        node,
        Arguments.of(takes),
        name=_tool_name(name or node.name),
        description=description or side.description,
        metadata=node.metadata,
    )


def _made_again(
    kind: type[RemoteTool], node: RemoteNode, arguments: Arguments, fields: dict[str, Any]
) -> RemoteTool:
    return kind(node, arguments, **fields)


def _tool_name(node: str) -> str:
    """A name that models' providers accept: letters, digits, `_` and `-`, at most 64."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", node).strip("_")[:64] or "agent"


def _names(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        return list(schema.get("properties", ()))
    return list(schema.model_fields)


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def _text(answer: Any) -> str:
    """What a model reads of an answer."""
    match answer:
        case str():
            return answer
        case {"messages": [*_, last]} if said := _said(last):
            return said
        case {"result": str(said), "content_type": _} | {"text": str(said), "requestId": _}:
            return said  # of an API Bridge, and of a chat
    return json.dumps(answer, ensure_ascii=False)


def _said(message: Any) -> str:
    try:
        (found,) = convert_to_messages([message])
    except (ValueError, TypeError, KeyError, NotImplementedError):
        return ""
    return str(found.text) if isinstance(found, BaseMessage) else ""
