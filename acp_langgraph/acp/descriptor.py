"""Whether an agent's descriptor keeps the rules that the specification sets in prose.

A descriptor that parses may still contradict itself: a capability without the schema it demands, a
schema without the capability, two interrupts of one name, a schema that is no JSON Schema. All
faults are reported at once. The rules are those of `AgentACPSpec` in ACP 0.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from acp_langgraph.acp.models import AgentACPDescriptor, AgentACPSpec
from acp_langgraph.errors import ACPDescriptorValidationException
from acp_langgraph.json_schema.pointers import target

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

__all__ = ["contradictions", "descriptor_faults", "schema_faults", "validate_descriptor"]

_NOWHERE = object()
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
    for error in _metaschema().iter_errors(schema):
        where = ".".join(map(str, error.absolute_path))
        yield f"{place} is no JSON Schema: {where + ': ' if where else ''}{error.message[:200]}"
    for reference in dict.fromkeys(_references(schema)):
        if target(schema, reference, _NOWHERE) is _NOWHERE:
            yield f"{place} refers to {reference!r}, which is not in it"


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
