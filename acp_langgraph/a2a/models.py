"""What A2A servers answer, in the words of version 1.0.

Servers of 0.3 say the same in other words (`kind`, `file`, states in lower case), and some mix both;
either is read here, so that nobody else needs to know. Field names are those of the specification's
`a2a.proto`, spelt as Python does.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from acp_langgraph.core.wire import Wire

T = TypeVar("T")

INPUT_REQUIRED: Final = "input-required"
AUTH_REQUIRED: Final = "auth-required"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
REJECTED: Final = "rejected"
CANCELED: Final = "canceled"
ASKING: Final = frozenset({INPUT_REQUIRED, AUTH_REQUIRED})
TERMINAL: Final = frozenset({COMPLETED, FAILED, REJECTED, CANCELED})


def _or_empty(value: Any) -> Any:
    return [] if value is None else value


def _or_blank(value: Any) -> Any:
    return "" if value is None else value


Listed = Annotated[list[T], BeforeValidator(_or_empty)]
Text = Annotated[str, BeforeValidator(_or_blank)]


class A2AModel(Wire):
    """Base of what is in this file."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


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
    data: Any = None
    url: str | None = None
    raw: str | None = None
    media_type: Text = ""
    filename: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _in_words_of_1_0(cls, given: Any) -> Any:
        """A file of 0.3 is an object of its own."""
        file = given.get("file") if isinstance(given, dict) else None
        if not isinstance(file, dict):
            return given
        named = {"raw": "bytes", "url": "uri", "mediaType": "mimeType", "filename": "name"}
        return {new: file[old] for new, old in named.items() if file.get(old) is not None}

    @field_validator("data")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        return whole_numbers(value)

    @property
    def is_data(self) -> bool:
        """Whether it is a JSON value, be it `null`."""
        return "data" in self.model_fields_set and self.text is None

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.url is not None or self.raw is not None


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


class Message(A2AModel):
    """What one side says.

    Attributes:
        message_id: Made by whoever says it.
        role: Whose it is: `user` or `agent`.
        parts: What is said.
        context_id: The context that it belongs to.
        task_id: The task that it belongs to; in an answer without a task it names nothing.
    """

    message_id: Text = ""
    role: Text = ""
    parts: Listed[Part] = Field(default_factory=list)
    context_id: Text = ""
    task_id: Text = ""

    @field_validator("role")
    @classmethod
    def _plain(cls, role: str) -> str:
        return role.removeprefix("ROLE_").lower()


class TaskStatus(A2AModel):
    """How a task is.

    Attributes:
        state: As 0.3 spells it, e.g. `input-required`.
        message: What the agent says about it: its question, or why it failed.
        timestamp: When it came to be so, as the server wrote it; only compared.
    """

    state: str
    message: Message | None = None
    timestamp: Text = ""

    @field_validator("state")
    @classmethod
    def _plain(cls, state: str) -> str:
        return state.removeprefix("TASK_STATE_").lower().replace("_", "-")


class Artifact(A2AModel):
    """Something that a task came to.

    Attributes:
        artifact_id: Identifies it within its task.
        name: Its name.
        parts: What it consists of; pieces that were streamed are parts of their own.
    """

    artifact_id: Text = ""
    name: Text = ""
    parts: Listed[Part] = Field(default_factory=list)


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
    context_id: Text = ""
    status: TaskStatus
    artifacts: Listed[Artifact] = Field(default_factory=list)
    history: Listed[Message] = Field(default_factory=list)

    @property
    def state(self) -> str:
        """Its state."""
        return self.status.state

    @property
    def is_settled(self) -> bool:
        """Whether it is at work no more: it has ended, or asks."""
        return self.state in ASKING or self.state in TERMINAL

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

    tasks: Listed[Task] = Field(default_factory=list)
    next_page_token: Text = ""


class TaskStatusUpdate(A2AModel):
    """An event of a stream: a task's status changed."""

    task_id: Text = ""
    status: TaskStatus


class TaskArtifactUpdate(A2AModel):
    """An event of a stream: an artifact, or a piece of one.

    Attributes:
        task_id: The task.
        artifact: The artifact, with the new parts only.
        append: Whether the parts follow those that came before; else they replace them.
        last_chunk: Whether the artifact is complete.
    """

    task_id: Text = ""
    artifact: Artifact
    append: bool | None = None
    last_chunk: bool | None = None


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
        kind = given.get("kind") if isinstance(given, dict) else None
        return {_KINDS[kind]: given} if kind in _KINDS else given

    @model_validator(mode="after")
    def _is_something(self) -> StreamResponse:
        if not (self.task or self.message or self.status_update or self.artifact_update):
            raise ValueError("it is no task, no message and no update of a task")
        return self
