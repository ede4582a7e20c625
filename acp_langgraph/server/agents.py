"""The agents of a server: compiled graphs with a name, an id, a descriptor and a checkpointer.

An agent's id is derived from its name and version, so that clients may keep it across restarts and
hosts. Its descriptor is made from the graph's own schemas and checked before anything is served.

A run can only be interrupted and resumed, and a thread only have a state, with a checkpointer. A
graph compiled without one is given the server's, on a copy; the caller's graph stays as it is.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    is_typeddict,
)
from uuid import UUID, uuid5

import typing_extensions
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.pregel import Pregel
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from typing_extensions import get_type_hints

from acp_langgraph.acp.agents import validate_descriptor
from acp_langgraph.acp.models import (
    Agent,
    AgentACPDescriptor,
    AgentACPSpec,
    AgentCapabilities,
    AgentMetadata,
    AgentRef,
    InterruptSpec,
    StreamingCapabilities,
)
from acp_langgraph.errors import ACPDescriptorValidationException
from acp_langgraph.server.wire import Check, JsonSchema, not_found

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


_NAMESPACE: Final = UUID("6f2b7f0e-0d4f-5a36-9a2c-6c1f0c3f7d11")
_ANYTHING: Final[JsonSchema] = {}


@dataclass(frozen=True, slots=True)
class AgentInterrupt:
    """A kind of question that an agent may ask.

    Attributes:
        name: Names the kind; unique within the agent.
        payload: Type or JSON Schema of the question.
        resume: Type or JSON Schema of the answer.
    """

    name: str
    payload: Any = field(default_factory=dict)
    resume: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServedAgent:
    """A graph and what is said of it.

    Attributes:
        name: The agent's name.
        graph: A compiled LangGraph graph.
        version: The agent's version, semantic.
        description: What the agent is for.
        interrupts: The questions it may ask. `None` says that it may ask anything; an empty
            sequence says that it never asks.
        custom_update: Type or JSON Schema of what the graph writes to its custom stream. The
            protocol has objects there: anything else is sent as `{"value": ...}`.
        agent_id: A UUID; by default derived from name and version.
    """

    name: str
    graph: Graph
    version: str = "1.0.0"
    description: str = ""
    interrupts: Sequence[AgentInterrupt] | None = None
    custom_update: Any = field(default_factory=dict)
    agent_id: str | None = None

    @property
    def id(self) -> str:
        """The agent's id on the wire.

        Raises:
            ValueError: If the one given is no UUID.
        """
        return _agent_id(self)


class HostedAgent:
    """An agent as the server runs it.

    Attributes:
        agent_id: The agent's id.
        graph: The graph, with a checkpointer.
        saver: That checkpointer.
        descriptor: What the agent says of itself.
    """

    def __init__(
        self, served: ServedAgent, saver: BaseCheckpointSaver[Any], *, callbacks: bool
    ) -> None:
        """Take an agent in.

        Raises:
            ACPDescriptorValidationException: If its descriptor cannot be made or contradicts itself.
        """
        self.agent_id = _agent_id(served)
        own = served.graph.checkpointer
        self.saver = own if isinstance(own, BaseCheckpointSaver) else saver
        self.graph: Graph = served.graph.copy({"checkpointer": self.saver})
        self.descriptor = _descriptor(served, callbacks=callbacks)
        validate_descriptor(self.descriptor)
        specs = self.descriptor.specs
        self._input = Check("input", specs.input)
        self._config = Check("config.configurable", specs.config)
        self._may_be_unconfigured = self._config.fits({})
        self._resumes = [
            (Check("interrupt", each.interrupt_payload), Check("resume", each.resume_payload))
            for each in specs.interrupts or ()
        ]

    @property
    def listed(self) -> Agent:
        """The agent as listings show it."""
        return Agent(agent_id=self.agent_id, metadata=self.descriptor.metadata)

    def checked_input(self, value: Any) -> Any:
        """The input of a run; where none was sent, an empty object.

        Raises:
            Problem: 422, if it does not fit the descriptor.
        """
        value = {} if value is None else value
        self._input.demand(value)
        return value

    def check_configurable(self, value: Any) -> None:
        """Check the agent's own configuration of a run; where none was sent, an empty object.

        Raises:
            Problem: 422, if it does not fit the descriptor.
        """
        if value is not None or not self._may_be_unconfigured:
            self._config.demand({} if value is None else value)

    def check_answer(self, question: Any, schema: JsonSchema | None, answer: Any) -> None:
        """Check an answer against what the question itself, or else the descriptor, asks for.

        A question that fits several declared kinds may be answered as any of them.

        Raises:
            Problem: 422, if the answer fits none.
        """
        checks = self._checks(question, schema)
        if checks and not any(each.fits(answer) for each in checks):
            checks[0].demand(answer)

    def answer_faults(
        self, question: Any, schema: JsonSchema | None, answer: Any
    ) -> list[tuple[tuple[str | int, ...], str]]:
        """What `check_answer` would refuse, place by place."""
        checks = self._checks(question, schema)
        if not checks or any(each.fits(answer) for each in checks):
            return []
        return checks[0].faults(answer)

    def answer_schema(self, question: Any, schema: JsonSchema | None) -> JsonSchema | None:
        """What `check_answer` checks by, where that is one schema."""
        known = [each.schema for each in self._checks(question, schema)]
        return known[0] if len(known) == 1 and known[0] else None

    def input_faults(self, value: Any) -> list[tuple[tuple[str | int, ...], str]]:
        """What `checked_input` would refuse, place by place."""
        return self._input.faults(value)

    def configurable_faults(self, value: Any) -> list[tuple[tuple[str | int, ...], str]]:
        """What `check_configurable` would refuse, place by place."""
        return self._config.faults(value)

    def _checks(self, question: Any, schema: JsonSchema | None) -> list[Check]:
        if schema is not None:
            return [Check("resume", schema)]
        return [resume for payload, resume in self._resumes if payload.fits(question)]


class Registry:
    """The agents of one server, in the order given; the first is the default agent."""

    def __init__(
        self,
        agents: Mapping[str, Graph] | Sequence[ServedAgent],
        saver: BaseCheckpointSaver[Any],
        *,
        callbacks: bool = True,
    ) -> None:
        served = _served(agents)
        if not served:
            raise ValueError("there is no agent to serve; name at least one graph")
        self._agents: dict[str, HostedAgent] = {}
        for each in served:
            hosted = HostedAgent(each, saver, callbacks=callbacks)
            if hosted.agent_id in self._agents:
                raise ValueError(
                    f"two agents have the id {hosted.agent_id} ({each.name!r} in version "
                    f"{each.version}); give one of them another name, version or agent_id"
                )
            self._agents[hosted.agent_id] = hosted

    def __iter__(self) -> Iterator[HostedAgent]:
        return iter(self._agents.values())

    def find(self, agent_id: str) -> HostedAgent | None:
        """The agent of an id, if it is served."""
        return self._agents.get(agent_id.lower())

    def get(self, agent_id: str | None) -> HostedAgent:
        """The agent of an id; without one, the default agent.

        Raises:
            Problem: 404, if there is no such agent.
        """
        if agent_id is None:
            return next(iter(self))
        agent = self.find(agent_id)
        if agent is None:
            raise not_found("agent", agent_id)
        return agent


def _served(agents: Any) -> list[ServedAgent]:
    """The agents as they were given, once it is certain that they can be served.

    Raises:
        TypeError: If something is no compiled graph, or has no name.
    """
    if isinstance(agents, Mapping):
        served = [ServedAgent(name, graph) for name, graph in agents.items()]
    elif isinstance(agents, Sequence) and not isinstance(agents, str):
        served = list(agents)
    else:
        raise TypeError(
            f"graphs are served by name, as in {{'mailcomposer': graph}}; got "
            f"{type(agents).__name__}"
        )
    for each in served:
        if not isinstance(each, ServedAgent):
            raise TypeError(
                "a list is one of ServedAgent(name, graph), or give a dict of graphs by name; got "
                f"{type(each).__name__} in it"
            )
        if not isinstance(each.graph, Pregel):
            raise TypeError(f"agent {each.name!r}: {_no_graph(each.graph)}")
    return served


def _no_graph(given: Any) -> str:
    if callable(getattr(given, "compile", None)):
        return f"its graph is a {type(given).__name__} that is not compiled; serve graph.compile()"
    if isinstance(given, str):
        return (
            "a text is no graph; give the compiled graph itself, or serve a file by the command "
            "acp-langgraph serve my_agents.py:graph"
        )
    return f"what is served is a compiled LangGraph graph, not a {type(given).__name__}"


def _agent_id(served: ServedAgent) -> str:
    if served.agent_id is None:
        return str(uuid5(_NAMESPACE, f"{served.name}@{served.version}"))
    try:
        return str(UUID(served.agent_id))
    except ValueError:
        raise ValueError(
            f"agent {served.name!r}: agent_id must be a UUID, got {served.agent_id!r}; "
            "leave it out to have one derived from name and version"
        ) from None


def _descriptor(served: ServedAgent, *, callbacks: bool) -> AgentACPDescriptor:
    graph, faults = served.graph, list[str]()

    def schema(place: str, made: Any, *arguments: Any) -> JsonSchema:
        try:
            return made(*arguments)  # type: ignore[no-any-return]  # the makers return schemas
        except (PydanticUserError, ValueError, TypeError, RecursionError) as error:
            faults.append(f"{place} cannot be written as a JSON Schema: {str(error)[:300]}")
            return _ANYTHING

    declared = served.interrupts
    if declared is None:
        declared = [AgentInterrupt("interrupt")]
    descriptor = AgentACPDescriptor(
        metadata=AgentMetadata(
            ref=AgentRef(name=served.name, version=served.version),
            description=served.description,
        ),
        specs=AgentACPSpec(
            capabilities=AgentCapabilities(
                threads=True,
                interrupts=bool(declared),
                callbacks=callbacks,
                streaming=StreamingCapabilities(values=True, custom=True),
            ),
            input=schema("input", input_schema, graph),
            output=schema("output", output_schema, graph),
            config=schema("config", config_schema, graph),
            custom_streaming_update=_as_object(
                schema("custom_update", schema_of, served.custom_update)
            ),
            thread_state=schema("thread_state", state_schema, graph),
            interrupts=[
                InterruptSpec(
                    interrupt_type=each.name,
                    interrupt_payload=schema(f"{each.name}.payload", schema_of, each.payload),
                    resume_payload=schema(f"{each.name}.resume", schema_of, each.resume),
                )
                for each in declared
            ],
        ),
    )
    if faults:
        raise ACPDescriptorValidationException(f"agent {served.name!r} {served.version}", faults)
    return descriptor


def _as_object(schema: JsonSchema) -> JsonSchema:
    if schema.get("type", "object") == "object":
        return schema
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    inner = {name: rule for name, rule in schema.items() if name != "$defs"}
    return {
        "type": "object",
        "properties": {"value": inner},
        "required": ["value"],
        **definitions,
    }
