"""What all of Quant's models share: camelCase on the wire, and times in three units.

The same API gives Unix seconds (tool executions), milliseconds (tasks) and RFC 3339 (lists of
executions, orchestrations), so a number's size tells its unit: seconds stay below 10^11 until the
year 5138, and milliseconds are above it since 1973.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from acp_langgraph.core.calls import Call
from acp_langgraph.core.sse import SSEDecoder
from acp_langgraph.core.wire import Wire, read_each, read_json, with_zone
from acp_langgraph.errors import QuantRunError, UnreadableAnswerException

_SMALLEST_MILLISECONDS: Final = 1e11


class QuantWire(Wire):
    """Base of the models: `snake_case` here, `camelCase` on the wire; either is accepted."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def _tolerant(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """A moment, or nothing: a time that cannot be read is no reason to lose a result."""
    try:
        return read(_in_seconds(value))
    except ValueError:
        return None


def _in_seconds(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value  # RFC 3339, or for pydantic to refuse
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    seconds = float(value)
    if abs(seconds) >= _SMALLEST_MILLISECONDS:
        seconds /= 1000
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError):
        raise ValueError("a moment far outside of the calendar") from None


Moment: TypeAlias = Annotated[
    datetime | None,
    AfterValidator(lambda moment: None if moment is None else with_zone(moment)),
    WrapValidator(_tolerant),
]


def _each(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """What can be read of a list; `null` is as good as none."""
    value = [] if value is None else value
    try:
        return read(value)
    except ValidationError:
        found = read_each(value, read, str(info.field_name)) if isinstance(value, list) else None
        if found is None:
            raise
        return found


# `null` is as good as nothing, wherever the API sends a list or a text.
Items: Final = WrapValidator(_each)
Text: TypeAlias = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


ENDED: Final = frozenset({"complete", "completed", "failed", "cancelled"})
"""Statuses after which nothing changes any more. Any other, known or not, is still at work.

The API says `complete` of executions, orchestrations and chats, and `completed` of tasks.
"""


def _words(error: Any) -> Any:
    """What is said in an `error`, which may be a text, a flag or an object."""
    if isinstance(error, dict):
        for name in ("ErrorMessage", "message", "error", "ErrorType"):
            if isinstance(error.get(name), str):
                return error[name]
        return "an error without a message"
    if error is True:
        return "an error without a message"
    return None if error is False or error is None else str(error)


Fault: TypeAlias = Annotated[str | None, BeforeValidator(_words)]


# Tools


class ToolSpec(QuantWire):
    """A tool as the model is told of it."""

    name: str
    description: Text = ""
    input_schema: dict[str, Any] = Field(default_factory=dict)


class ToolEntry(QuantWire):
    """An entry of the list of tools; goes unchanged into a chat's `toolConfig`."""

    tool_spec: ToolSpec


class ToolList(QuantWire):
    """The tools that an organisation has."""

    tools: Annotated[list[ToolEntry], Items] = Field(default_factory=list)
    count: int | None = None


class ToolNameList(QuantWire):
    """Their names."""

    tools: Annotated[list[str], Items] = Field(default_factory=list)
    count: int | None = None


class ToolExecutionListItem(QuantWire):
    """One of the executions of the last 24 hours, in short."""

    execution_id: str
    tool_name: Text = ""
    status: Text = ""
    created_at: Moment | None = None
    completed_at: Moment | None = None


class ToolExecutionList(QuantWire):
    """The latest executions, newest first; there is no second page."""

    executions: Annotated[list[ToolExecutionListItem], Items] = Field(default_factory=list)
    count: int | None = None
    org_id: str | None = None
    status: str | None = None


class ToolExecution(QuantWire):
    """One run of an asynchronous tool.

    Attributes:
        result: Any JSON, once complete. Images come as data URIs in `images` and as links that hold
            for an hour in `s3Urls`.
        error: What went wrong, once failed.
        duration: Seconds.
    """

    execution_id: Text = ""
    tool_name: Text = ""
    status: Text = ""
    result: Any = None
    error: Fault = None
    created_at: Moment | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None
    duration: float | None = None


