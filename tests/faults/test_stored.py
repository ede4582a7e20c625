"""What an earlier release left waiting, this one finishes: on the same run, with the same answers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langgraph.types import Command
from support.colors import Color
from support.stored import BRIDGED, DATA, RELEASES, as_it_was, bridge_graph, built, of_thread

from acp_langgraph.acp.order import KEY
from acp_langgraph.testing import BridgeService, FakeBridge, Response

TO_DO = {
    "asked": [("blue", "food?"), ("rice", None)],
    "created": [(None, "color?"), ("blue", "food?"), (None, "food?"), ("rice", None)],
    "resumed": [(None, "food?"), (None, "food?"), ("rice", None)],
    "answered": [("rice", None)],
    "tool": [(None, "color?"), ("blue", "food?"), (None, "food?"), ("rice", None)],
}


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database(release: str, tmp_path: Path) -> Path:
    return Path(shutil.copy(DATA / release / "checkpoints.db", tmp_path))


def result_of(state: dict[str, Any]) -> Any:
    called = [each for each in state.get("messages", ()) if isinstance(each, ToolMessage)]
    return called[0].artifact if called else state["answer"]


@pytest.mark.parametrize("name", TO_DO)
def test_a_graph_that_waits_for_a_run_is_finished_with_that_run(
    color: Color, release: str, database: Path, name: str
) -> None:
    with as_it_was(release, name) as server:
        for answer, question in TO_DO[name]:
            step = None if answer is None else Command(resume=answer)
            with color.graph_over(built(name, server), database) as graph:
                state = color.invoke(graph, step, of_thread(name))
            asked = [each.value for each in state.get("__interrupt__", ())]
            assert asked == ([question] if question else [])
        assert result_of(state) == server.run.answers == ["blue", "rice"]


def test_a_run_that_failed_is_done_again(color: Color, release: str, database: Path) -> None:
    with as_it_was(release, "failed") as server:
        builder = built("failed", server)
        for answer in (None, "blue", "rice"):
            step = None if answer is None else Command(resume=answer)
            with color.graph_over(builder, database) as graph:
                state = color.invoke(graph, step, of_thread("failed"))
        assert state["answer"] == ["blue", "rice"]
        dead, done = server.runs
        assert done.metadata[KEY] == f"{dead.metadata[KEY]}/2"


def test_a_query_that_waits_to_be_approved_is_sent_once(color: Color, database: Path) -> None:
    with FakeBridge({"mail": BridgeService(lambda query: Response.empty(202))}) as bridge:
        for step in (None, Command(resume=True)):
            with color.graph_over(bridge_graph(bridge.url), database) as graph:
                state = color.invoke(graph, step, of_thread(BRIDGED))
        assert state["answer"]["status"] == 200
        assert len(bridge.queries) == 1
