"""Finding a server's agents, what one says of itself, and whether its descriptor keeps the rules.

A descriptor that parses may still contradict itself: a capability without the schema it demands, a
schema without the capability, two interrupts of one name, a schema that is no JSON Schema. All
faults are reported at once. The rules are those of `AgentACPSpec` in ACP 0.2.3.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pydantic import ValidationError

from acp_langgraph.acp import calls
from acp_langgraph.acp.models import Agent, AgentACPDescriptor, AgentACPSpec
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.retry import with_retries
from acp_langgraph.core.wire import came
from acp_langgraph.errors import (
    ACPDescriptorValidationException,
    ApiConnectionError,
    ApiException,
    ForbiddenException,
    NotFoundException,
    OpenApiException,
    UnauthorizedException,
    UnexpectedStatusException,
    UnknownAgentError,
    UnreadableAnswerException,
)
from acp_langgraph.json_schema.reading import target

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


_NOWHERE = object()
_MOST_IN_SCHEMA = 20_000
_SCHEMAS = ("input", "output", "config", "thread_state", "custom_streaming_update")


def validate_descriptor(
    descriptor: AgentACPDescriptor | Mapping[str, Any],
) -> AgentACPDescriptor:
    """Check a descriptor against the rules of the specification.

    Args:
        descriptor: A descriptor, or the JSON object that stands for one.

    Returns:
        The descriptor.

    Raises:
        ACPDescriptorValidationException: If there are faults; it lists every one.
        ImportError: If `jsonschema` is not installed (extra `server`).
    """
    if isinstance(descriptor, AgentACPDescriptor):
        faults = list(descriptor_faults(descriptor))
    else:
        try:
            descriptor = AgentACPDescriptor.model_validate(descriptor)
            faults = list(descriptor_faults(descriptor))
        except ValidationError as error:
            raise ACPDescriptorValidationException(
                "the agent", [*_unreadable(error), *_raw_schema_faults(descriptor)]
            ) from None
    if faults:
        ref = descriptor.metadata.ref
        raise ACPDescriptorValidationException(f"agent {ref.name!r} {ref.version}", faults)
    return descriptor


def _unreadable(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        yield f"{'.'.join(map(str, fault['loc'])) or 'the descriptor'}: {fault['msg']}"


def _raw_schema_faults(descriptor: Any) -> Iterator[str]:
    """The faults of the schemas in what is no whole descriptor."""
    specs = descriptor.get("specs") if isinstance(descriptor, Mapping) else None
    for name in _SCHEMAS:
        schema = specs.get(name) if isinstance(specs, Mapping) else None
        if isinstance(schema, dict):
            yield from schema_faults(name, schema)


def descriptor_faults(descriptor: AgentACPDescriptor) -> Iterator[str]:
    """Every fault of a descriptor, a sentence each.

    Raises:
        ImportError: If `jsonschema` is not installed (extra `server`).
    """
    yield from contradictions(descriptor)
    for place, schema in _schemas(descriptor.specs):
        yield from schema_faults(place, schema)


def contradictions(descriptor: AgentACPDescriptor) -> Iterator[str]:
    """The faults of a descriptor that can be told without looking into its schemas."""
    if not descriptor.metadata.ref.name.strip():
        yield "metadata.ref.name is empty"
    if not descriptor.metadata.ref.version.strip():
        yield "metadata.ref.version is empty"
    yield from _capability_faults(descriptor.specs)


def _capability_faults(specs: AgentACPSpec) -> Iterator[str]:
    capabilities, streaming = specs.capabilities, specs.capabilities.streaming
    custom = bool(streaming and streaming.custom)
    if custom and specs.custom_streaming_update is None:
        yield "capabilities.streaming.custom is true, so custom_streaming_update must be there"
    if not custom and specs.custom_streaming_update is not None:
        yield "custom_streaming_update is there, but capabilities.streaming.custom is not true"
    if not capabilities.threads and specs.thread_state is not None:
        yield "thread_state is there, but capabilities.threads is not true"
    if capabilities.interrupts and not specs.interrupts:
        yield "capabilities.interrupts is true, so interrupts must name at least one"
    if not capabilities.interrupts and specs.interrupts:
        yield "interrupts are there, but capabilities.interrupts is not true"
    names = [interrupt.interrupt_type for interrupt in specs.interrupts or ()]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"interrupts has {names.count(name)} of the type {name!r}; a type is unique"
        if not name.strip():
            yield "interrupts has one whose interrupt_type is empty"


def _schemas(specs: AgentACPSpec) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in _SCHEMAS:
        schema = getattr(specs, name)
        if schema is not None:
            yield name, schema
    for index, interrupt in enumerate(specs.interrupts or ()):
        yield f"interrupts.{index}.interrupt_payload", interrupt.interrupt_payload
        yield f"interrupts.{index}.resume_payload", interrupt.resume_payload


def schema_faults(place: str, schema: dict[str, Any]) -> Iterator[str]:
    """Every fault of a JSON Schema that is to be used by itself; `place` names it."""
    if _is_large(schema):
        yield f"{place} has more than {_MOST_IN_SCHEMA} values, which is too much to check"
        return
    for error in _metaschema().iter_errors(schema):
        where = ".".join(map(str, error.absolute_path))
        yield f"{place} is no JSON Schema: {where + ': ' if where else ''}{error.message[:200]}"
    for reference in dict.fromkeys(_references(schema)):
        if target(schema, reference, _NOWHERE) is _NOWHERE:
            yield f"{place} refers to {reference!r}, which is not in it"


def _is_large(schema: Any) -> bool:
    """Whether a schema has so many values that whoever wrote it wants to keep its readers busy."""
    waiting, count = [schema], 0
    while waiting and count <= _MOST_IN_SCHEMA:
        here = waiting.pop()
        inner = here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
        count += len(inner)
        waiting += inner
    return count > _MOST_IN_SCHEMA


def _metaschema() -> Validator:
    try:
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - only servers need it
    except ImportError as error:
        raise ImportError(
            'checking a descriptor needs jsonschema: pip install "acp-langgraph[server]"'
        ) from error
    validator: Validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    return validator


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


_PAGE: Final = 100
_MOST_AGENTS: Final = 1000
_LONGEST_VERSION: Final = 200


@dataclass(frozen=True, slots=True)
class FoundAgent:
    """An agent of a server.

    Attributes:
        agent_id: Its id there.
        descriptor: What it says of itself.
    """

    agent_id: str
    descriptor: AgentACPDescriptor

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.descriptor.metadata.ref.name


def descriptor_of(
    name: str,
    version: str,
    description: str | None,
    streaming: Sequence[str],
    **schemas: Mapping[str, Any],
) -> AgentACPDescriptor:
    """What an agent of another protocol says of itself, as a descriptor; what it does not say is anything.

    Args:
        name: Its name.
        version: Its version.
        description: What it is for.
        streaming: The modes that it streams.
        **schemas: Those that are known, by their names in `specs`.
    """
    metadata = {"ref": {"name": name, "version": version}, "description": description}
    capabilities = {"threads": True, "streaming": dict.fromkeys(streaming, True)}
    specs = {**{each: {} for each in _SCHEMAS}, **schemas, "capabilities": capabilities}
    return AgentACPDescriptor.model_validate({"metadata": metadata, "specs": specs})


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID, as all ids of the protocol are, and not an agent's name."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def resolve_agent(name: str, retries: int) -> Flow[str]:
    """The id of the agent of that name; the newest version, should there be several.

    Raises:
        UnknownAgentError: If there is none; names what the server has.
    """
    try:
        agents = yield from with_retries(calls.search_agents({"name": name}), retries)
    except (NotFoundException, UnexpectedStatusException, UnreadableAnswerException) as error:
        raise _no_agent_server(error) from None
    named = [agent for agent in agents if agent.metadata.ref.name == name]
    if named:
        return max(named, key=lambda agent: _version(agent.metadata.ref.version)).agent_id
    others = yield from _names(retries)
    near = difflib.get_close_matches(name, others, n=3) or others[:10]
    raise UnknownAgentError(f"the server knows no agent named {name!r}{_hint(near)}")


def find_agent(agent: str, retries: int) -> Flow[FoundAgent]:
    """An agent with its descriptor, by its id or its name.

    Raises:
        UnknownAgentError: If there is none; names what the server has.
        OpenApiException: If the server cannot be asked, or gives no descriptor that can be read.
    """
    if not is_uuid(agent):
        agent_id = yield from resolve_agent(agent, retries)
    else:
        agent_id = agent
    try:
        descriptor = yield from with_retries(calls.get_acp_descriptor_by_id(agent_id), retries)
    except NotFoundException:
        near = (yield from _names(retries))[:10]
        raise UnknownAgentError(
            f"the server knows no agent with the id {agent_id}{_hint(near)}"
        ) from None
    return FoundAgent(agent_id, descriptor)


def list_agents(retries: int) -> Flow[list[Agent]]:
    """All agents that a server lists, in its order; at most 1000."""
    found: dict[str, Agent] = {}
    offset = 0
    while len(found) < _MOST_AGENTS:
        page = {"limit": _PAGE, "offset": offset}
        agents = yield from with_retries(calls.search_agents(page), retries)
        new = {agent.agent_id: agent for agent in agents if agent.agent_id not in found}
        found |= new
        offset += came(agents)
        if came(agents) < _PAGE or not new:
            break  # a server that knows no pages gives the first one again
    return list(found.values())[:_MOST_AGENTS]


def _names(retries: int) -> Flow[Sequence[str]]:
    """The names of a server's agents, as far as it tells."""
    try:
        others = yield from with_retries(calls.search_agents({"limit": _PAGE}), retries)
    except (ApiConnectionError, UnauthorizedException, ForbiddenException):
        raise
    except OpenApiException:
        others = []  # AGNTCY's server does not list everything
    return sorted({agent.metadata.ref.name for agent in others})