class ToolOrchestrationTool(QuantWire):
    """One of the tools that an orchestration gathers."""

    execution_id: Text = ""
    tool_name: Text = ""
    status: Text = ""
    result: Any = None
    error: Fault = None


class ToolOrchestration(QuantWire):
    """Several asynchronous tools whose results the model puts into one answer.

    Attributes:
        result: That answer, once complete; since 4.19.
        synthesized_response: Its name up to 4.17.
        synthesized_result: Its name in some of the documentation.
        tools: What became of each tool. Some may have failed in a complete orchestration.
        duration: Seconds; since 4.19.
    """

    orchestration_id: Text = ""
    status: Text = ""
    tool_count: int | None = None
    completed_tools: int | None = None
    result: Any = None
    synthesized_response: Any = None
    synthesized_result: Any = None
    tools: Annotated[list[ToolOrchestrationTool], Items] = Field(default_factory=list)
    error: Fault = None
    created_at: Moment | None = None
    completed_at: Moment | None = None
    duration: float | None = None

    @property
    def text(self) -> Any:
        """The answer, under whichever name it came."""
        named = (self.result, self.synthesized_response, self.synthesized_result)
        return next((text for text in named if text is not None), None)


# Chat


class ChatMessage(QuantWire):
    """A message: its content is text, or a list of blocks."""

    role: str
    content: str | list[dict[str, Any]]


class ToolConfig(QuantWire):
    """Which tools the model may use, and which of them Quant runs by itself.

    Attributes:
        tools: Entries as `list_ai_tools` gives them, or tools of your own in the same form.
        auto_execute: Whether Quant runs the tools in `allowed_tools`. All others are yours to run.
        allowed_tools: Names of the tools that Quant may run.
    """

    tools: list[ToolEntry]
    auto_execute: bool | None = None
    allowed_tools: list[str] | None = None


class ChatRequest(QuantWire):
    """One request to a model.

    Attributes:
        session_id: A UUID; continues a stored conversation.
        run_async: `async` on the wire: answer 202 at once and go on for up to 15 minutes.
    """

    messages: list[ChatMessage] = Field(min_length=1)
    model_id: str
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1, le=65536)
    top_p: float | None = Field(default=None, ge=0, le=1)
    system_prompt: str | None = None
    stop_sequences: list[str] | None = Field(default=None, max_length=4)
    response_format: dict[str, Any] | None = None
    tool_config: ToolConfig | None = None
    session_id: str | None = None
    run_async: bool | None = Field(default=None, alias="async")
    allowed_tools: list[str] | None = None
    guardrails: dict[str, Any] | None = None
    long_context: bool | None = None


class ToolUse(QuantWire):
    """What the model wants of a tool.

    Attributes:
        tool_use_id: The model's own id of this wish; its answer must name it.
        execution_id: The execution, if Quant started the tool and it is asynchronous.
        status: The execution's status, if Quant runs the tool.
        result: The result, if the tool is done already.
    """

    tool_use_id: Text = ""
    name: Text = ""
    input: Any = None
    execution_id: str | None = None
    status: str | None = None
    result: Any = None
    error: Fault = None


class _Assistant(QuantWire):
    role: Text = "assistant"
    content: Any = None


class ChatResponse(QuantWire):
    """What the model said: `acp_langgraph.quant.reading` finds text and tool uses in it.

    Attributes:
        response: The message; in an older form its fields are beside it.
        finish_reason: `stop`, `length`, `content_filter`, `tool_use`, or another word.
    """

    response: Any = None
    model: str | None = None
    request_id: str | None = None
    finish_reason: str | None = None
    usage: Any = None


class DurableAccepted(QuantWire):
    """A chat goes on by itself.

    Attributes:
        request_id: Names it; may hold characters that have to be encoded in a path.
        poll_url: Relative to the organisation, or absolute.
    """

    request_id: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    status: Text = ""
    message: str | None = None
    poll_url: str | None = None


class PendingTool(QuantWire):
    """A tool that the client has to run."""

    name: Text = ""
    tool_use_id: Text = ""
    input: Any = None


