"""Whoever invokes, answers or wakes a suspended graph is killed with SIGKILL, wherever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faults.test_kill import count_ticks, job_for, jobs, runs_of, until_done
from support.agents import asking
from support.zygote import Zygote

from acp_langgraph.server import serve


@pytest.mark.parametrize("woken", ["sweep", "notice"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_graph_whose_waker_is_killed_goes_on_with_the_same_run_and_once(
    zygote: Zygote, color_name: str, woken: str, points: int, tmp_path: Path
) -> None:
    kill_everywhere(zygote, max(2, points // 4), color_name, woken, tmp_path)


@pytest.mark.postgres
@pytest.mark.parametrize("woken", ["sweep", "notice"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_the_same_holds_over_postgresql(
    zygote: Zygote, color_name: str, woken: str, points: int, postgres: str
) -> None:
    kill_everywhere(zygote, max(2, points // 4), color_name, woken, postgres)


def kill_everywhere(
    zygote: Zygote, points: int, color: str, woken: str, database: Path | str
) -> None:
    with serve({"ask": asking("color?", "food?", exactly=True)}) as server:
        make_job = job_for(server, server.agent_ids["ask"], color, "async", database)

        def make() -> dict[str, Any]:
            return {**make_job(), "module": "support.woken_graph", "woken": woken}

        for kills in jobs(points, count_ticks(zygote, make)):
            job = make()
            ended = until_done(zygote, job, kills)
            assert ended["exit"] == 0, (kills, ended)
            assert ended["values"]["answers"] == ["blue", "rice"], (kills, ended)
            assert ended["values"]["after"] == [1], (kills, ended)
            runs = runs_of(server, job["thread"])
            assert [run["status"] for run in runs] == ["success"], (kills, runs)
        assert set(server.count_runs()) == {"success"}