def _hint(names: Sequence[str]) -> str:
    return f"; it has {', '.join(map(repr, names))}" if names else ""


def _no_agent_server(error: ApiException) -> ApiException:
    """The same error, telling that the server seems to be another one than was meant."""
    said = str(error).partition(f" answered {error.status}: ")[2] or "nothing more"
    return error.retold(
        f"{said}. A server of AGNTCY's Agent Connect Protocol lists its agents there; is the host one, "
        "without a path that is not its own? (Zed's and IBM's ACP are other protocols)"
    )


def describe_agent(agent_id: str, retries: int) -> Flow[AgentACPDescriptor | None]:
    """An agent's descriptor, or `None` where the server gives none that can be read."""
    try:
        return (yield from with_retries(calls.get_acp_descriptor_by_id(agent_id), retries))
    except OpenApiException:
        return None


def resume_schema(descriptor: AgentACPDescriptor | None, payload: Any) -> dict[str, Any] | None:
    """The JSON Schema that an answer to a question must fit, where the agent declares one.

    A question names its kind by a field `interrupt_type`, or, as AGNTCY's server does it, by being
    an object with the kind as its only key. An agent with one kind of question means that one.
    """
    kinds = (descriptor.specs.interrupts if descriptor else None) or []
    by_name = {kind.interrupt_type: kind.resume_payload for kind in kinds}
    match payload:
        case {"interrupt_type": str(name)} if name in by_name:
            return by_name[name] or None
        case dict() if len(payload) == 1 and next(iter(payload)) in by_name:
            return by_name[next(iter(payload))] or None
    return (kinds[0].resume_payload or None) if len(kinds) == 1 else None


def _version(text: str) -> list[tuple[int, str]]:
    parts = text[:_LONGEST_VERSION].split(".")
    return [
        (int(part), "") if part.isascii() and part.isdecimal() else (-1, part) for part in parts
    ]
