"""What is on the wire of the Agent Connect Protocol 0.2.3.

Read liberally: unknown fields are kept, `null` stands for an absent optional field, a status this
version does not know stays readable as a string, and times may come without a zone. Written
strictly: a field that was not set is not sent, so that the server's defaults apply.

Names are those of the specification's schemas. The specification derives the models of stateless
and stateful runs by `allOf`; here they are subclasses.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from acp_langgraph.core.wire import Wire, plain, with_zone

# The specification demands RFC 3339; AGNTCY's server leaves the zone out and means UTC.
Moment: TypeAlias = Annotated[datetime, AfterValidator(with_zone)]
# What is inside belongs to the agent: sent whole, with the defaults of a model of the user's, and
# with a NaN left for the encoder to refuse where pydantic would make it null.
JSON: TypeAlias = Annotated[Any, PlainSerializer(plain, when_used="json")]
Text: TypeAlias = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
Metadata: TypeAlias = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]


CANCELLED: Final = 2
"""The error code of a run that was cancelled, on this project's server; the protocol has none."""


class RunStatus(StrEnum):
    """The statuses of a run; the specification has none for a cancelled one."""

    PENDING = "pending"
    ERROR = "error"
    SUCCESS = "success"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


class ThreadStatus(StrEnum):
    """The statuses of a thread."""

    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    ERROR = "error"


# In this order a known status becomes a member; pydantic's own choice would be the string.
AnyRunStatus: TypeAlias = Annotated[RunStatus | str, Field(union_mode="left_to_right")]
AnyThreadStatus: TypeAlias = Annotated[ThreadStatus | str, Field(union_mode="left_to_right")]


class StreamingMode(StrEnum):
    """What a stream carries: the whole output again and again, or updates of the agent's own."""

    VALUES = "values"
    CUSTOM = "custom"


class AgentRef(Wire):
    """Which agent this is, in the Agent Directory's terms."""

    name: str
    version: str
    url: str | None = None


class AgentMetadata(Wire):
    """Name, version and purpose of an agent."""

    ref: AgentRef
    description: Text = ""


class Agent(Wire):
    """An agent that a server offers."""

    agent_id: str
    metadata: AgentMetadata


class StreamingCapabilities(Wire):
    """The streaming modes that an agent supports."""

    values: bool | None = None
    custom: bool | None = None


class AgentCapabilities(Wire):
    """What an agent can do; whatever is missing it cannot."""

    threads: bool | None = None
    interrupts: bool | None = None
    callbacks: bool | None = None
    streaming: StreamingCapabilities | None = None


class InterruptSpec(Wire):
    """One kind of question that an agent may ask."""

    interrupt_type: str
    interrupt_payload: dict[str, Any]
    resume_payload: dict[str, Any]


class AgentACPSpec(Wire):
    """An agent's capabilities and the JSON Schemas of what goes in and comes out."""

    capabilities: AgentCapabilities
    input: dict[str, Any]
    output: dict[str, Any]
    config: dict[str, Any]
    custom_streaming_update: dict[str, Any] | None = None
    thread_state: dict[str, Any] | None = None
    interrupts: list[InterruptSpec] | None = None


class AgentACPDescriptor(Wire):
    """Everything that an agent says of itself."""

    metadata: AgentMetadata
    specs: AgentACPSpec


class AgentSearchRequest(Wire):
    """Which agents to list."""

    name: str | None = None
    version: str | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)


class Message(Wire):
    """A chat message, in the specification's neutral form."""

    role: str
    content: str | list[dict[str, Any]]
    id: str | None = None
    metadata: dict[str, JSON] | None = None


class RunConfig(Wire):
    """The configuration of a run."""

    tags: list[str] | None = None
    recursion_limit: int | None = None
    configurable: JSON = None


class RunCreate(Wire):
    """What stateless and stateful runs are created from.

    Attributes:
        agent_id: The agent; the server's default agent if left out.
        input: Any JSON value that fits the agent's input schema.
        metadata: Stored with the run and found again by a search.
        config: Tags, recursion limit and the agent's own configuration.
        webhook: URL that is told every change of status.
        stream_mode: What the run's streams carry.
        on_disconnect: What a broken connection does to the run.
        multitask_strategy: What to do when the thread is busy.
        after_seconds: Start so many seconds later.
    """

    agent_id: str | None = None
    input: JSON = None
    metadata: dict[str, JSON] | None = None
    config: RunConfig | None = None
    webhook: str | None = Field(default=None, min_length=1, max_length=65536)
    stream_mode: StreamingMode | list[StreamingMode] | None = None
    on_disconnect: Literal["cancel", "continue"] = "cancel"
    multitask_strategy: Literal["reject", "rollback", "interrupt", "enqueue"] = "reject"
    after_seconds: int | None = None


class RunCreateStateless(RunCreate):
    """What a stateless run is created from.

    Attributes:
        on_completion: Whether the thread that the server made for the run is kept.
    """

    on_completion: Literal["delete", "keep"] = "delete"


