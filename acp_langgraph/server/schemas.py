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
from collections.abc import Callable
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    is_typeddict,
)

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
    return _loosened(TypeAdapter(_readable(kind)).json_schema())


def input_schema(graph: Graph) -> JsonSchema:
    """What a graph takes."""
    return _side(graph, "input_schema", graph.get_input_jsonschema)


def output_schema(graph: Graph) -> JsonSchema:
    """What a graph returns."""
    return _side(graph, "output_schema", graph.get_output_jsonschema)


def state_schema(graph: Graph) -> JsonSchema:
    """What the state of a thread looks like."""
    kind = _declared(graph, "state_schema")
    return _side(
        graph,
        "state_schema",
        graph.get_output_jsonschema if kind is None else lambda: schema_of(kind),
    )


def config_schema(graph: Graph) -> JsonSchema:
    """What a graph takes as `config.configurable`: its context schema, else any object."""
    return schema_of(graph.context_schema) if graph.context_schema else {"type": "object"}


def _side(graph: Graph, side: str, generated: Callable[[], JsonSchema]) -> JsonSchema:
    kind = _declared(graph, side)
    if not is_typeddict(kind):
        return _loosened(generated())
    schema = schema_of(kind)
    if kind is _declared(graph, "state_schema"):
        schema.pop("required", None)
    return schema


def _declared(graph: Graph, side: str) -> Any:
    # A StateGraph's builder knows the types; a graph of the functional API has none.
    return getattr(getattr(graph, "builder", None), side, None)


def _loosened(schema: JsonSchema) -> JsonSchema:
    loose = {key: _loosened_value(value) for key, value in schema.items()}
    if {"$ref": "#/$defs/HumanMessage"} in schema.get("oneOf", ()):
        loose["anyOf"] = loose.pop("oneOf")
        loose.pop("discriminator", None)
    return loose


def _loosened_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _loosened(value)
    return list(map(_loosened_value, value)) if isinstance(value, list) else value


def _readable(kind: Any) -> Any:
    """The same type, without a `typing.TypedDict` anywhere in it."""
    if sys.version_info >= (3, 12):
        return kind
    if is_typeddict(kind):
        return _rebuilt(kind)
    if isinstance(kind, list):  # the parameters of a Callable
        return list(map(_readable, kind))
    return _with_readable_arguments(kind)


def _with_readable_arguments(kind: Any) -> Any:
    origin: Any = get_origin(kind)
    arguments = get_args(kind)
    if not arguments or origin is Literal:
        return kind
    if origin is Annotated:
        return Annotated[_readable(arguments[0]), *kind.__metadata__]
    readable = tuple(map(_readable, arguments))
    if readable == arguments:
        return kind
    if origin is UnionType:
        return Union[readable]  # noqa: UP007 - the members are only known here
    return origin[readable[0] if len(readable) == 1 else readable]


def _rebuilt(kind: Any) -> Any:
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        fields[name] = _readable(hint)
        said: Any = get_origin(hint)
        if said not in {Required, NotRequired}:
            needed: Any = Required if name in kind.__required_keys__ else NotRequired
            fields[name] = needed[fields[name]]
    return typing_extensions.TypedDict(kind.__name__, fields)  # type: ignore[operator]  # functional form
