"""JSON Schemas of a graph's input, output, state and config, as clients need them.

LangGraph generates most of it. Three things are corrected, each because the schema as generated
would refuse what the graph itself takes:

* A TypedDict state lists every channel as required, yet a graph runs on any part of its state and
  returns only what was set. Nothing is required, unless the graph declares an input or output
  schema of its own.
* A chat message is one of a dozen classes, told apart by `oneOf`; the usual {"role", "content"}
  fits several. `anyOf` says what is meant.
* Below Python 3.12 pydantic refuses `typing.TypedDict`; such types are rebuilt with
  `typing_extensions`.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable
from typing import Any, NotRequired, Required, TypeAlias, Union, get_args, get_origin, is_typeddict

import typing_extensions
from langgraph.pregel import Pregel
from pydantic import TypeAdapter
from typing_extensions import get_type_hints

__all__ = [
    "JsonSchema",
    "config_schema",
    "input_schema",
    "output_schema",
    "schema_of",
    "state_schema",
]

JsonSchema: TypeAlias = dict[str, Any]
Graph: TypeAlias = Pregel[Any, Any, Any, Any]


def schema_of(kind: Any) -> JsonSchema:
    """The JSON Schema of a pydantic model, TypedDict, dataclass, any other type, or itself."""
    if isinstance(kind, dict):
        return kind
    return _with_loose_messages(TypeAdapter(_readable(kind)).json_schema())


def input_schema(graph: Graph) -> JsonSchema:
    """What a graph takes."""
    return _channel_schema(graph, "input_schema", graph.get_input_jsonschema)


def output_schema(graph: Graph) -> JsonSchema:
    """What a graph returns."""
    return _channel_schema(graph, "output_schema", graph.get_output_jsonschema)


def state_schema(graph: Graph) -> JsonSchema:
    """What a thread's state looks like."""
    return _channel_schema(graph, "state_schema", graph.get_output_jsonschema)


def config_schema(graph: Graph) -> JsonSchema:
    """What a graph takes as `config.configurable`: its context schema, else any object."""
    return schema_of(graph.context_schema) if graph.context_schema else {"type": "object"}


def _channel_schema(graph: Graph, side: str, generated: Callable[[], JsonSchema]) -> JsonSchema:
    builder = getattr(graph, "builder", None)  # a StateGraph's; the functional API has none
    kind = getattr(builder, side, None)
    if not is_typeddict(kind):
        return _with_loose_messages(generated())
    schema = schema_of(kind)
    if kind is getattr(builder, "state_schema", None):
        schema.pop("required", None)
    return schema


def _with_loose_messages(schema: Any) -> Any:
    match schema:
        case {"oneOf": [*choices], **rest} if {"$ref": "#/$defs/HumanMessage"} in choices:
            rest.pop("discriminator", None)
            return {**{k: _with_loose_messages(v) for k, v in rest.items()}, "anyOf": choices}
        case dict():
            return {key: _with_loose_messages(value) for key, value in schema.items()}
        case list():
            return [_with_loose_messages(value) for value in schema]
        case _:
            return schema


def _readable(kind: Any) -> Any:
    """The same type, without a `typing.TypedDict` anywhere in it."""
    if sys.version_info >= (3, 12):
        return kind
    if is_typeddict(kind):
        return _rebuilt(kind)
    if isinstance(kind, list):  # the parameters of a Callable
        return [_readable(argument) for argument in kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if not arguments or origin is typing.Literal:
        return kind
    if origin is typing.Annotated:
        return typing.Annotated[_readable(arguments[0]), *kind.__metadata__]
    changed = tuple(map(_readable, arguments))
    if changed == arguments:
        return kind
    if origin is types.UnionType:
        return Union[changed]  # noqa: UP007 - the members are only known here
    return origin[changed[0] if len(changed) == 1 else changed]


def _rebuilt(kind: Any) -> Any:
    fields = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        fields[name] = _readable(hint)
        if get_origin(hint) not in {Required, NotRequired}:
            needed = Required if name in kind.__required_keys__ else NotRequired
            fields[name] = needed[fields[name]]
    return typing_extensions.TypedDict(kind.__name__, fields)  # type: ignore[operator]  # functional form
