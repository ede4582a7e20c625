"""What users of mapped edges know, `IOMappingAgentMetadata` and `FieldMetadata`, and a plan of it.

Both are read, never changed. The paths in them are state paths; a leading `$`, as of JSONPath, is
taken off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typing_extensions
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import schema, typeinfo, validation
from acp_langgraph.mapping.access import near
from acp_langgraph.mapping.compiling import compile_plan, declared_as
from acp_langgraph.mapping.paths import StatePath, compile_path
from acp_langgraph.mapping.plan import MappingPlan
from acp_langgraph.mapping.plan_files import load_plan, propose
from acp_langgraph.mapping.rules import Copy, Rule, Semantic, Source


class FieldMetadata(BaseModel):
    """One field of a mapping.

    Attributes:
        json_path: Its state path.
        description: What it means; a model is told.
        examples: Good values, as text; a model is told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    json_path: str
    description: str = ""
    examples: list[str] = Field(default_factory=list)

    @field_validator("examples", mode="before")
    @classmethod
    def _no_examples(cls, value: Any) -> Any:
        return [] if value is None else value


class IOMappingAgentMetadata(BaseModel):
    """What a mapped edge maps.

    Attributes:
        input_fields: What is read; what a model is shown and where fields are matched. Something
            must be made of each. Nothing means the output of the start node if it has an
            `output_path`, else the whole state.
        output_fields: What must be filled, as paths in the state. Nothing means the input of the
            end node if it has an `input_path`.
        input_schema: JSON Schema, or a type, that stands for the state's where it is read, or for
            the one input field's.
        output_schema: The same where it is written, or for the one output field's.
        field_mapping: `{target path: source path, template, function or rule}`; both paths start
            in the state.
        output_description_prompt: What a model is told about the whole, in the user's words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    input_fields: list[str | FieldMetadata] = Field(default_factory=list)
    output_fields: list[str | FieldMetadata] = Field(default_factory=list)
    input_schema: Any = None
    output_schema: Any = None
    field_mapping: dict[str, Any] = Field(default_factory=dict)
    output_description_prompt: str = ""

    @field_validator("field_mapping", "output_description_prompt", mode="before")
    @classmethod
    def _nothing(cls, value: Any, info: Any) -> Any:
        empty: Any = {} if info.field_name == "field_mapping" else ""
        return empty if value is None else value

    @field_validator("input_fields", "output_fields", mode="before")
    @classmethod
    def _no_blanks(cls, value: Any) -> Any:
        given = [] if value is None else value
        if isinstance(given, (list, tuple)):
            return [each for each in given if not (isinstance(each, str) and not each.strip())]
        return given

    def inputs(self) -> list[FieldMetadata]:
        """The input fields, all as `FieldMetadata` with state paths."""
        return [_field(each) for each in self.input_fields]

    def outputs(self) -> list[FieldMetadata]:
        """The output fields, all as `FieldMetadata` with state paths."""
        return [_field(each) for each in self.output_fields]

    def rules(self) -> dict[str, Any]:
        """The field mapping with state paths."""
        return {
            plain_path(target): plain_path(rule) if isinstance(rule, str) else rule
            for target, rule in self.field_mapping.items()
        }


def read_metadata(given: Any, where: str) -> IOMappingAgentMetadata:
    """The metadata from a class, a dict, or nothing.

    Raises:
        NodeConfigurationError: If it has unknown keys or wrong values.
    """
    if isinstance(given, IOMappingAgentMetadata):
        return given
    if isinstance(given, BaseModel):  # somebody else's class of the same name
        given = {name: getattr(given, name) for name in given.model_fields_set}
    if given is not None and not isinstance(given, Mapping):
        raise NodeConfigurationError(
            f"{where}: the mapping is a dict or IOMappingAgentMetadata, not {type(given).__name__}"
        )
    unknown = [key for key in given or {} if key not in IOMappingAgentMetadata.model_fields]
    if unknown:
        names = IOMappingAgentMetadata.model_fields
        raise NodeConfigurationError(
            f"{where}: a mapping has no {unknown[0]!r}{near(str(unknown[0]), names)}"
        )
    fields = {
        key: [_own(each) for each in value] if key.endswith("_fields") and value else value
        for key, value in dict(given or {}).items()
    }
    try:
        return IOMappingAgentMetadata(**fields)
    except ValidationError as error:
        raise NodeConfigurationError(
            f"{where}: the mapping cannot be read: {validation.reason(error)}"
        ) from None


def _own(field: Any) -> Any:
    if isinstance(field, BaseModel) and not isinstance(field, FieldMetadata):
        return field.model_dump(exclude_none=True)
    return field


_FLAT: Final = re.compile(r"""^\$\[(['"])(?P<path>.*)\1\]$""")


def plain_path(text: str) -> str:
    """A state path from what may be a JSONPath: `$.a.b`, `$['a.b']` and `$` are understood."""
    if flat := _FLAT.match(text):
        return flat["path"]
    if text == "$":
        return ""
    return text[1:].removeprefix(".") if text.startswith(("$.", "$[")) else text


def _field(given: str | FieldMetadata) -> FieldMetadata:
    if isinstance(given, str):
        return FieldMetadata(json_path=plain_path(given))
    return given.model_copy(update={"json_path": plain_path(given.json_path)})


class EdgeMapping:
    """What is asked of one mapped edge, and the plan that comes of it.

    Args:
        name: Names the plan in errors.
        given: The mapping, as it was given.
        state: The declaration of the graph's state.
        context: The declaration of its context; `None` if it has none.
        gives: Where the start nodes put what they give, as far as they say it.
        takes: Where the end node takes its input from, if it says it.
        llm: A chat model, or the key in `config["configurable"]` that holds one.

    Attributes:
        instructions: What a model is told about the whole, in the user's words.
    """

    def __init__(
        self,
        name: str,
        given: Any,
        *,
        state: Any,
        context: Any,
        gives: Sequence[str],
        takes: Sequence[str],
        llm: Any,
    ) -> None:
        self._name = name
        self._metadata = metadata = read_metadata(given, name)
        self._inputs = metadata.inputs() or [FieldMetadata(json_path=each) for each in gives]
        self._outputs = metadata.outputs() or [FieldMetadata(json_path=each) for each in takes]
        self._llm = llm
        said = (
            f"In the data, {each.json_path or 'it'} is: {each.description}"
            for each in self._inputs
            if each.description
        )
        self.instructions = "\n".join([metadata.output_description_prompt, *said]).strip()
        self._schemas: dict[str, Any] = {
            "source_schema": _around(metadata.input_schema, self._inputs, "Source") or state,
            "target_schema": _around(metadata.output_schema, self._outputs, "Target") or state,
            "state_schema": state,
            "context_schema": context,
            "complete": [each.json_path for each in self._outputs],
            "into_state": True,
        }

    def plan(
        self, file: str | Path | None, functions: Mapping[str, Callable[..., Any]]
    ) -> MappingPlan:
        """The plan.

        Args:
            file: A file that it is in, or is written to.
            functions: What the names of functions in it stand for.

        Raises:
            NodeConfigurationError: If it can never work.
        """
        if file is not None:
            return self._from_file(Path(file), functions)
        metadata, inputs = self._metadata, self._inputs
        if inputs and not self._outputs and not metadata.field_mapping:
            raise NodeConfigurationError(
                f"{self._name!r} has input_fields and nothing to fill: the end node has no "
                "input_path, so name output_fields or a field_mapping"
            )
        asker = _asker(inputs, self._outputs, self._schemas["target_schema"])
        return compile_plan(
            metadata.rules() or self._whole_copy(),
            match_from=[each.json_path for each in inputs] or None,
            listed=[each.json_path for each in metadata.inputs()],
            fallback=None if self._llm is None else asker,
            name=self._name,
            **self._schemas,
        )

    def _whole_copy(self) -> dict[str, Rule]:
        """One field into one of the same type is a copy, whatever they are called."""
        fields = [*self._inputs, *self._outputs]
        if (len(self._inputs), len(self._outputs)) != (1, 1) or any(
            each.description for each in fields
        ):
            return {}
        source, target = (each.json_path for each in fields)
        try:
            given = compile_path(self._schemas["source_schema"], source).type
            wanted = compile_path(self._schemas["target_schema"], target).type
        except NodeConfigurationError:
            return {}  # said with everything else that is wrong
        records = schema.fields_of_alternatives(wanted)
        same = {*typeinfo.alternatives(given)} - {type(None)} == {
            *typeinfo.alternatives(wanted)
        } - {type(None)}
        if source == target or (records is not None and same):
            return {target: Copy(Source.parse(source))}
        return {}

    def _from_file(self, path: Path, functions: Mapping[str, Callable[..., Any]]) -> MappingPlan:
        if path.exists():
            return load_plan(path, functions=functions, name=self._name, **self._schemas)
        if not isinstance(self._llm, BaseChatModel):
            raise NodeConfigurationError(
                f"{self._name!r}: there is no plan {path}, and no llm= that could propose one"
            )
        targets = {each.json_path: each.description for each in self._outputs}
        made = propose(self._llm, targets, name=self._name, **self._schemas)
        made.save(path)
        return made


def _around(given: Any, fields: Sequence[FieldMetadata], name: str) -> Any:
    """A schema of the user's own; one that is the only field's is put where the field is."""
    if not given:
        return None
    declared = declared_as(given, name)
    if len(fields) != 1:
        return declared
    steps = StatePath.parse(fields[0].json_path).steps
    if not steps or schema.has_member(declared, steps[0]):
        return declared
    for step in reversed(steps):
        make: Any = typing_extensions.TypedDict  # the type checker wants literals
        declared = list[declared] if isinstance(step, int) else make(name, {step: declared})  # type: ignore[valid-type]  # made at run time
    return declared


def _asker(
    inputs: Sequence[FieldMetadata], outputs: Sequence[FieldMetadata], target: Any
) -> Callable[[StatePath, schema.Member], Rule]:
    """What a model is asked for a field: the words of the field, or of the output it is in."""
    sources = tuple(Source.parse(each.json_path) for each in inputs)

    def asked(path: StatePath, member: schema.Member) -> Rule:
        around = next(
            (
                each
                for each in outputs
                if path.steps[: len(steps := StatePath.parse(each.json_path).steps)] == steps
            ),
            FieldMetadata(json_path=""),
        )
        exact = StatePath.parse(around.json_path) == path
        own = schema.description_of(target, path.steps)
        words = [own, around.description if exact or not own else f"part of: {around.description}"]
        meaning = "; ".join(each for each in words if each and each != "part of: ")
        examples = tuple(around.examples)
        return Semantic(meaning or f"the {member.names[0]}", sources, examples)

    return asked
