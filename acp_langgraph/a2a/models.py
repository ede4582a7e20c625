"""What A2A servers answer, in the words of version 1.0.

Servers of 0.3 say the same in other words (`kind`, `file`, states in lower case), and some mix both;
either is read here, so that nobody else needs to know. Field names are those of the specification's
`a2a.proto`, spelt as Python does.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from acp_langgraph.core.calls import adapter_of
from acp_langgraph.core.wire import Wire, first_fault
from acp_langgraph.errors import UnreadableAnswerException

T = TypeVar("T")

_ASKING: Final = frozenset({"input-required", "auth-required"})
_TERMINAL: Final = frozenset({"completed", "failed", "rejected", "canceled"})
FILE_OF_0_3: Final = {"raw": "bytes", "url": "uri", "mediaType": "mimeType", "filename": "name"}


def _plain(word: str) -> str:
    return word.removeprefix("ROLE_").removeprefix("TASK_STATE_").lower().replace("_", "-")


Word: TypeAlias = Annotated[str, AfterValidator(_plain)]
"""A role or a state, as 0.3 spells it: `input-required`."""


def whole_numbers(value: Any) -> Any:
    """The same JSON with integers for whole numbers: protobuf's JSON knows floats only.

    What is declared as a float becomes one again when it is checked.
    """
    match value:
        case float() if value.is_integer() and abs(value) <= 2**53:
            return int(value)
        case list():
            return [whole_numbers(each) for each in value]
        case dict():
            return {name: whole_numbers(each) for name, each in value.items()}
    return value


class A2AModel(Wire):
    """Base of what is on the wire; a field of no value is one that is left out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: each for name, each in given.items() if each is not None or name == "data"}


class Part(A2AModel):
    """A piece of content: one of `text`, `data`, `url` or `raw`.

    Attributes:
        text: Plain text.
        data: Any JSON value.
        url: Where a file is.
        raw: A file's bytes, in base64.
        media_type: What the content is, e.g. `image/png`.
        filename: A file's name.
    """

    text: str | None = None
    data: Annotated[Any, AfterValidator(whole_numbers)] = None
    url: str | None = None
    raw: str | None = None
    media_type: str = ""
    filename: str = ""

    @model_validator(mode="before")
    @classmethod
    def _in_words_of_1_0(cls, given: Any) -> Any:
        """A file of 0.3 is an object of its own."""
        match given:
            case {"file": {**file}}:
                return {new: file[old] for new, old in FILE_OF_0_3.items() if old in file}
        return given

    @property
    def is_data(self) -> bool:
        """Whether it is a JSON value, be it `null`."""
        return "data" in self.model_fields_set and self.text is None

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.url is not None or self.raw is not None


class Message(A2AModel):
    """What one side says.

    Attributes:
        message_id: Made by whoever says it.
        role: Whose it is: `user` or `agent`.
        parts: What is said.
    """

    message_id: str = ""
    role: Word = ""
    parts: list[Part] = Field(default_factory=list)


class TaskStatus(A2AModel):
    """How a task is.

    Attributes:
        state: E.g. `input-required`.
        message: What the agent says about it: its question, or why it failed.
        timestamp: When it came to be so, as the server wrote it; only compared.
    """

    state: Word
    message: Message | None = None
    timestamp: str = ""

    @property
    def asks(self) -> bool:
        """Whether the task waits for somebody."""
        return self.state in _ASKING

    @property
    def is_settled(self) -> bool:
        """Whether the task is at work no more: it has ended, or asks."""
        return self.asks or self.state in _TERMINAL


class Artifact(A2AModel):
    """Something that a task came to.

    Attributes:
        artifact_id: Identifies it within its task.
        name: Its name.
        parts: What it consists of; pieces that were streamed are parts of their own.
    """

    artifact_id: str = ""
    name: str = ""
    parts: list[Part] = Field(default_factory=list)


class Task(A2AModel):
    """A piece of work.

    Attributes:
        id: Given by the server.
        context_id: What it belongs to; the client's, where the server keeps to it.
        status: How it is.
        artifacts: What it came to so far.
        history: What was said, as far as the server shows it.
    """

    id: str = Field(min_length=1)
    context_id: str = ""
    status: TaskStatus
    artifacts: list[Artifact] = Field(default_factory=list)
    history: list[Message] = Field(default_factory=list)

    @property
    def state(self) -> str:
        """Its state."""
        return self.status.state

    @property
    def asked_at(self) -> str | None:
        """What tells its question from its others; `None` if nothing does."""
        said = self.status.message.message_id if self.status.message is not None else ""
        return self.status.timestamp or said or None


class TaskList(A2AModel):
    """A page of tasks; the ones whose status changed last come first.

    Attributes:
        tasks: The tasks.
        next_page_token: What gets the next page; empty if there is none.
    """

    tasks: list[Task] = Field(default_factory=list)
    next_page_token: str = ""


class TaskStatusUpdate(A2AModel):
    """An event of a stream: a task's status changed."""

    status: TaskStatus


class TaskArtifactUpdate(A2AModel):
    """An event of a stream: an artifact, or a piece of one.

    Attributes:
        artifact: The artifact, with the new parts only.
        append: Whether the parts follow those that came before; else they replace them.
    """

    artifact: Artifact
    append: bool = False


class PushConfig(A2AModel):
    """A webhook of a task.

    Attributes:
        id: Given by the server, or by whoever made it.
        task_id: The task.
        url: What the server calls with what becomes of the task.
        token: What it sends along, so that it is known by it.
    """

    id: str = ""
    task_id: str = ""
    url: str = ""
    token: str = Field("", repr=False)

    @model_validator(mode="before")
    @classmethod
    def _in_words_of_1_0(cls, given: Any) -> Any:
        """In 0.3 it stands beside the task's id."""
        match given:
            case {"pushNotificationConfig": {**config}}:
                return {**config, "taskId": given.get("taskId")}
        return given


class PushConfigList(A2AModel):
    """A page of a task's webhooks; in 0.3 all, and nothing but a list."""

    configs: list[PushConfig] = Field(default_factory=list)
    next_page_token: str = ""

    @model_validator(mode="before")
    @classmethod
    def _in_words_of_1_0(cls, given: Any) -> Any:
        return {"configs": given} if isinstance(given, list) else given


_KINDS: Final = {
    "task": "task",
    "message": "message",
    "status-update": "statusUpdate",
    "artifact-update": "artifactUpdate",
}


class StreamResponse(A2AModel):
    """What a message is answered with, or an event of a stream: one of these."""

    task: Task | None = None
    message: Message | None = None
    status_update: TaskStatusUpdate | None = None
    artifact_update: TaskArtifactUpdate | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_words_of_1_0(cls, given: Any) -> Any:
        """In 0.3 it is the thing itself, which says its kind."""
        match given:
            case {"kind": str(kind)} if kind in _KINDS:
                return {_KINDS[kind]: given}
        return given

    @model_validator(mode="after")
    def _is_something(self) -> StreamResponse:
        if not (self.task or self.message or self.status_update or self.artifact_update):
            raise ValueError("it is no task, no message and no update of a task")
        return self


def made(kind: type[T], said: Any, where: str) -> T:
    """What was said, as it should be.

    Raises:
        UnreadableAnswerException: If it is something else.
    """
    try:
        return adapter_of(kind).validate_python(said)  # type: ignore[arg-type,no-any-return]  # of T
    except ValidationError as error:
        raise UnreadableAnswerException(where, 200, problem=first_fault(error)) from None
