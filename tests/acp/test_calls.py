from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import NoneType
from typing import get_args, get_type_hints
from uuid import UUID

import pytest
from pydantic import BaseModel
from support.acp_operations import OPERATIONS, RUN_ID

from acp_langgraph.acp import calls
from acp_langgraph.acp.models import RunConfig, RunCreateStateless

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.name)


def call_of(operation, **options):
    return getattr(calls, operation.name)(*operation.arguments, **operation.query, **options)


def test_there_is_a_function_for_each_operation_and_no_other():
    own = {
        name
        for name, each in vars(calls).items()
        if not name.startswith("_") and getattr(each, "__module__", "") == calls.__name__
    }
    assert own - {"Parameters", "answered"} == {operation.name for operation in OPERATIONS}
    assert len(OPERATIONS) == 30


@every_operation
def test_a_call_is_typed_by_what_its_function_promises(operation):
    (promised,) = get_args(get_type_hints(getattr(calls, operation.name))["return"])
    returns = call_of(operation).returns
    assert (NoneType if returns is None else returns) == promised


@every_operation
def test_a_call_carries_the_name_of_its_operation(operation):
    call = call_of(operation)
    assert call.operation == operation.name
    assert call.streams is operation.streams


@every_operation
def test_the_options_of_a_call_are_carried_beside_its_own_headers(operation):
    call = call_of(operation, timeout=3, headers={"X-A": "b"})
    assert call.timeout == 3
    assert call.headers == {**call_of(operation).headers, "x-a": "b"}


@every_operation
def test_what_creates_or_resumes_a_run_is_not_repeated_blindly(operation):
    changes = operation.name.startswith(("create_", "resume_", "copy_", "patch_"))
    assert call_of(operation).may_repeat is not changes


def test_an_id_may_be_a_uuid():
    assert calls.get_thread(UUID(RUN_ID)).path == f"/threads/{RUN_ID}"


def test_of_a_model_only_what_was_set_is_sent():
    body = RunCreateStateless(agent_id="a", config=RunConfig(tags=["x"]), input=None)
    call = calls.create_stateless_run(body)
    assert call.body == {"agent_id": "a", "config": {"tags": ["x"]}, "input": None}


def test_fields_of_a_dict_that_the_specification_does_not_know_are_sent_too():
    assert calls.create_thread({"thread_id": "t", "vendor": 1}).body == {
        "thread_id": "t",
        "vendor": 1,
    }


class Letter(BaseModel):
    text: str
    language: str = "en"


@dataclass
class Note:
    at: datetime
    size: int = 1


def test_the_agents_own_data_is_sent_whole_with_its_defaults():
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    call = calls.create_stateless_run(
        {
            "input": {"letter": Letter(text="hi"), "notes": (Note(moment),)},
            "config": {"configurable": Letter(text="x")},
            "metadata": {"letter": Letter(text="y")},
        }
    )
    assert call.body == {
        "input": {
            "letter": {"text": "hi", "language": "en"},
            "notes": [{"at": "2026-11-22T00:00:00Z", "size": 1}],
        },
        "config": {"configurable": {"text": "x", "language": "en"}},
        "metadata": {"letter": {"text": "y", "language": "en"}},
    }
    answer = calls.resume_stateless_run(RUN_ID, Letter(text="yes"))
    assert answer.body == {"text": "yes", "language": "en"}


def test_the_callers_body_is_left_as_it_was():
    body = {"agent_id": "a", "input": {"x": [1]}}
    calls.create_stateless_run(body)
    assert body == {"agent_id": "a", "input": {"x": [1]}}
