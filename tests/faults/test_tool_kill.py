"""The process is killed with SIGKILL while a model's two calls of a remote agent are at work."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults.test_kill import count_ticks, jobs, until_done
from support.agents import asking
from support.zygote import Zygote

from acp_langgraph.server import serve


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_killed_graph_has_one_remote_run_for_each_tool_call_in_the_end(
    zygote: Zygote, color_name: str, points: int, tmp_path: Path
) -> None:
    with serve({"ask": asking("color?", "food?")}) as server:

        def make() -> dict[str, Any]:
            name = uuid.uuid4().hex
            return {
                "module": "support.tool_graph",
                "color": color_name,
                "durability": "async",
                "url": server.url,
                "agent_id": server.agent_ids["ask"],
                "thread": name,
                "database": str(tmp_path / f"{name}.sqlite"),
                "input": {"ask": {"text": name}},
            }

        names = []
        for kills in jobs(max(1, points // 4), count_ticks(zygote, make)):
            job = make()
            names.append(job["thread"])
            ended = until_done(zygote, job, kills)
            assert ended["exit"] == 0, (kills, ended)
            calls = [f"{job['thread']} {each}" for each in ("a", "b")]
            answers = [[f"color? ({each})", f"food? ({each})"] for each in calls]
            assert ended["values"] == answers, (kills, ended)
        assert set(server.count_runs()) == {"success"}
        runs = httpx.post(f"{server.url}/runs/search", json={"limit": 1000}).json()
        inputs = Counter(run["creation"]["input"]["text"] for run in runs)
        assert {inputs[f"{name} {each}"] for name in names for each in ("a", "b")} == {1}
