"""The models of `agntcy_acp.models`: names, fields and defaults are those that programs know.

    run = RunCreateStateless(agent_id="mailcomposer", input={"brief": "..."}, stream_mode=StreamMode("values"))
    run.to_dict()                                # what is sent
    RunOutput.from_json(text).actual_instance    # a RunResult, a RunInterrupt or a RunError

Where the specification says "one of", there is an object around it whose `actual_instance` is the one.
The package's own models, without such objects, are in `acp_langgraph.acp.models`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum, StrEnum
from pprint import pformat
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NoReturn,
    Self,
    TypeAlias,
    TypeVar,
)

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

from acp_langgraph.agntcy.manifests import MANIFESTS, elsewhere

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


__all__ = [
    "Agent",
    "AgentACPDescriptor",
    "AgentACPSpec",
    "AgentACPSpecInterruptsInner",
    "AgentCapabilities",
    "AgentMetadata",
    "AgentRef",
    "AgentSearchRequest",
    "Config",
    "Content",
    "ContentOneOfInner",
    "CustomRunResultUpdate",
    "Message",
    "MessageAnyBlock",
    "MessageTextBlock",
    "Run",
    "RunCreate",
    "RunCreateStateful",
    "RunCreateStateless",
    "RunError",
    "RunInterrupt",
    "RunOutput",
    "RunOutputStream",
    "RunResult",
    "RunSearchRequest",
    "RunStateful",
    "RunStateless",
    "RunStatus",
    "RunWaitResponseStateful",
    "RunWaitResponseStateless",
    "StreamEventPayload",
    "StreamMode",
    "StreamingMode",
    "StreamingModes",
    "Thread",
    "ThreadCheckpoint",
    "ThreadCreate",
    "ThreadPatch",
    "ThreadSearchRequest",
    "ThreadState",
    "ThreadStatus",
    "ValueRunErrorUpdate",
    "ValueRunInterruptUpdate",
    "ValueRunResultUpdate",
]

JSONObject: TypeAlias = dict[str, Any]


class RunStatus(Word):
    """The statuses of a run."""

    PENDING = "pending"
    ERROR = "error"
    SUCCESS = "success"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


class ThreadStatus(Word):
    """The statuses of a thread."""

    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    ERROR = "error"


class StreamingMode(Word):
    """What a stream carries: the whole output again and again, or updates of the agent's own."""

    VALUES = "values"
    CUSTOM = "custom"


# Agents


class AgentRef(Model):
    """Which agent this is, in the Agent Directory's terms."""

    name: str
    version: str
    url: str | None = None


class AgentMetadata(Model):
    """Name, version and purpose of an agent."""

    ref: AgentRef
    description: str


class Agent(Model):
    """An agent that a server offers."""

    agent_id: str
    metadata: AgentMetadata


class StreamingModes(Model):
    """The streaming modes that an agent supports."""

    values: bool | None = None
    custom: bool | None = None


class AgentCapabilities(Model):
    """What an agent can do."""

    threads: bool | None = False
    interrupts: bool | None = False
    callbacks: bool | None = False
    streaming: StreamingModes | None = None


class AgentACPSpecInterruptsInner(Model):
    """One kind of question that an agent may ask."""

    interrupt_type: str
    interrupt_payload: JSONObject
    resume_payload: JSONObject


class AgentACPSpec(Model):
    """An agent's capabilities and the JSON Schemas of what goes in and comes out."""

    capabilities: AgentCapabilities
    input: JSONObject
    output: JSONObject
    custom_streaming_update: JSONObject | None = None
    thread_state: JSONObject | None = None
    config: JSONObject
    interrupts: list[AgentACPSpecInterruptsInner] | None = None


class AgentACPDescriptor(Model):
    """Everything that an agent says of itself."""

    metadata: AgentMetadata
    specs: AgentACPSpec


_Limit: TypeAlias = Annotated[int | None, Field(ge=1, le=1000)]
_Offset: TypeAlias = Annotated[int | None, Field(ge=0)]


class AgentSearchRequest(Model):
    """Which agents to list."""

    name: str | None = None
    version: str | None = None
    limit: _Limit = 10
    offset: _Offset = 0


# Messages


class MessageTextBlock(Model):
    """A piece of a message that is text."""

    text: str
    type: Any
    metadata: JSONObject | None = None
    nullable: ClassVar[frozenset[str]] = frozenset({"type"})


class MessageAnyBlock(Model):
    """Any other piece of a message."""

    type: str
    metadata: JSONObject | None = None


class ContentOneOfInner(OneOf[MessageTextBlock | MessageAnyBlock]):
    """A piece of a message."""


class Content(OneOf[str | list[ContentOneOfInner]]):
    """What a message says: a text, or a list of pieces."""


class Message(Model):
    """A chat message."""

    role: str
    content: Content
    id: str | None = None
    metadata: JSONObject | None = None


# Runs


class Config(Model):
    """The configuration of a run."""

    tags: list[str] | None = None
    recursion_limit: int | None = None
    configurable: JSONObject | None = None


