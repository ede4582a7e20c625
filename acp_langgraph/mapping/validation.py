"""Getting a value into a declared type, and saying why it does not fit without saying the value.

pydantic does the work. Around it: field names and aliases are both understood, TypedDicts keep keys
that they do not declare, JSON of messages becomes messages of the right class, and a model or enum
of another class fits where its JSON does. Validators are made once per type.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Final, ForwardRef, Union

import typing_extensions
from langchain_core.messages import AnyMessage, BaseMessage, convert_to_messages
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError, SchemaValidator
from pydantic_core.core_schema import ErrorType

from acp_langgraph.core.chat import message_of
from acp_langgraph.core.wire import SECRETS, plain
from acp_langgraph.mapping import typeinfo
from acp_langgraph.mapping.schema import NoMemberError, fields_of, member_type
from acp_langgraph.mapping.typeinfo import Step, remembered


def _to_message(value: Any) -> Any:
    if isinstance(value, (BaseMessage, type(None))):
        return value
    if isinstance(written := message_of(value), BaseMessage):
        return written
    try:
        (message,) = convert_to_messages([value])
    except (ValueError, TypeError, KeyError, NotImplementedError):
        return value
    return message


def as_messages(value: Any) -> Any:
    """A message that stands alone, as a list of one: a text, an object, a pair of role and text."""
    alone = isinstance(value, (str, BaseMessage, Mapping)) or (
        isinstance(value, tuple)
        and len(value) == 2  # noqa: PLR2004 - role and text
        and isinstance(value[1], str)
        and value[0] in _ROLES
    )
    return [value] if alone else value


_ROLES: Final = frozenset({"user", "human", "assistant", "ai", "system", "developer"})

_MESSAGE: Final = Annotated[BaseMessage, BeforeValidator(_to_message)]


def validatable(  # noqa: PLR0911 - a return for each kind of type
    declared: Any, inside: tuple[Any, ...] = ()
) -> Any:
    """The type in a form that pydantic validates without losing anything.

    pydantic refuses `typing.TypedDict` before Python 3.12, drops keys that a TypedDict does not
    declare, and makes a bare `BaseMessage` of what should be a `HumanMessage`.
    """
    origin = typing.get_origin(declared)
    if declared is BaseMessage or declared == AnyMessage:
        return _MESSAGE
    if isinstance(declared, (ForwardRef, str)):
        return Any
    if origin is Annotated:
        return Annotated[(validatable(declared.__origin__, inside), *declared.__metadata__)]
    if typeinfo.is_alias(declared):
        inner = typeinfo.value_of_alias(declared)
        return declared if declared in inside else validatable(inner, (*inside, declared))
    if typing_extensions.is_typeddict(origin or declared):
        return Any if declared in inside else _open_typed_dict(declared, (*inside, declared))
    if typeinfo.is_chat(declared) and origin not in _REBUILT:
        return Annotated[origin[_MESSAGE], BeforeValidator(as_messages)]
    if origin in _REBUILT or (
        isinstance(origin, type) and issubclass(origin, (Mapping, Sequence, AbstractSet))
    ):
        arguments = tuple(
            each if each is Ellipsis else validatable(each, inside)
            for each in typing.get_args(declared)
        )
        return Union[arguments] if origin in _REBUILT else origin[arguments]  # noqa: UP007 - made at run time
    return declared


_REBUILT: Final = (Union, types.UnionType)


def _open_typed_dict(declared: Any, inside: tuple[Any, ...]) -> Any:
    fields = fields_of(declared) or {}
    body = {
        name: validatable(member.type, inside)
        if member.required
        else typing_extensions.NotRequired[validatable(member.type, inside)]
        for name, member in fields.items()
    }
    kind = typing.get_origin(declared) or declared
    make: Any = typing_extensions.TypedDict  # the type checker wants literals
    made = make(kind.__name__, body)
    own = getattr(kind, "__pydantic_config__", {})
    made.__pydantic_config__ = {**own, "extra": "allow"}
    return made


_ANYTHING: Final = TypeAdapter(Any)


def _make_adapter(declared: Any) -> TypeAdapter[Any]:
    kind = validatable(declared)
    for config in (None, ConfigDict(arbitrary_types_allowed=True)):
        try:
            return TypeAdapter(kind, config=config)
        except (PydanticSchemaGenerationError, PydanticUserError, NameError):
            continue
    # A type that pydantic cannot read at all is the user's own affair.
    return _ANYTHING


adapter = remembered(_make_adapter)
"""The validator of a declared type, made once."""


@remembered
def checker(declared: Any) -> Callable[[Any], Any]:
    """What makes a value the declared type; see `validate`."""
    check = _check_of(declared)

    def checked(value: Any) -> Any:
        try:
            return check(value, by_alias=True, by_name=True)
        except ValidationError:
            # A model of another class with the same fields, or an enum with the same values, fits
            # as its JSON does.
            made = as_json(value)
            if made is value:
                raise
            return check(made, by_alias=True, by_name=True)

    return checked


@remembered
def _check_of(declared: Any) -> Callable[..., Any]:
    return adapter(declared).validator.validate_python


def validate(declared: Any, value: Any, *, plain: bool = True) -> Any:
    """The value as the declared type; field names and aliases are both understood.

    Args:
        declared: The type.
        value: The value.
        plain: Whether the value's JSON will do where the value itself does not.

    Raises:
        pydantic.ValidationError: If the value cannot be that type.
    """
    if plain:
        return checker(declared)(value)
    return _check_of(declared)(value, by_alias=True, by_name=True)


def json_schema(declared: Any) -> dict[str, Any]:
    """The JSON Schema of a type; `{}` where there is none."""
    if declared is None or isinstance(declared, Mapping):
        return dict(declared or {})
    try:
        return adapter(declared).json_schema()
    except PydanticUserError:
        fields = fields_of(declared) or {}
        return {"type": "object", "properties": {each: {} for each in fields}}


def assign(owner: Any, name: str, value: Any) -> None:
    """Set a field of a pydantic model or dataclass by its own rules, also of a frozen one.

    Raises:
        pydantic.ValidationError: If the value is refused.
    """
    kind = type(owner)
    fields = kind.__pydantic_fields__
    if name not in fields or not fields[name].frozen:
        check = kind.__pydantic_validator__.validate_assignment
        check(owner, name, value, by_alias=True, by_name=True)
        return
    if kind.__pydantic_decorators__.model_validators or not isinstance(owner, BaseModel):
        raise TypeError("the field is frozen")  # it can only be made anew
    made: Any = _thawed(kind).validate_assignment(dict(owner.__dict__), name, value, by_name=True)
    owner.__dict__[name] = made[0][name]
    owner.__pydantic_fields_set__.add(name)


@remembered
def _thawed(kind: Any) -> SchemaValidator:
    """The validator of a model's fields, of which each can be assigned."""
    here, config, definitions = kind.__pydantic_core_schema__, None, []
    while here["type"] != "model-fields":
        config = here.get("config", config)
        if here["type"] == "definitions":
            definitions = here["definitions"]
        if here["type"] == "definition-ref":
            here = next(each for each in definitions if each["ref"] == here["schema_ref"])
        else:
            here = here["schema"]
    fields = {name: {**each, "frozen": False} for name, each in here["fields"].items()}
    whole: Any = {**here, "fields": fields}
    if definitions:
        whole = {"type": "definitions", "schema": whole, "definitions": definitions}
    return SchemaValidator(whole, config)