class DurableResult(QuantWire):
    """What a durable chat came to."""

    response: _Assistant | None = None
    usage: Any = None
    tool_executions: Annotated[list[Any], Items] = Field(default_factory=list)


class DurableError(QuantWire):
    """Why a durable chat failed; not in camelCase on the wire."""

    error_message: str | None = Field(default=None, alias="ErrorMessage")
    error_type: str | None = Field(default=None, alias="ErrorType")


class DurableExecution(QuantWire):
    """A durable chat: pending, running, waiting_callback, complete or failed.

    Attributes:
        callback_id: Where to send the results of `pending_tools`; good for one use.
    """

    request_id: str | None = None
    execution_arn: str | None = None
    status: Text = ""
    aws_status: str | None = None
    callback_id: str | None = None
    pending_tools: Annotated[list[PendingTool], Items] = Field(default_factory=list)
    result: DurableResult | None = None
    error: DurableError | str | bool | None = None


class ToolCallbackResult(QuantWire):
    """The result of a tool that the client ran."""

    tool_use_id: str
    result: dict[str, Any]


class ToolCallbackRequest(QuantWire):
    """The results of all the tools that a durable chat waits for."""

    callback_id: str
    tool_results: list[ToolCallbackResult]


class ToolCallbackAccepted(QuantWire):
    """The results were taken."""

    success: bool | None = None
    message: str | None = None
    callback_id: str | None = None


class AgentChatRequest(QuantWire):
    """One message to an agent, which runs all of its tools by itself."""

    message: str
    session_id: str | None = None
    user_id: str | None = None
    stream: Literal[False] | None = None
    run_async: bool | None = Field(default=None, alias="async")
    system: str | None = None
    long_context: bool | None = None
    max_tool_iterations: int | None = Field(default=None, ge=1, le=1000)
    allowed_collections: list[str] | None = None


class AgentChatResponse(QuantWire):
    """What the agent said: `response.text`, not `content` as in a chat."""

    session_id: str | None = None
    response: Any = None


class ChatEvent(QuantWire):
    """One event of a streamed chat.

    Attributes:
        event: E.g. `start`, `content`, `tool_start`, `tool_complete`, `tool_request`, `done`.
        data: What belongs to it.
    """

    event: str
    data: dict[str, Any]

    @property
    def delta(self) -> str:
        """The piece of text that this event adds to the answer."""
        delta = self.data.get("delta") if self.event == "content" else None
        return delta if isinstance(delta, str) else ""

    @property
    def is_last(self) -> bool:
        """Whether the stream is over; not whether the answer is: see `data["complete"]`."""
        return self.event == "done"


class ChatEventReader:
    """Reads the stream of one chat.

    Args:
        call: The call that is answered with the stream; named in errors.
        max_event_size: Characters that one event may have.
    """

    def __init__(self, call: Call[ChatEvent], max_event_size: int) -> None:
        self._call = call
        self._decoder = SSEDecoder(max_event_size=max_event_size)

    def feed(self, chunk: bytes) -> Iterator[ChatEvent]:
        """Take in the next bytes; the events that are complete now.

        Raises:
            EventStreamError: If an event is too large.
            QuantRunError: If the server says that the chat failed.
            UnreadableAnswerException: If an event holds no JSON object.
        """
        for event in self._decoder.feed(chunk):
            if event.data.strip() == "[DONE]":
                continue
            try:
                data = read_json(event.data)
            except ValueError:
                data = None
            if not isinstance(data, dict):
                raise UnreadableAnswerException(
                    f"{self._call.method} {self._call.path}",
                    200,
                    content=event.data.encode(),
                    problem=f"the event {event.event!r} of the stream holds no JSON object",
                )
            # Without an `event:` line the name is in the data.
            name = event.event if event.event != "message" else str(data.get("type", "message"))
            if name == "error":
                raise QuantRunError("chat", data.get("error") or data.get("message"))
            yield ChatEvent(event=name, data=data)

    def close(self) -> None:
        """Say that the stream has ended; what it cut off is dropped."""
        self._decoder.close()
