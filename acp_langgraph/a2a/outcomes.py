"""What a task came to, as a job's outcome: JSON that a checkpointer remembers."""

from __future__ import annotations

from typing import Any, Final

from acp_langgraph.a2a.models import (
    ASKING,
    AUTH_REQUIRED,
    CANCELED,
    COMPLETED,
    TERMINAL,
    Message,
    Task,
)
from acp_langgraph.a2a.parts import dumped, loaded, value_of, words_of
from acp_langgraph.jobs.job import Outcome

_NOTHING_SAID: Final = (
    "Task completed successfully"  # what `langgraph dev` says instead of the answer
)


def outcome_of(task: Task) -> Outcome | None:
    """What a task came to; `None` if it is at work."""
    message = task.status.message
    if task.state == COMPLETED:
        return result(task.id, _said(task))
    if task.state in ASKING:
        asked = value_of([message.parts]) if message is not None else _asked(task)
        if task.state == AUTH_REQUIRED:
            asked = {"state": AUTH_REQUIRED, "message": asked}
        found = {"type": "interrupt", "payload": asked, "asked_at": task.asked_at}
        return {**found, "run_id": task.id}
    if task.state in TERMINAL:
        return {
            "type": "failed",
            "run_id": task.id,
            "state": task.state,
            "description": words_of(message.parts) if message is not None else "",
            "was_cancelled": task.state == CANCELED,
        }
    return None


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
