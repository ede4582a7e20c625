"""The process is killed with SIGKILL while an A2A agent works for it, and started again until all is done."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults.test_kill import ANSWERS, count_ticks, jobs, until_done
from support.zygote import Zygote

from acp_langgraph.testing import Answer, Ask, Emit, FakeA2AServer

TWICE = [Ask("color?"), Ask("food?"), Answer(lambda run: {"answers": run.answers})]


def job_for(url: str, color: str, durability: str, folder: Path, **more: Any) -> Any:
    def make() -> dict[str, Any]:
        name = uuid.uuid4().hex
        return {
            "module": "support.a2a_graph",
            "color": color,
            "durability": durability,
            "url": url,
            "thread": name,
            "database": str(folder / f"{name}.sqlite"),
            "answers": ANSWERS,
            "input": {"ask": name},
            **more,
        }

    return make


def kill_everywhere(
    server: FakeA2AServer, zygote: Zygote, points: int, make: Callable[[], dict[str, Any]]
) -> None:
    for kills in jobs(points, count_ticks(zygote, make)):
        job = make()
        ended = until_done(zygote, job, kills)
        assert ended["exit"] == 0, (kills, ended)
        assert ended["values"]["answers"] == ["blue", "rice"], (kills, ended)
        found = [task for task in server.tasks if task.input == job["thread"]]
        assert [task.state for task in found] == ["completed"], (kills, found)
        assert found[0].answers == ["blue", "rice"], (kills, found)
    assert not server.misplaced


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
@pytest.mark.parametrize("durability", ["async", "sync"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_killed_graph_has_one_task_in_the_end(
    zygote: Zygote, color_name: str, durability: str, binding: Any, points: int, tmp_path: Path
) -> None:
    with FakeA2AServer(TWICE, binding=binding) as server:
        make = job_for(server.url, color_name, durability, tmp_path)
        kill_everywhere(server, zygote, points, make)


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_the_same_holds_on_a_context_that_remembers_and_for_an_agent_that_is_late(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    with FakeA2AServer(TWICE, late=True) as server:
        options = {"options": {"use_threads": True}}
        make = job_for(server.url, color_name, "async", tmp_path, **options)
        kill_everywhere(server, zygote, points, make)


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_graph_that_is_killed_while_it_is_watched_has_one_task_in_the_end(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    script = [Emit("a"), *TWICE[:1], Emit("b"), *TWICE[1:2], Emit("c")]
    with FakeA2AServer([*script, Answer(lambda run: {"answers": run.answers})]) as server:
        make = job_for(server.url, color_name, "async", tmp_path, watched=True)
        kill_everywhere(server, zygote, points, make)


@pytest.mark.parametrize("questions", [[], ["color?"]], ids=["done at once", "with a question"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_the_same_holds_where_a_task_is_begun_and_awaited_in_one_request(
    zygote: Zygote, color_name: str, questions: list[str], points: int, tmp_path: Path
) -> None:
    script = [*map(Ask, questions), Answer(lambda run: {"answers": run.answers})]
    with FakeA2AServer(script) as server:
        make = job_for(server.url, color_name, "async", tmp_path, finds_done=True)
        for kills in jobs(points, count_ticks(zygote, make)):
            job = make()
            ended = until_done(zygote, job, kills)
            assert ended["exit"] == 0, (kills, ended)
            assert ended["values"]["answers"] == [ANSWERS[each] for each in questions], kills
            found = [task for task in server.tasks if task.input == job["thread"]]
            assert [task.state for task in found] == ["completed"], (kills, found)
        begun = [each.json["params"] for each in server.requests.matching("SendMessage")]
        begun = [each for each in begun if "taskId" not in each["message"]]
        assert not any(each["configuration"]["returnImmediately"] for each in begun)
        assert not server.misplaced


@pytest.mark.parametrize("options", [{"version": "0.3"}, {"lists": False}])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_where_tasks_cannot_be_listed_there_is_no_second_task(
    zygote: Zygote, color_name: str, options: Any, points: int, tmp_path: Path
) -> None:
    with FakeA2AServer(TWICE, **options) as server:
        make = job_for(server.url, color_name, "async", tmp_path)
        outcomes = []
        for kills in jobs(points, count_ticks(zygote, make)):
            job = make()
            ended = until_done(zygote, job, kills)
            found = [task for task in server.tasks if task.input == job["thread"]]
            assert len(found) <= 1, (kills, found)
            if ended["exit"]:
                assert ended["error"] == "UnknownOutcomeError", (kills, ended)
            else:
                assert ended["values"]["answers"] == ["blue", "rice"], (kills, ended)
            outcomes.append(ended["exit"])
        assert 0 in outcomes


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_message_that_was_answered_by_a_message_is_not_sent_again_once_its_answer_is_stored(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    with FakeA2AServer([Answer("only a message")], tasks=False) as server:
        make = job_for(server.url, color_name, "sync", tmp_path)
        sent, ticks = [], count_ticks(zygote, make)
        for kills in [*jobs(points // 2, ticks), [ticks]]:
            job = make()
            ended = until_done(zygote, job, kills)
            assert (ended["exit"], ended["values"]) == (0, "only a message"), (kills, ended)
            sent.append(sum(task.input == job["thread"] for task in server.tasks))
            assert sent[-1] <= 1 + len(
                kills
            )  # once more for each between the answer and its storing
        assert sent[-1] == 1
        assert server.requests.count("GetTask") == 0


@pytest.mark.parametrize("spoken", ["JSONRPC 1.0", "HTTP+JSON 1.0", "JSONRPC 0.3", "SDK 0.3"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_an_agent_of_the_a2a_projects_sdk_does_one_task_as_well(
    zygote: Zygote, color_name: str, spoken: str, points: int, tmp_path: Path
) -> None:
    pytest.importorskip("a2a", reason="needs a2a-sdk[http-server]")
    from support.a2a_agent import baker  # noqa: PLC0415 - see above

    with baker(*spoken.split()) as agent:
        make = job_for(agent.url, color_name, "async", tmp_path)

        def make_twice() -> dict[str, Any]:
            job = make()
            return {**job, "input": {"ask": f"twice {job['thread']}"}}

        for kills in jobs(points, count_ticks(zygote, make_twice)):
            job = make_twice()
            ended = until_done(zygote, job, kills)
            begun = [task for task, said in agent.inputs.items() if job["thread"] in said]
            assert len(begun) <= 1, (kills, begun)
            if agent.is_old and ended["exit"]:
                assert ended["error"] == "UnknownOutcomeError", (kills, ended)
                continue
            assert ended["exit"] == 0, (kills, ended)
            assert ended["values"] == agent.said(["blue", "rice"]), (kills, ended)
            assert [agent.executed.count(task) for task in begun] == [3], kills
