"""The process is killed, wherever it is, while a graph on a LangGraph server works for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from faults.test_kill import ANSWERS, count_ticks, job_for, jobs, until_done
from support.zygote import Zygote

from acp_langgraph.testing import Answer, Ask, Emit, FakeAgent, FakeLangGraphServer

SCRIPT = [
    *[Emit({"n": 1}), Ask("color?"), Emit({"n": 2}), Ask("food?")],
    Answer(lambda run: {"answers": run.answers}),
]


@pytest.fixture(params=[FakeLangGraphServer, FakeLangGraphServer.like_aegra], ids=["dev", "aegra"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeLangGraphServer]:
    with request.param(SCRIPT) as server:
        yield server


@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_killed_graph_has_one_remote_thread_and_one_run_in_the_end(
    zygote: Zygote,
    color_name: str,
    watched: bool,
    server: FakeLangGraphServer,
    points: int,
    tmp_path: Any,
) -> None:
    make_job = job_for(server, "agent", color_name, "async", tmp_path)

    def make() -> dict[str, Any]:
        return {**make_job(), "module": "support.remote_graph", "watched": watched}

    for kills in jobs(points, count_ticks(zygote, make)):
        job, before = make(), len(server.threads)
        ended = until_done(zygote, job, kills)
        assert ended["exit"] == 0, (kills, ended)
        assert ended["values"]["answers"] == ["blue", "rice"], (kills, ended)
        runs = [run for run in server.runs if run.input == {"text": job["thread"]}]
        assert [run.completed for run in runs] == [True], (kills, runs)
        assert runs[0].answers == list(ANSWERS.values()), kills
        assert len(server.threads) == before + 1, kills


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_graph_that_asks_nothing_runs_once_wherever_its_one_request_is_broken_off(
    zygote: Zygote,
    color_name: str,
    server: FakeLangGraphServer,
    points: int,
    tmp_path: Any,
) -> None:
    server.graphs[:] = [FakeAgent("agent", [Answer(lambda run: run.input)])]
    make_job = job_for(server, "agent", color_name, "async", tmp_path)

    def make() -> dict[str, Any]:
        return {**make_job(), "module": "support.remote_graph"}

    for kills in jobs(points, count_ticks(zygote, make)):
        job, before = make(), len(server.threads)
        ended = until_done(zygote, job, kills)
        assert (ended["exit"], ended["values"]) == (0, {"text": job["thread"]}), (kills, ended)
        runs = [run for run in server.runs if run.input == {"text": job["thread"]}]
        assert [run.completed for run in runs] == [True], (kills, runs)
        assert len(server.threads) == before + 1, kills
    assert server.requests.count("wait_run") > server.requests.count("create_run")
