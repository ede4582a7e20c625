"""What the models of `acp_langgraph.agntcy.models` are made of."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, StrEnum
from pprint import pformat
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic_core import from_json, to_json

T = TypeVar("T")


class Word(StrEnum):
    """A word of the protocol; prints as `RunStatus.SUCCESS`, as programs know it."""

    __str__ = Enum.__str__
    __format__ = Enum.__format__

    @classmethod
    def from_json(cls, json_str: str) -> Self:
        """The word in a JSON text."""
        return cls(from_json(json_str))


class Convertible(BaseModel):
    """Base of all: made from a dict or from JSON, and made into these."""

    @classmethod
    def from_dict(cls, obj: Any) -> Self | None:
        """The object that a dict stands for; `None` for `None`."""
        return None if obj is None else cls.model_validate_json(to_json(obj))

    @classmethod
    def from_json(cls, json_str: str) -> Self | None:
        """The object that a JSON text stands for."""
        return cls.model_validate_json(json_str)

    def to_dict(self) -> Any:
        """What is sent for it."""
        raise NotImplementedError

    def to_json(self) -> str:
        """What was set of it, as a JSON text."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    def to_str(self) -> str:
        """It for people."""
        return pformat(self.model_dump(by_alias=True))


class Model(Convertible):
    """Base of those with fields."""

    model_config = ConfigDict(
        validate_assignment=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
        defer_build=True,  # most programs use a few of the models
    )

    # Fields of which a `None` that was set is sent, as `null`.
    nullable: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _as_it_came(cls, data: Any, info: ValidationInfo) -> Any:
        """From JSON every field counts as set, and `null` stands for its default."""
        if info.mode != "json" or not isinstance(data, dict):
            return data
        return {
            name: data[name] if field.is_required() or data.get(name) is not None else field.default
            for name, field in cls.model_fields.items()
            if name in data or not field.is_required()
        }

    def to_dict(self) -> Any:
        """The JSON object that is sent for it; what is `None` is left out."""
        made = self.model_dump(by_alias=True, exclude_none=True)
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is None and name in self.nullable & self.model_fields_set:
                made[name] = None
            elif isinstance(value, (Convertible, list)):
                made[name] = _converted(value)
        return made


class OneOf(Convertible, RootModel[T | None], Generic[T]):
    """Base of what the specification has for "one of": `actual_instance` is the one."""

    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)

    if TYPE_CHECKING:  # it takes the one by position and by this name
        root: T | None = Field(default=None, alias="actual_instance")
    else:
        root: T | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, data: Any, info: ValidationInfo) -> Any:
        named = info.mode != "json" and isinstance(data, dict) and "actual_instance" in data
        return data["actual_instance"] if named else data

    @property
    def actual_instance(self) -> T | None:
        """The one."""
        return self.root

    @actual_instance.setter
    def actual_instance(self, value: T | None) -> None:
        self.root = value

    def to_dict(self) -> Any:
        """The JSON value that is sent for the one."""
        return _converted(self.root)

    def to_json(self) -> str:
        """What was set of the one, as a JSON text."""
        one = self.root
        return one.to_json() if isinstance(one, Convertible) else to_json(one).decode()

    @model_serializer
    def _within_others(self) -> Any:
        return self.to_dict()

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield "actual_instance", self.root


def _converted(value: Any) -> Any:
    if isinstance(value, list):
        return [_converted(each) for each in value]
    return value.to_dict() if isinstance(value, Convertible) else value
