"""The models, by what programs do with them. What they print is compared in `tests/interop`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError
from support.acp_operations import DESCRIPTOR, EVENT, OUTCOME, RUN, STATE, THREAD

from acp_langgraph.agntcy import models
from acp_langgraph.agntcy.models import (
    Content,
    Message,
    RunCreateStateless,
    RunOutput,
    RunResult,
    RunStatus,
    StreamingMode,
    StreamMode,
)

BODIES: dict[str, Any] = {
    "AgentACPDescriptor": DESCRIPTOR,
    "RunOutputStream": EVENT,
    "RunWaitResponseStateless": OUTCOME,
    "RunStateless": RUN,
    "ThreadState": STATE,
    "Thread": THREAD,
    "Message": {"role": "ai", "content": [{"type": "text", "text": "a"}, {"type": "image"}]},
    "StreamMode": ["values", "custom"],
    "RunOutput": {"type": "error", "run_id": "r", "errcode": 1, "description": "no"},
}


@pytest.mark.parametrize("name", BODIES)
def test_what_came_goes_as_it_came(name: str) -> None:
    kind, body = getattr(models, name), BODIES[name]
    for made in (kind.from_dict(body), kind.from_json(json.dumps(body))):
        assert contains(json.loads(json.dumps(made.to_dict(), default=wire)), body)
        assert contains(json.loads(made.to_json()), body)
        assert kind.from_json(made.to_json()) == made


def wire(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z")


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(contains(whole[name], each) for name, each in part.items())
    if isinstance(part, list):
        return all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("name", models.__all__)
def test_nothing_stands_for_nothing(name: str) -> None:
    kind = getattr(models, name)
    assert kind.__doc__
    if hasattr(kind, "from_dict"):
        assert kind.from_dict(None) is None


@pytest.mark.parametrize(
    "made",
    [
        RunOutput(RunResult(type="result", values={"a": 1})),
        RunOutput(actual_instance=RunResult(type="result", values={"a": 1})),
        RunOutput.from_dict({"type": "result", "values": {"a": 1}}),
    ],
)
def test_the_one_of_several_is_given_by_position_by_name_or_as_it_came(made: Any) -> None:
    assert isinstance(made.actual_instance, RunResult)
    assert made.to_dict() == {"type": "result", "values": {"a": 1}}
    made.actual_instance = RunResult(type="result")
    assert made.to_json() == '{"type":"result"}'


def test_a_model_within_another_one_is_made_of_what_it_is_around() -> None:
    made = RunCreateStateless(stream_mode=StreamMode(StreamingMode.VALUES))
    assert made.to_dict()["stream_mode"] == "values"
    assert Message(role="user", content=Content("hi")).to_dict() == {
        "role": "user",
        "content": "hi",
    }


def test_what_was_set_is_told_and_what_is_none_is_not_sent() -> None:
    made = RunCreateStateless(agent_id="a", config=None)
    assert made.to_json() == '{"agent_id":"a","config":null}'
    assert set(made.to_dict()) == {
        "agent_id",
        "on_disconnect",
        "multitask_strategy",
        "on_completion",
    }
    assert RunCreateStateless(stream_mode=None).to_dict()["stream_mode"] is None


def test_an_assignment_is_checked_and_no_error_shows_a_value() -> None:
    made = RunCreateStateless(agent_id="a")
    made.after_seconds = 5
    with pytest.raises(ValidationError) as failed:
        made.on_completion = "sesame"  # type: ignore[assignment]  # that is the test
    assert "sesame" not in str(failed.value)


def test_a_word_prints_as_in_the_reference() -> None:
    assert f"{RunStatus.SUCCESS} {RunStatus('success').value}" == "RunStatus.SUCCESS success"
    assert RunStatus.from_json('"success"') == "success"


def test_an_error_tells_where_what_is_about_manifests_is() -> None:
    with pytest.raises(ImportError, match="imports it from agntcy_acp as before"):
        from acp_langgraph.agntcy.models import AgentManifest  # noqa: F401, PLC0415
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = models.Nothing