class StreamMode(OneOf[list[StreamingMode] | StreamingMode]):
    """What the streams of a run are to carry."""


class RunCreate(Model):
    """What stateless and stateful runs are created from."""

    agent_id: str | None = None
    input: JSONObject | None = None
    metadata: JSONObject | None = None
    config: Config | None = None
    webhook: Annotated[str | None, Field(min_length=1, max_length=65536)] = None
    stream_mode: StreamMode | None = None
    on_disconnect: Literal["cancel", "continue"] | None = "cancel"
    multitask_strategy: Literal["reject", "rollback", "interrupt", "enqueue"] | None = "reject"
    after_seconds: int | None = None
    nullable: ClassVar[frozenset[str]] = frozenset({"stream_mode"})


class RunCreateStateless(RunCreate):
    """What a stateless run is created from."""

    on_completion: Literal["delete", "keep"] | None = "delete"


class RunCreateStateful(RunCreate):
    """What a run on a thread is created from."""

    stream_subgraphs: bool | None = False
    if_not_exists: Literal["create", "reject"] | None = "reject"


class Run(Model):
    """What stateless and stateful runs have in common."""

    run_id: str
    thread_id: str | None = None
    agent_id: str
    created_at: datetime
    updated_at: datetime
    status: RunStatus


class RunStateless(Run):
    """A run without a thread of the client's."""

    creation: RunCreateStateless


class RunStateful(Run):
    """A run on a thread."""

    creation: RunCreateStateful


class RunResult(Model):
    """The final result of a run."""

    type: Literal["result"]
    values: JSONObject | None = None
    messages: list[Message] | None = None


class RunInterrupt(Model):
    """The run asks something and waits to be resumed."""

    type: Literal["interrupt"]
    interrupt: JSONObject


class RunError(Model):
    """The run failed."""

    type: Literal["error"]
    run_id: str
    errcode: int
    description: str


class RunOutput(OneOf[RunError | RunInterrupt | RunResult]):
    """What a run came to."""


class RunWaitResponseStateless(Model):
    """The outcome of a stateless run."""

    run: RunStateless | None = None
    output: RunOutput | None = None


class RunWaitResponseStateful(Model):
    """The outcome of a run on a thread."""

    run: RunStateful | None = None
    output: RunOutput | None = None


class RunSearchRequest(Model):
    """Which stateless runs to list."""

    agent_id: str | None = None
    status: RunStatus | None = None
    metadata: JSONObject | None = None
    limit: _Limit = 10
    offset: _Offset = 0


# Streams


class ValueRunResultUpdate(Model):
    """The whole output so far."""

    type: Literal["values"]
    run_id: str
    status: RunStatus
    values: JSONObject
    messages: list[Message] | None = None


class CustomRunResultUpdate(Model):
    """An update in the agent's own form."""

    type: Literal["custom"]
    run_id: str | None = None
    status: RunStatus
    update: JSONObject


class ValueRunInterruptUpdate(Model):
    """The run asks something."""

    type: Literal["interrupt"]
    interrupt: JSONObject
    run_id: str
    status: RunStatus


class ValueRunErrorUpdate(Model):
    """The run failed."""

    type: Literal["error"]
    run_id: str
    errcode: int
    description: str
    status: RunStatus


class StreamEventPayload(
    OneOf[
        CustomRunResultUpdate | ValueRunErrorUpdate | ValueRunInterruptUpdate | ValueRunResultUpdate
    ]
):
    """What an event carries."""


class RunOutputStream(Model):
    """One event of a run's stream."""

    id: str
    event: str
    data: StreamEventPayload


# Threads


class Thread(Model):
    """A series of runs that share a state."""

    thread_id: str
    created_at: datetime
    updated_at: datetime
    metadata: JSONObject
    status: str
    values: JSONObject | None = None
    messages: list[Message] | None = None


class ThreadCheckpoint(Model):
    """Names an entry of a thread's history."""

    checkpoint_id: str


class ThreadState(Model):
    """An entry of a thread's history."""

    checkpoint: ThreadCheckpoint
    values: JSONObject
    messages: list[Message] | None = None
    metadata: JSONObject | None = None


class ThreadCreate(Model):
    """A thread to be created."""

    thread_id: str | None = None
    metadata: JSONObject | None = None
    if_exists: Literal["raise", "do_nothing"] | None = "raise"


class ThreadPatch(Model):
    """A change to a thread."""

    checkpoint: ThreadCheckpoint | None = None
    metadata: JSONObject | None = None
    values: JSONObject | None = None
    messages: list[Message] | None = None


class ThreadSearchRequest(Model):
    """Which threads to list."""

    metadata: JSONObject | None = None
    values: JSONObject | None = None
    status: ThreadStatus | None = None
    limit: _Limit = 10
    offset: _Offset = 0


def __getattr__(name: str) -> NoReturn:
    if name in MANIFESTS:
        raise elsewhere(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
