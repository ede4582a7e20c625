"""What a node's types allow, as JSON Schema: what it sends, and what it takes.

pydantic generates most of it. What its schemas say more strictly than pydantic itself is, or less,
is put right, so that nothing is called wrong that works:

* what is sent of a model is exactly its fields, with their defaults, and nothing else;
* a validator that runs first, or a serializer that does not say what it gives, may make anything of
  anything;
* a field with an alias is taken under either name;
* a chat message is one of a dozen classes, and is read in many forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from pydantic.errors import PydanticUserError
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    JsonSchemaWarningKind,
)
from pydantic_core import core_schema
from typing_extensions import is_typeddict, override

from acp_langgraph.json_schema.reading import Schema
from acp_langgraph.mapping import MappingPlan, validation
from acp_langgraph.mapping.plan import Assignment
from acp_langgraph.mapping.rules import Const, Template


def sent_schema(declared: Any) -> Schema:
    """What is sent of values of a type; the keys of a TypedDict are what the agent gets to see."""
    schema = _schema(declared, "serialization")
    return _closed(schema) if is_typeddict(declared) else schema


def taken_schema(declared: Any) -> Schema:
    """What can be made a value of a type."""
    return _schema(declared, "validation")


def held_schema(declared: Any) -> Schema:
    """What is sent of what a state holds under a type; nobody validates it, so it may hold more."""
    return _schema(declared, "serialization", _Held)


def state_schema(declared: Any) -> Schema:
    """What a node that takes the whole state sends: any of its channels, and nothing else."""
    schema = _closed(held_schema(declared))
    return {name: rule for name, rule in schema.items() if name != "required"}


def planned_schema(plan: MappingPlan) -> Schema:
    """What a plan without a declared target makes: the fields that it has rules for."""
    whole: dict[str, Any] = _empty()
    for assignment in plan.assignments:
        here = whole
        steps = assignment.target.steps
        if not steps or not all(isinstance(step, str) for step in steps):
            return True
        for step in steps[:-1]:
            _need(here, str(step))
            here = here["properties"].setdefault(str(step), _empty())
        here["properties"][str(steps[-1])] = _ruled(assignment)
        if assignment.required and not getattr(assignment.rule, "optional", False):
            _need(here, str(steps[-1]))
    return whole


def _empty() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def _need(schema: dict[str, Any], name: str) -> None:
    if name not in schema["required"]:
        schema["required"].append(name)


def _ruled(assignment: Assignment) -> Schema:
    match assignment.rule:
        case Const(value) if value is None or isinstance(value, (str, int, float)):
            return {"const": value}
        case Template():
            return {"type": "string"}
    return True


def _schema(
    declared: Any, mode: JsonSchemaMode, generator: type[GenerateJsonSchema] | None = None
) -> Schema:
    if declared is None or declared is Any:
        return True
    if isinstance(declared, Mapping):
        return dict(declared)
    try:
        adapter = validation.adapter(declared)
        return adapter.json_schema(schema_generator=generator or _Truthful, mode=mode)
    except (PydanticUserError, ValueError, TypeError, RecursionError):
        return True  # a type that has no schema says nothing


def _closed(schema: Schema) -> Any:
    """The schema without further properties, at its top; where that is a reference, there."""
    if not isinstance(schema, Mapping):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        definitions = schema["$defs"]
        inner = definitions[reference.removeprefix("#/$defs/")]
        return {**_closed(inner), "$defs": definitions}
    return {**schema, "additionalProperties": False} if "properties" in schema else dict(schema)


class _Truthful(GenerateJsonSchema):
    ignored_warning_kinds: set[JsonSchemaWarningKind] = {  # noqa: RUF012 - pydantic's way
        "skipped-choice",
        "non-serializable-default",
    }

    @override
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        kind = schema["cls"]
        if issubclass(kind, BaseMessage):
            return {}
        made = super().model_schema(schema)
        if self.mode == "serialization":
            open_ended = kind.model_config.get("polymorphic_serialization")
            return made if open_ended else self._closed(made, kind.model_config.get("extra"))
        return self._under_either_name(made, kind)

    @override
    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        made = super().dataclass_schema(schema)
        return self._closed(made, None) if self.mode == "serialization" else made

    @override
    def field_is_required(self, field: Any, total: bool) -> bool:
        if self.mode != "serialization" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        left_out = field.get("serialization_exclude_if") or _may_be_missing(field["schema"])
        return not left_out

    @override
    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        return {} if self._may_take_anything(schema) else super().function_before_schema(schema)

    @override
    def function_plain_schema(
        self, schema: core_schema.PlainValidatorFunctionSchema
    ) -> JsonSchemaValue:
        known = self.mode == "validation" and schema.get("json_schema_input_schema")
        return super().function_plain_schema(schema) if known else {}

    @override
    def function_wrap_schema(
        self, schema: core_schema.WrapValidatorFunctionSchema
    ) -> JsonSchemaValue:
        return {} if self._may_take_anything(schema) else super().function_wrap_schema(schema)

    @override
    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        made = super().ser_schema(schema)
        may_give_anything = schema["type"] in {"any", "function-plain", "function-wrap"}
        return {} if made is None and may_give_anything else made

    def _may_take_anything(self, schema: Any) -> bool:
        return self.mode == "validation" and not schema.get("json_schema_input_schema")

    def _closed(self, made: JsonSchemaValue, extra: str | None) -> JsonSchemaValue:
        if "properties" in made and extra != "allow":
            made.setdefault("additionalProperties", False)
        return made

    def _under_either_name(self, made: JsonSchemaValue, kind: Any) -> JsonSchemaValue:
        properties = made.get("properties")
        if not isinstance(properties, dict):
            return made
        aliases = {
            name: field.validation_alias or field.alias for name, field in kind.model_fields.items()
        }
        for name, alias in aliases.items():
            if alias is None or alias == name:
                continue
            made.pop("additionalProperties", None)
            if isinstance(alias, str) and alias in properties:
                properties.setdefault(name, properties[alias])
                required = {alias}
            else:
                required = set(made.get("required", ()))
            made["required"] = [each for each in made.get("required", ()) if each not in required]
        return made


class _Held(_Truthful):
    """Of a model in a state, a subclass may be there, and is sent as what it is."""

    @override
    def _closed(self, made: JsonSchemaValue, extra: str | None) -> JsonSchemaValue:
        return made


def _may_be_missing(schema: Any) -> bool:
    """Whether a field may hold pydantic's `MISSING`, which is not sent."""
    match schema:
        case {"type": "missing-sentinel"}:
            return True
        case {"type": "union", "choices": [*choices]}:
            return any(map(_may_be_missing, choices))
        case {"type": "default", "schema": inner}:
            return _may_be_missing(inner)
    return False
