"""The ways in which A2A servers differ, and what their tasks look like for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from acp_langgraph.testing.runs import FakeRun

A2A_REJECTED: Final = 403
"""The `errcode` of a `Fail` by which an agent refuses a task."""

_STATES: Final = {
    "pending": "working",
    "interrupted": "input-required",
    "success": "completed",
    "error": "failed",
    "canceled": "canceled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class A2ABehavior:
    """How a server keeps to the protocol. Every field is a keyword of `FakeA2AServer`.

    Attributes:
        binding: What the card offers: `JSONRPC` or `HTTP+JSON`.
        version: What is spoken: `1.0` or `0.3`, which there is over JSON-RPC only.
        declares: The version that the card says; the one that is spoken, if left out.
        streaming: Whether tasks can be followed.
        lists: Whether tasks can be listed.
        contexts: What becomes of a client's context: it is `kept`, `refused`, or the server makes
            its `own` instead, which it must not.
        tasks: Whether messages are answered with tasks; if not, with messages when all is done, of
            which nothing remains.
        immediate: Whether it can answer before a task is settled, as it is asked to.
        history: Whether it shows what was said.
        late: Whether a task that was answered is still said to ask until it is settled again, without
            its question, as servers do whose agent says nothing meanwhile.
        questions: Where a question is: in the `status`, or as an artifact in the answer to the message
            alone (`artifact`), as `langgraph dev` has it.
        api_key: The key that must come in `x-api-key`; 401 without.
        url: Where the card says that the agent is; where it is, if left out.
    """

    binding: Literal["JSONRPC", "HTTP+JSON"] = "JSONRPC"
    version: Literal["1.0", "0.3"] = "1.0"
    declares: str | None = None
    streaming: bool = True
    lists: bool = True
    contexts: Literal["kept", "own", "refused"] = "kept"
    tasks: bool = True
    immediate: bool = True
    history: bool = True
    late: bool = False
    questions: Literal["status", "artifact"] = "status"
    api_key: str | None = field(default=None, repr=False)
    url: str | None = None


@dataclass(slots=True, eq=False)
class FakeA2ATask:
    """One task, as the server saw it: one object for each that was begun, kept for ever.

    Attributes:
        run: What it does, and did; its `input` is what the first message said, its `answers` what
            the later ones did.
        context_id: The context that it is in.
        messages: Every message, the agent's as well, in the words of 1.0.
    """

    run: FakeRun
    context_id: str
    messages: list[dict[str, Any]]

    def __repr__(self) -> str:
        return repr(self.run).replace("<run", "<task", 1)

    @property
    def task_id(self) -> str:
        """Its id."""
        return self.run.run_id

    @property
    def input(self) -> Any:
        """What the message that began it says."""
        return self.run.input

    @property
    def answers(self) -> list[Any]:
        """What it was answered."""
        return self.run.answers

    @property
    def state(self) -> str:
        """Its state."""
        state = _STATES[self.run.status]
        if state == "failed" and (self.run.output or {}).get("errcode") == A2A_REJECTED:
            return "rejected"
        asks_for_login = state == "input-required" and self.run.interrupt_name == "auth"
        return "auth-required" if asks_for_login else state

    @property
    def is_settled(self) -> bool:
        """Whether it is at work no more."""
        return not self.run.running


def parts_of(value: Any) -> list[dict[str, Any]]:
    """The parts that an agent says a value with."""
    several = isinstance(value, list) and value and all(map(_is_part, value))
    if several:
        return list(value)
    if _is_part(value):
        return [value]
    return [{"text": value}] if isinstance(value, str) else [{"data": value}]


def _is_part(value: Any) -> bool:
    kinds = {"text", "data", "url", "raw"}
    named = {"mediaType", "filename"}
    return (
        isinstance(value, dict)
        and len(kinds & value.keys()) == 1
        and not value.keys() - kinds - named
    )


def value_of(parts: list[dict[str, Any]]) -> Any:
    """What parts say, as a script sees it: a text, a value, a file as a dict, or a list of these."""
    values = [
        part["text"] if "text" in part else part["data"] if "data" in part else dict(part)
        for part in parts
    ]
    return values[0] if len(values) == 1 else values


class A2AWire:
    """Puts tasks into the words of a version."""

    def __init__(self, behavior: A2ABehavior) -> None:
        self.behavior = behavior

    @property
    def is_old(self) -> bool:
        """Whether it is 0.3."""
        return self.behavior.version == "0.3"

    def task(
        self,
        task: FakeA2ATask,
        *,
        answering: bool = False,
        listed: bool = False,
        is_new: bool = False,
    ) -> Any:
        """A task; `answering` a message, `listed` without its artifacts, or as if nothing was done."""
        ids = {"id": task.task_id, "contextId": task.context_id}
        if is_new:
            state = "working" if self.is_old else "TASK_STATE_WORKING"
            return {**({"kind": "task"} if self.is_old else {}), **ids, "status": {"state": state}}
        shown: dict[str, Any] = {**ids, "status": self.status(task)}
        artifacts = [] if listed else list(self.artifacts(task))
        if answering and self.behavior.questions == "artifact" and task.run.interrupted:
            asked = {"id": "1", "value": (task.run.output or {})["interrupt"]}
            artifacts.append({"artifactId": "i", "name": "Interrupt", "parts": [{"data": asked}]})
        if artifacts:
            shown["artifacts"] = [self._with_parts(artifact) for artifact in artifacts]
        if self.behavior.history:
            shown["history"] = [self.message(message) for message in task.messages]
        return {"kind": "task", **shown} if self.is_old else shown

    def status(self, task: FakeA2ATask) -> dict[str, Any]:
        """How a task is."""
        run, output = task.run, task.run.output or {}
        state, at, said = task.state, run.updated_at.isoformat(), None
        if run.interrupted and self.behavior.questions == "status":
            said = self.said(task, output["interrupt"], f"{task.task_id}-{run.resumed + 1}")
        elif state in {"failed", "rejected"} and output["description"]:
            said = self.said(task, output["description"], f"{task.task_id}-end")
        elif self.behavior.late and run.running and run.answers:
            state, at = "input-required", task.messages[-1]["late"]
        elif run.running:
            said = self._said_last(task)
        word = state if self.is_old else f"TASK_STATE_{state.upper().replace('-', '_')}"
        shown = {"state": word, "timestamp": at}
        return {**shown, "message": said} if said is not None else shown

    def _said_last(self, task: FakeA2ATask) -> dict[str, Any] | None:
        """What the agent says while it works."""
        for position, update in reversed(list(enumerate(task.run.updates))):
            if isinstance(update.payload, dict) and "say" in update.payload:
                said = update.payload["say"]
                return self.said(task, said, f"{task.task_id}-say-{position}")
        return None

    def artifacts(self, task: FakeA2ATask) -> Iterator[dict[str, Any]]:
        """What a task came to so far; pieces of one are its parts."""
        pieces = [part for update in task.run.updates for part in _pieces(update)]
        if pieces:
            yield {"artifactId": "a1", "name": "answer", "parts": pieces}
        values = (task.run.output or {}).get("values") if task.run.completed else None
        if values is not None:
            yield {"artifactId": "a2", "name": "result", "parts": parts_of(values)}

    def said(self, task: FakeA2ATask, value: Any, message_id: str) -> dict[str, Any]:
        """Something that the agent says."""
        ids = {"messageId": message_id, "contextId": task.context_id, "taskId": task.task_id}
        return self.message({**ids, "role": "ROLE_AGENT", "parts": parts_of(value)})

    def message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A message."""
        shown = {name: value for name, value in message.items() if name != "late"}
        if self.is_old:
            shown |= {"kind": "message", "role": shown["role"].removeprefix("ROLE_").lower()}
        return self._with_parts(shown)

    def updates(
        self, task: FakeA2ATask, position: int, *, is_over: bool
    ) -> Iterator[dict[str, Any]]:
        """The events of a stream for the updates from a position on, and for its end."""
        ids = {"taskId": task.task_id, "contextId": task.context_id}
        earlier = any(True for update in task.run.updates[:position] for _ in _pieces(update))
        for update in task.run.updates[position:]:
            said = update.payload.get("say") if isinstance(update.payload, dict) else None
            if update.kind == "custom" and said is not None:
                message = self.said(task, said, f"{task.task_id}-say-{position}")
                state = "working" if self.is_old else "TASK_STATE_WORKING"
                status = {"state": state, "message": message}
                yield self.event("statusUpdate", {**ids, "status": status})
            for part in _pieces(update):
                artifact = {"artifactId": "a1", "name": "answer", "parts": [part]}
                append = {"append": True} if earlier else {}
                earlier = True
                shown = {**ids, "artifact": self._with_parts(artifact), **append}
                yield self.event("artifactUpdate", shown)
            if update.kind == "result" and update.payload.get("values") is not None:
                (last,) = [each for each in self.artifacts(task) if each["artifactId"] == "a2"]
                shown = {**ids, "artifact": self._with_parts(last), "lastChunk": True}
                yield self.event("artifactUpdate", shown)
            position += 1
        if is_over:
            final = {"final": True} if self.is_old else {}
            yield self.event("statusUpdate", {**ids, "status": self.status(task), **final})

    def event(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        """What a message is answered with, or an event of a stream."""
        if not self.is_old:
            return {kind: value}
        names = {"statusUpdate": "status-update", "artifactUpdate": "artifact-update"}
        return {"kind": names.get(kind, kind), **value}

    def _with_parts(self, holder: Mapping[str, Any]) -> dict[str, Any]:
        parts = holder["parts"]
        return {**holder, "parts": [_old_part(part) for part in parts] if self.is_old else parts}


def _pieces(update: Any) -> list[dict[str, Any]]:
    """The parts that an `Emit` adds to the task's artifact."""
    is_words = isinstance(update.payload, dict) and "say" in update.payload
    return [] if update.kind != "custom" or is_words else parts_of(update.payload)


def _old_part(part: Mapping[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {"kind": "text", "text": part["text"]}
    if "data" in part:
        return {"kind": "data", "data": part["data"]}
    names = {"raw": "bytes", "url": "uri", "mediaType": "mimeType", "filename": "name"}
    return {"kind": "file", "file": {names[name]: value for name, value in part.items()}}


def new_part(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part in the words of 1.0, whichever it came in."""
    if "file" in part:
        names = {"bytes": "raw", "uri": "url", "mimeType": "mediaType", "name": "filename"}
        return {names[name]: value for name, value in part["file"].items()}
    return {name: value for name, value in part.items() if name not in {"kind", "metadata"}}
