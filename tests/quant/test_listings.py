"""One entry of a listing of Quant's that cannot be read hides no other, and no task is made twice for it."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from quant.test_client import call_quant
from support.quant_operations import EXECUTIONS, IN_SHORT, TASK_ID, TOOL
from support.recorder import Answer, recording

from acp_langgraph.errors import UnknownOutcomeError, UnreadableAnswerException
from acp_langgraph.jobs.once import Trace
from acp_langgraph.nodes.quant import QuantToolNode
from acp_langgraph.quant.client import AsyncQuantClient, QuantClient
from acp_langgraph.quant.polling import Pace, QuantPolicy
from acp_langgraph.quant.tasks import create_once
from acp_langgraph.testing import Fault, Response
from acp_langgraph.testing.quant import FakeQuant, FakeTool

LISTINGS = {
    # operation: where its entries are, one that can be read, one that cannot and its name
    "list_ai_tools": ("tools", TOOL, {"toolSpec": {"description": "odd"}}),
    "list_ai_tool_executions": (
        "executions",
        EXECUTIONS["executions"][0],
        {"toolName": "odd_tool", "executionId": None},
    ),
    "list_tasks": ("tasks", IN_SHORT, {"title": "odd task", "taskId": None}),
    "list_ai_tool_names": ("tools", "draw", {"name": "odd"}),
}
QUICK = Pace(0.01, 0.02, 30.0)
every_listing = pytest.mark.parametrize("name", LISTINGS)


@pytest.fixture
def server():
    with recording() as recorder:
        yield recorder


@every_listing
@pytest.mark.parametrize("junk", [None, 5, []])
def test_an_entry_that_cannot_be_read_is_left_out_named_and_the_others_are_read(
    server, color, name, junk, caplog
):
    where, good, odd = LISTINGS[name]
    server.answer = Answer.json({where: [odd, good, junk, good], "count": 4})
    with caplog.at_level(logging.WARNING, logger="acp_langgraph"):
        found = call_quant(color, server.url, name)
    assert len(getattr(found, where)) == 2
    assert found.count == 4
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert said
    assert where in " ".join(said)


def test_a_tool_is_used_beside_one_that_cannot_be_read(color):
    def spoil(answer):
        listed = json.loads(answer.body)
        return Response.json({**listed, "tools": [{"toolSpec": {}}, *listed["tools"]]})

    with FakeQuant([FakeTool("count", is_async=False, result=7)], scale=0.01) as server:
        server.faults.add(Fault("spoilt", alter=spoil), on="list_ai_tools", times=None)
        node = QuantToolNode(
            "count",
            server.url,
            organisation="acme",
            model_id="m",
            tools=["count"],
            input_path="ask",
            output_path="answer",
            pace=QUICK,
        )
        assert color.invoke(node, {"ask": "how many?"})["answer"] is not None


def made_once(color, server):
    """The id of a task that is created once, whatever becomes of the answer."""
    flow = create_once({"title": "Review"}, "key-1", QuantPolicy(QUICK), Trace(), "node")
    if color.name == "sync":
        with QuantClient(server.url, "acme") as client:
            return client._transport.run(flow)

    async def awaiting():
        async with AsyncQuantClient(server.url, "acme") as client:
            return await client._transport.run(flow)

    return asyncio.run(awaiting())


def created(server):
    return server.requests.count("create_task")


def altered(change):
    def alter(answer):
        listed = json.loads(answer.body)
        return Response.json({**listed, "tasks": change(listed["tasks"])})

    return Fault("altered", alter=alter)


def test_a_task_is_looked_up_beside_one_that_cannot_be_read(color):
    with FakeQuant([]) as server:
        server.faults.add(Fault.lose_answer(), on="create_task")
        odd = altered(lambda tasks: [{"title": "no id"}, *tasks])
        server.faults.add(odd, on="list_tasks", times=None)
        assert made_once(color, server)
        assert created(server) == 1


def test_a_task_that_cannot_be_read_may_be_the_one_that_is_looked_for(color):
    with FakeQuant([]) as server:
        server.faults.add(Fault.lose_answer(), on="create_task")
        odd = altered(lambda tasks: [{**task, "taskId": None} for task in tasks])
        server.faults.add(odd, on="list_tasks", times=None)
        with pytest.raises((UnknownOutcomeError, UnreadableAnswerException)):
            made_once(color, server)
        assert created(server) == 1


@pytest.mark.parametrize("hours", [-10, -5, 0, 9])
def test_a_time_without_a_zone_is_no_reason_to_make_a_task_twice(color, hours):
    """As a server in another zone writes it, which leaves the zone out."""
    there = datetime.now(UTC) + timedelta(hours=hours)
    naive = there.replace(tzinfo=None).isoformat()
    with FakeQuant([]) as server:
        server.faults.add(Fault.lose_answer(), on="create_task")
        server.faults.add(
            altered(lambda tasks: [{**task, "createdAt": naive} for task in tasks]),
            on="list_tasks",
            times=None,
        )
        assert made_once(color, server)
        assert created(server) == 1


def test_a_task_in_a_listing_is_read_however_its_time_is_written(server, color):
    for moment in (1735689600000, "2025-01-01T00:00:00Z", "2025-01-01T00:00:00", "yesterday", {}):
        server.answer = Answer.json({"tasks": [{**IN_SHORT, "createdAt": moment}]})
        (task,) = call_quant(color, server.url, "list_tasks").tasks
        assert task.task_id == TASK_ID
