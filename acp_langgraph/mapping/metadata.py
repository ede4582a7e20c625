"""What users of mapped edges know: `IOMappingAgentMetadata` and `FieldMetadata`, as class or dict.

Both are read, never changed. The paths in them are state paths; a leading `$`, as of JSONPath, is
taken off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import validation
from acp_langgraph.mapping.access import near


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
        input_fields: What is read; what a model is shown and where fields are matched. Nothing
            means the output of the start node if it has an `output_path`, else the whole state.
        output_fields: What must be filled. Nothing means the input of the end node if it has an
            `input_path`.
        input_schema: JSON Schema, or a type, that stands for the state's where it is read.
        output_schema: The same where it is written.
        field_mapping: `{target path: source path, template, function or rule}`.
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
