"""The process is killed with SIGKILL, wherever it is, and started again until the graph is done."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.agents import asking
from support.zygote import Zygote

from acp_langgraph.acp.order import KEY
from acp_langgraph.server import serve
from acp_langgraph.testing import Answer, Ask, Emit, FakeACPServer

ANSWERS = {"color?": "blue", "food?": "rice"}
TIMES_STARTED_AT_MOST = 6


def jobs(points: int, ticks: int) -> list[list[int]]:
    """Where to kill: at every tick of one life, then at two, of which the second is any."""
    chance = random.Random(7)
    every = [[point] for point in range(1, ticks + 1)]
    if points <= len(every):
        step = len(every) / points
        return [every[int(index * step)] for index in range(points)]
    twice = [
        [chance.randint(1, ticks), chance.randint(1, ticks)] for _ in range(points - len(every))
    ]
    return every + twice


def until_done(zygote: Zygote, job: dict[str, Any], kills: list[int]) -> dict[str, Any]:
    """Start the job again after every kill; what came of it in the end."""
    for fatal in [*kills, *[0] * TIMES_STARTED_AT_MOST]:
        ended = zygote.do({**job, "fatal": fatal})
        if ended["exit"] >= 0:
            return ended
    raise AssertionError("killed too often")


def job_for(server: Any, agent_id: str, color: str, durability: str, where: Path | str) -> Any:
    """Makes jobs, each over a SQLite file of its own in a folder, or over the database of a URI."""

    def make() -> dict[str, Any]:
        name = uuid.uuid4().hex
        return {
            "module": "support.asking_graph",
            "color": color,
            "durability": durability,
            "url": server.url,
            "agent_id": agent_id,
            "thread": name,
            "database": str(where / f"{name}.sqlite") if isinstance(where, Path) else where,
            "answers": ANSWERS,
            "input": {"ask": {"text": name}},
        }

    return make


def runs_of(server: Any, thread: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        wanted = {"limit": 1000, "offset": len(found)}
        page = httpx.post(f"{server.url}/runs/search", json=wanted).json()
        found += page
        if len(page) < 1000:
            return [run for run in found if run["creation"]["input"] == {"text": thread}]


def count_ticks(zygote: Zygote, make: Callable[[], dict[str, Any]]) -> int:
    ended = zygote.do({**make(), "fatal": 0})
    assert ended["exit"] == 0, ended
    return int(ended["ticks"])


@pytest.mark.parametrize("durability", ["async", "sync"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_killed_graph_has_one_remote_run_in_the_end(
    zygote: Zygote, color_name: str, durability: str, points: int, tmp_path: Path
) -> None:
    kill_everywhere(zygote, points, color_name, durability, tmp_path)


@pytest.mark.postgres
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_the_same_holds_for_a_worker_over_postgresql(
    zygote: Zygote, color_name: str, points: int, postgres: str
) -> None:
    kill_everywhere(zygote, points // 2, color_name, "async", postgres)


def kill_everywhere(
    zygote: Zygote, points: int, color: str, durability: str, database: Path | str
) -> None:
    with serve({"ask": asking(*ANSWERS, exactly=True)}) as server:
        make = job_for(server, server.agent_ids["ask"], color, durability, database)
        for kills in jobs(points, count_ticks(zygote, make)):
            job = make()
            ended = until_done(zygote, job, kills)
            assert ended["exit"] == 0, (kills, ended)
            assert ended["values"]["answers"] == ["blue", "rice"], (kills, ended)
            runs = runs_of(server, job["thread"])
            assert [run["status"] for run in runs] == ["success"], (kills, runs)
        assert set(server.count_runs()) == {"success"}


@pytest.mark.parametrize("questions", [[], ["color?"]], ids=["done at once", "with a question"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_the_same_holds_where_a_run_is_started_and_awaited_in_one_request(
    zygote: Zygote, color_name: str, questions: list[str], points: int, tmp_path: Path
) -> None:
    script = [*map(Ask, questions), Answer(lambda run: {"answers": run.answers})]
    with FakeACPServer(script) as server:
        known = {"known": True}
        make_it = job_for(server, server.agent_id, color_name, "async", tmp_path)
        for kills in jobs(points, count_ticks(zygote, lambda: {**make_it(), **known})):
            job = {**make_it(), **known}
            ended = until_done(zygote, job, kills)
            assert ended["exit"] == 0, (kills, ended)
            assert ended["values"]["answers"] == [ANSWERS[each] for each in questions], kills
            runs = [run for run in server.runs if run.input == {"text": job["thread"]}]
            assert [run.completed for run in runs] == [True], (kills, runs)
        paths = [request.path for request in server.requests]
        assert paths.count("/runs/wait") > paths.count("/runs")


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_where_runs_cannot_be_searched_there_is_no_second_run(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    script = [Ask("color?"), Ask("food?"), Answer(lambda run: {"answers": run.answers})]
    with FakeACPServer(script, search="none") as server:
        make = job_for(server, server.agent_id, color_name, "async", tmp_path)
        outcomes = []
        for kills in jobs(points, count_ticks(zygote, make)):
            job = make()
            ended = until_done(zygote, job, kills)
            runs = [run for run in server.runs if run.input == {"text": job["thread"]}]
            assert len(runs) <= 1, (kills, runs)
            if ended["exit"]:
                assert ended["error"] == "UnknownOutcomeError", (kills, ended)
                assert KEY in ended["message"]
            else:
                assert ended["values"]["answers"] == ["blue", "rice"], (kills, ended)
                assert [run.completed for run in runs] == [True], (kills, runs)
            outcomes.append(ended["exit"])
        assert 0 in outcomes


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_graph_that_is_killed_while_it_is_watched_has_one_remote_run_in_the_end(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    script = [
        *[Emit({"n": 1}), Emit({"n": 2}), Ask("color?"), Emit({"n": 3}), Ask("food?")],
        Answer(lambda run: {"answers": run.answers}),
    ]
    with FakeACPServer(script) as server:

        def make() -> dict[str, Any]:
            job = job_for(server, server.agent_id, color_name, "async", tmp_path)()
            return {**job, "watched": True}

        for kills in jobs(points, count_ticks(zygote, make)):
            job = make()
            ended = until_done(zygote, job, kills)
            assert ended["exit"] == 0, (kills, ended)
            assert ended["values"]["answers"] == ["blue", "rice"], (kills, ended)
            runs = [run for run in server.runs if run.input == {"text": job["thread"]}]
            assert [run.completed for run in runs] == [True], (kills, runs)
        assert [request for request in server.requests if request.path.endswith("/stream")]
