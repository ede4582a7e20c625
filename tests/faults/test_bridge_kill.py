"""The process is killed with SIGKILL around a query that must not be sent twice."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
from support.zygote import Zygote

from acp_langgraph.testing import BridgeQuery, FakeBridge, Response


def job_for(server: FakeBridge, color: str, durability: str, folder: Path) -> dict[str, Any]:
    name = uuid.uuid4().hex
    return {
        "module": "support.sending_graph",
        "color": color,
        "durability": durability,
        "url": server.url,
        "thread": name,
        "database": str(folder / f"{name}.sqlite"),
        "answers": {},
        "input": {"ask": f"Send {name}"},
    }


def sent(server: FakeBridge, job: dict[str, Any]) -> int:
    """How often the job's query reached the service."""
    return sum(query.text == job["input"]["ask"] for query in server.queries)


def accept(query: BridgeQuery) -> Response:
    return Response.empty(202)


@pytest.mark.parametrize("durability", ["async", "sync"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_wherever_it_is_killed_there_are_never_two_sends_and_unknown_is_said(
    zygote: Zygote, color_name: str, durability: str, tmp_path: Path
) -> None:
    with FakeBridge({"sendgrid": accept}) as server:
        whole = zygote.do({**job_for(server, color_name, durability, tmp_path), "fatal": 0})
        assert whole["exit"] == 0, whole
        seen = set()
        for fatal in range(1, whole["ticks"] + 1):
            job = job_for(server, color_name, durability, tmp_path)
            killed = zygote.do({**job, "fatal": fatal})
            before = sent(server, job)
            ended = zygote.do({**job, "fatal": 0}) if killed["exit"] < 0 else killed
            if ended["exit"]:
                assert ended["error"] == "UnknownOutcomeError", (fatal, ended)
                assert sent(server, job) == before <= 1, fatal
            else:
                assert ended["values"] == "The service answered 202 Accepted.", (fatal, ended)
            assert sent(server, job) <= 1, fatal
            seen.add((before, ended["exit"], sent(server, job)))
        # Before the intention, in the gap before the request, in the gap after it, after the result.
        assert (
            {(0, 0, 1), (1, 1, 1), (1, 0, 1)}
            <= seen
            <= {(0, 0, 1), (0, 1, 0), (1, 1, 1), (1, 0, 1)}
        )


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_killed_while_the_service_is_at_work_unknown_is_said(
    zygote: Zygote, color_name: str, tmp_path: Path
) -> None:
    def kill(query: BridgeQuery) -> Response:
        os.kill(int(query.headers["x-process"]), signal.SIGKILL)
        return Response.empty(202)

    with FakeBridge({"sendgrid": kill}) as server:
        job = job_for(server, color_name, "async", tmp_path)
        assert zygote.do({**job, "fatal": 0})["exit"] == -signal.SIGKILL
        for _ in range(2):
            ended = zygote.do({**job, "fatal": 0})
            assert ended["error"] == "UnknownOutcomeError", ended
            assert "'send'" in ended["message"]
        assert sent(server, job) == 1


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_who_accepts_a_second_send_gets_on_after_a_kill(
    zygote: Zygote, color_name: str, tmp_path: Path
) -> None:
    killed = []

    def kill_once(query: BridgeQuery) -> Response:
        if not killed:
            killed.append(query)
            os.kill(int(query.headers["x-process"]), signal.SIGKILL)
        return Response.empty(202)

    with FakeBridge({"sendgrid": kill_once}) as server:
        job = job_for(server, color_name, "async", tmp_path)
        assert zygote.do({**job, "fatal": 0})["exit"] == -signal.SIGKILL
        ended = zygote.do({**job, "on_unknown": "rerun", "fatal": 0})
        assert ended["values"] == "The service answered 202 Accepted."
        assert sent(server, job) == 2