def fitted(make: Callable[[Any], Any], value: Any) -> Any:
    """What is made of a value, or of its JSON where the value itself does not do."""
    try:
        return make(value)
    except ValidationError:
        plain = as_json(value)
        if plain is value:
            raise
        return make(plain)


def as_json(value: Any) -> Any:
    """The JSON of a value, secrets left what they are; the value itself where it has none."""
    if value is None or isinstance(value, (bool, int, float)) or type(value) is str:
        return value
    try:
        return plain(value, keep=True)
    except (PydanticSerializationError, ValueError, RecursionError):
        return value


_SPEAKING: Final = frozenset(
    set(typing.get_args(ErrorType))
    # These messages repeat a part of the value, or are the words of somebody's own validator.
    - {"value_error", "assertion_error", "union_tag_invalid", "uuid_parsing", "custom_error"}
)


def reason(error: Exception, *, open: bool = False, only: Sequence[str] = ()) -> str:  # noqa: A002 - says what it is
    """Why a value was refused, without the value.

    Args:
        error: What was raised.
        open: Whether the words of somebody's own validator may be repeated too; they tend to quote
            the value, so only for whoever knows the value already.
        only: The names of a field: nothing is said of others, and nothing of the field's own name.
    """
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}" if open else type(error).__name__
    faults = error.errors(include_url=False, include_context=False)
    said = []
    for each in [each for each in faults if not only or each["loc"][:1] in {(n,) for n in only}][
        :5
    ]:
        place = ".".join(map(str, each["loc"][1 if only else 0 :]))
        words = each["msg"] if open or each["type"] in _SPEAKING else "refused by its validator"
        if isinstance(each["input"], SECRETS):
            words += f", and it is a {type(each['input']).__name__}"
        said.append(f"{place}: {words}" if place else words)
    return "; ".join(said)


def pruned(declared: Any, value: Any) -> Any:
    """A JSON value without the keys that its declared type does not know, at every depth."""
    if isinstance(value, list):
        return [_pruned_below(declared, 0, each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, each in value.items():
        try:
            below = member_type(declared, str(key))
        except NoMemberError:
            continue
        kept[key] = pruned(below, each)
    return kept


def _pruned_below(declared: Any, step: Step, value: Any) -> Any:
    try:
        return pruned(member_type(declared, step), value)
    except NoMemberError:
        return value