class RunCreateStateful(RunCreate):
    """What a run on a thread is created from.

    Attributes:
        stream_subgraphs: Whether streams also carry what subgraphs emit.
        if_not_exists: Whether a missing thread is created.
    """

    stream_subgraphs: bool = False
    if_not_exists: Literal["create", "reject"] = "reject"


class Run(Wire):
    """What stateless and stateful runs have in common."""

    run_id: str
    agent_id: str | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    status: AnyRunStatus
    thread_id: str | None = None


class RunStateless(Run):
    """A run without a thread of the client's."""

    creation: RunCreateStateless | None = None


class RunStateful(Run):
    """A run on a thread."""

    creation: RunCreateStateful | None = None


# One of another form, such as LangChain's own, is no reason to lose a result: it comes as it is.
AnyMessage: TypeAlias = Annotated[Message | Any, Field(union_mode="left_to_right")]


class RunResult(Wire):
    """The final result of a run."""

    type: Literal["result"]
    values: JSON = None
    messages: list[AnyMessage] | None = None


class RunInterrupt(Wire):
    """The run asks something and waits to be resumed."""

    type: Literal["interrupt"]
    interrupt: JSON


class RunError(Wire):
    """The run failed."""

    type: Literal["error"]
    run_id: str | None = None
    errcode: int | str | None = None
    description: str = ""


RunOutput: TypeAlias = Annotated[RunResult | RunInterrupt | RunError, Field(discriminator="type")]


class RunWaitResponse(Wire):
    """A run together with what it came to; the specification requires neither."""

    run: Run | None = None
    output: RunOutput | None = None


class RunWaitResponseStateless(RunWaitResponse):
    """The outcome of a stateless run."""

    run: RunStateless | None = None


class RunWaitResponseStateful(RunWaitResponse):
    """The outcome of a run on a thread."""

    run: RunStateful | None = None


class RunSearchRequest(Wire):
    """Which stateless runs to list; `metadata` matches on equal keys and values."""

    agent_id: str | None = None
    status: RunStatus | None = None
    metadata: dict[str, JSON] | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)


class ValueRunResultUpdate(Wire):
    """On a stream: the whole output so far, which replaces the one before."""

    type: Literal["values"]
    run_id: str | None = None
    status: AnyRunStatus | None = None
    values: JSON = None
    messages: list[AnyMessage] | None = None


class CustomRunResultUpdate(Wire):
    """On a stream: an update in the agent's own form."""

    type: Literal["custom"]
    run_id: str | None = None
    status: AnyRunStatus | None = None
    update: JSON = None


class ValueRunInterruptUpdate(RunInterrupt):
    """On a stream: the run asks something."""

    run_id: str | None = None
    status: AnyRunStatus | None = None


class ValueRunErrorUpdate(RunError):
    """On a stream: the run failed."""

    status: AnyRunStatus | None = None


class RunOutputStream(Wire):
    """One server-sent event of a run's stream.

    Attributes:
        id: The event's id, as sent; some servers start again at 1 on every connection.
        event: `agent_event`, the only type the specification knows.
        data: The update; an update of an unknown type is kept as it came.
    """

    id: str | None = None
    event: str
    data: Annotated[
        ValueRunResultUpdate
        | CustomRunResultUpdate
        | ValueRunInterruptUpdate
        | ValueRunErrorUpdate
        | dict[str, Any],
        Field(union_mode="left_to_right"),
    ]


class Thread(Wire):
    """A series of runs that share a state."""

    thread_id: str
    created_at: Moment | None = None
    updated_at: Moment | None = None
    metadata: Metadata = Field(default_factory=dict)
    status: AnyThreadStatus
    values: JSON = None
    messages: list[AnyMessage] | None = None


class ThreadCheckpoint(Wire):
    """Names an entry of a thread's history."""

    checkpoint_id: str


class ThreadState(Wire):
    """An entry of a thread's history."""

    checkpoint: ThreadCheckpoint
    values: JSON = None
    messages: list[AnyMessage] | None = None
    metadata: dict[str, JSON] | None = None


class ThreadCreate(Wire):
    """A thread to be created; the server picks the id if none is given."""

    thread_id: str | None = None
    metadata: dict[str, JSON] | None = None
    if_exists: Literal["raise", "do_nothing"] = "raise"


class ThreadPatch(Wire):
    """A change to a thread: metadata is merged, values are written as a new state."""

    checkpoint: ThreadCheckpoint | None = None
    metadata: dict[str, JSON] | None = None
    values: JSON = None
    messages: list[Message] | None = None


class ThreadSearchRequest(Wire):
    """Which threads to list; `metadata` and `values` match on equal keys and values."""

    metadata: dict[str, JSON] | None = None
    values: dict[str, JSON] | None = None
    status: ThreadStatus | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)
