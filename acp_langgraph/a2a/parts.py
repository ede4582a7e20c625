"""Between what is in a state and the parts of a message: text, data and files.

    a `str`                      one text part
    a `FilePart`                 one file
    a list with a `FilePart`     a part for each of its entries
    anything else                one data part

and back by the type that is wanted of the answer. Between these is what a checkpointer remembers of what a
task came to: a job's outcome, with the parts as they are.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, model_validator

from acp_langgraph.a2a.models import Message, Part, Task
from acp_langgraph.jobs.job import Outcome

_JSON: Final = "application/json"
_NOTHING_SAID: Final = "Task completed successfully"  # instead of the answer, by `langgraph dev`


def _decoded(value: Any) -> Any:
    return b64decode(value, validate=True) if isinstance(value, str) else value


_Raw = Annotated[
    bytes,
    BeforeValidator(_decoded),
    PlainSerializer(lambda raw: b64encode(raw).decode(), return_type=str, when_used="json"),
]


class FilePart(BaseModel):
    """A file that is sent to an A2A agent, or comes from one.

        FilePart(content=b"...", media_type="image/png", name="pie.png")
        FilePart(url="https://files.example/pie.png")

    Give its bytes or where they are. In a node, say that an input or an answer is one with
    `input_type=FilePart` or `output_type=FilePart` (or `list[FilePart]`); in JSON, its bytes are base64.

    Attributes:
        kind: Tells in JSON that it is a file.
        content: The bytes; `None` if there is a URL instead.
        url: Where they are. Nothing is fetched from there.
        media_type: What they are.
        name: The file's name.
    """

    model_config = ConfigDict(hide_input_in_errors=True, extra="forbid")

    kind: Literal["file"] = "file"
    content: _Raw | None = None
    url: str | None = None
    media_type: str = ""
    name: str = ""

    @model_validator(mode="after")
    def _is_somewhere(self) -> FilePart:
        if (self.content is None) == (self.url is None):
            raise ValueError("a file has either content or a url")
        return self


_NAMES: Final = {"content": "raw", "url": "url", "media_type": "mediaType", "name": "filename"}


def parts_of(value: Any) -> list[dict[str, Any]]:
    """The parts that stand for a JSON value.

    Args:
        value: As an input, or an answer to a question, is sent.
    """
    if isinstance(value, list) and any(map(_is_file, value)):
        return [_part_of(each) for each in value]
    return [_part_of(value)]


def _part_of(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if not _is_file(value):
        return {"data": value, "mediaType": _JSON}
    said = {_NAMES[name]: each for name, each in value.items() if each and name in _NAMES}
    return said if "url" in said else {"raw": "", **said}


def _is_file(value: Any) -> bool:
    """Whether a JSON value is what a `FilePart` is written as."""
    if (
        not isinstance(value, dict)
        or value.get("kind") != "file"
        or not value.keys() <= {"kind", *_NAMES}
    ):
        return False
    return isinstance(value.get("url") or value.get("content"), str)


def value_of(groups: Iterable[Sequence[Part]], declared: Any = None) -> Any:
    """What parts say, as what is wanted of them.

    Args:
        groups: The parts of each artifact, or of one message.
        declared: The type that is wanted; `None` for whatever there is: the data, or else the text, or
            else the files. Several of a kind are a list, but for text, which is put together.

    Returns:
        JSON; `None` if there are no parts.
    """
    groups = [list(group) for group in groups]
    parts = [part for group in groups for part in group]
    data = [part.data for part in parts if part.is_data]
    files = [_file(part) for part in parts if part.is_file]
    texts = ["".join(part.text or "" for part in group) for group in groups]
    text = "\n".join(each for each in texts if each)
    kind = _kind_of(declared)
    if kind == "files":
        return files
    if kind == "file":
        return files[0] if files else _only(data) if data else text
    if kind == "text":
        return text if text or not data else _as_text(_only(data))
    if data:
        return data if kind == "list" and len(data) > 1 else _only(data)
    if text:
        return _read(text) if kind != "any" else text
    return _only(files) if files else None


def _kind_of(declared: Any) -> str:
    if get_origin(declared) is Annotated:
        declared = get_args(declared)[0]
    if declared is None or declared is Any:
        return "any"
    if declared is str:
        return "text"
    if declared is FilePart:
        return "file"
    if get_origin(declared) in {list, tuple, Sequence}:
        return "files" if FilePart in get_args(declared) else "list"
    return "other"


def _file(part: Part) -> dict[str, Any]:
    place = {"url": part.url} if part.url is not None else {"content": part.raw}
    return {"kind": "file", **place, "media_type": part.media_type, "name": part.filename}


def _only(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(text: str) -> Any:
    """The JSON that a text is: agents of language models write what they should give as data."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def words_of(parts: Sequence[Part]) -> str:
    """What parts say, for an error."""
    return str(value_of([parts], str))


def dumped(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Parts as they are remembered: JSON without what is empty."""
    return [
        {
            **({"data": part.data} if part.is_data else {}),
            **part.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        }
        for part in parts
    ]


def loaded(parts: Iterable[Mapping[str, Any]]) -> list[Part]:
    """What `dumped` has written."""
    return [Part.model_validate(part) for part in parts]


def outcome_of(task: Task) -> Outcome | None:
    """What a task came to; `None` if it is at work."""
    message = task.status.message
    if task.state == "completed":
        return result(task.id, _said(task))
    if task.status.asks:
        asked = value_of([message.parts]) if message is not None else _asked(task)
        if task.state == "auth-required":
            asked = {"state": "auth-required", "message": asked}
        found = {"type": "interrupt", "run_id": task.id, "payload": asked}
        return {**found, "asked_at": task.asked_at}
    if not task.status.is_settled:
        return None
    said = words_of(message.parts) if message is not None else ""
    failed = {"type": "failed", "run_id": task.id, "state": task.state, "description": said}
    return {**failed, "was_cancelled": task.state == "canceled"}


def result(task_id: str, groups: list[list[dict[str, Any]]]) -> Outcome:
    """The outcome of a task, or of a message, that came to these groups of parts."""
    return {"type": "result", "run_id": task_id, "groups": groups}


def result_of(outcome: Outcome, declared: Any) -> Any:
    """What a task came to, as JSON of the type that is wanted."""
    return value_of(map(loaded, outcome["groups"]), declared)


def _said(task: Task) -> list[list[dict[str, Any]]]:
    """What a task came to: its artifacts, or else what the agent said last."""
    if any(artifact.parts for artifact in task.artifacts):
        return [dumped(artifact.parts) for artifact in task.artifacts]
    said = task.status.message
    if said is None or words_of(said.parts) == _NOTHING_SAID:
        said = _last_words(task) or said
    return [dumped(said.parts)] if said is not None else []


def _last_words(task: Task) -> Message | None:
    words = [message for message in task.history if message.role == "agent"]
    return words[-1] if words else None


def _asked(task: Task) -> Any:
    """The question of a task that says none: `langgraph dev` gives it as an artifact."""
    for artifact in task.artifacts:
        value = value_of([artifact.parts])
        if artifact.name == "Interrupt" and isinstance(value, dict) and "value" in value:
            return value["value"]
    last = _last_words(task)
    return None if last is None else value_of([last.parts])
