"""The process is killed with SIGKILL around Quant's jobs, and started again until the graph is done.

`pytest tests/faults/test_quant_kill.py --kills 50` is the full count.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.zygote import Zygote

from acp_langgraph.testing.quant import FakeQuant, FakeTool

FAST = (("pending", 2.0), ("running", 3.0))
TIMES_STARTED_AT_MOST = 4
both_colors = pytest.mark.parametrize("color_name", ["sync", "async"])


def service(**options: Any) -> FakeQuant:
    tools = [
        FakeTool("generate_image", result={"s3Urls": ["https://s3/x"]}, states=FAST),
        FakeTool("count", result={"n": 3}, states=FAST),
    ]
    return FakeQuant(tools, scale=0.01, chat_states=FAST, **options)


def job_for(server: FakeQuant, kind: str, color: str, folder: Path, **more: Any) -> Any:
    def make() -> dict[str, Any]:
        name = uuid.uuid4().hex
        return {
            "module": "support.quant_graph",
            "kind": kind,
            "color": color,
            "durability": "async",
            "url": server.url,
            "thread": name,
            "database": str(folder / f"{name}.sqlite"),
            "input": {"ask": f"job {name}"},
            **more,
        }

    return make


def moments(zygote: Zygote, make: Callable[[], dict[str, Any]], points: int) -> list[int]:
    """At which ticks to kill, spread over a life."""
    ended = zygote.do({**make(), "fatal": 0})
    assert ended["exit"] == 0, ended
    ticks = int(ended["ticks"])
    if points <= ticks:
        return [1 + index * ticks // points for index in range(points)]
    chance = random.Random(7)
    return [*range(1, ticks + 1), *(chance.randint(1, ticks) for _ in range(points - ticks))]


def until_done(zygote: Zygote, job: dict[str, Any], kill: int) -> dict[str, Any]:
    for fatal in [kill, *[0] * TIMES_STARTED_AT_MOST]:
        ended = zygote.do({**job, "fatal": fatal})
        if ended["exit"] >= 0:
            return ended
    raise AssertionError("killed too often")


def asked(request: Any, job: dict[str, Any]) -> bool:
    return job["input"]["ask"] in request.text


def starts(server: FakeQuant, job: dict[str, Any]) -> list[Any]:
    """The chats that began the job, which the service took up; not those with a tool's result."""
    found = [
        request for request in server.requests.matching("chat_inference") if asked(request, job)
    ]
    return [request for request in found if "toolResult" not in request.text]


@pytest.mark.parametrize("tools", [["generate_image"], ["generate_image", "count"]], ids=len)
@both_colors
def test_tools_are_started_once_or_their_outcome_is_said_to_be_unknown(
    zygote: Zygote, color_name: str, tools: list[str], points: int, tmp_path: Path
) -> None:
    kill_around_tools(zygote, color_name, points, tmp_path, tools=tools)


@both_colors
def test_the_same_holds_where_the_graph_is_suspended_and_whoever_wakes_it_is_killed(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    kill_around_tools(
        zygote, color_name, few(points), tmp_path, tools=["generate_image"], woken="sweep"
    )


def few(points: int) -> int:
    """The full count in full, and of the usual ones a few."""
    return points if points > 10 else max(2, points // 4)


def kill_around_tools(
    zygote: Zygote, color_name: str, points: int, folder: Path, **more: Any
) -> None:
    tools = more["tools"]
    with service() as server:
        make = job_for(server, "tool", color_name, folder, **more)
        unknown = 0
        for kill in moments(zygote, make, points):
            job, before = make(), len(server.executions)
            ended = until_done(zygote, job, kill)
            started = len(server.executions) - before
            assert len(starts(server, job)) <= 1, kill
            assert started in {0, len(tools)}, kill
            if ended["exit"]:
                unknown += 1
                assert ended["error"] == "UnknownOutcomeError", (kill, ended)
                ids = [execution.execution_id for execution in server.executions[before:]]
                assert all(each in ended["message"] for each in ids), (kill, ended)
            else:
                assert started == len(tools), kill
                assert [tool["status"] for tool in ended["values"]["tools"]] == [
                    "complete"
                ] * started
        print(f"{color_name}: {points} kills, {unknown} of them between the start and its record")
        assert unknown <= max(points / 4, 5)  # few points say little


@both_colors
def test_a_durable_chat_is_started_once_and_answered_once(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    kill_around_chats(zygote, color_name, points, tmp_path)


@both_colors
def test_a_chat_that_its_graph_is_suspended_for_is_answered_once_whoever_is_killed(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    kill_around_chats(zygote, color_name, few(points), tmp_path, woken="sweep")


def kill_around_chats(
    zygote: Zygote, color_name: str, points: int, folder: Path, **more: Any
) -> None:
    def plan(request: Any) -> Any:
        text = request["messages"][0]["content"]
        rounds = [{"shout": {"text": text}}, {"human": {"q": "color?"}}]
        return {"rounds": rounds, "reply": "ok"}

    with service(chat=plan) as server:
        make = job_for(server, "chat", color_name, folder, answer="blue", **more)
        unknown = 0
        for kill in moments(zygote, make, points):
            job, before = make(), len(server.chats)
            ended = until_done(zygote, job, kill)
            chats = server.chats[before:]
            assert len(chats) <= 1, kill
            if ended["exit"]:
                unknown += 1
                assert ended["error"] == "UnknownOutcomeError", (kill, ended)
                continue
            (chat,) = chats
            results = [answer["result"] for (answer,) in chat.answers]
            assert results == [{"result": job["input"]["ask"].upper()}, {"result": "blue"}], kill
            assert ended["values"]["text"] == "ok"
        print(f"{color_name}: {points} kills, {unknown} of them between the start and its record")
        assert unknown <= max(points / 4, 5)  # few points say little


@both_colors
def test_a_task_is_created_once_and_done_by_the_graph_that_had_it(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    with service() as server:
        make = job_for(server, "task", color_name, tmp_path)

        def with_title() -> dict[str, Any]:
            job = make()
            return {**job, "input": {"ask": {"title": job["thread"], "taskListId": job["thread"]}}}

        for kill in moments(zygote, with_title, points):
            job = with_title()
            ended = until_done(zygote, job, kill)
            assert ended["exit"] == 0, (kill, ended)
            (task,) = [t for t in server.tasks.values() if t.fields["title"] == job["thread"]]
            assert ended["values"]["result"] == {"did": job["thread"]}, kill
            assert task.history == ["pending", "in_progress", "completed"], kill
            assert task.fields["retryCount"] == 0


@both_colors
def test_a_task_of_a_worker_that_stays_dead_is_done_by_another_one(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    with service() as server:
        make = job_for(server, "task", color_name, tmp_path, lease=0.3)

        def with_task() -> dict[str, Any]:
            task = server.add_task("shared")
            return {**make(), "input": {"ask": task.task_id}}

        for kill in moments(zygote, with_task, points):
            dead = with_task()
            assert zygote.do({**dead, "fatal": kill})["exit"] != 1
            other = {**make(), "input": dead["input"]}
            ended = zygote.do({**other, "fatal": 0})
            assert ended["exit"] == 0, (kill, ended)
            task = server.tasks[dead["input"]["ask"]]
            assert task.status == ended["values"]["status"] == "completed", kill
            assert task.history.count("completed") == 1, kill
            assert task.fields["retryCount"] <= 1, kill
