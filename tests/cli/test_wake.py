"""`acp-langgraph wake`."""

from __future__ import annotations

import importlib
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waking import Agents, at, serving

GRAPH = """
import os
from contextlib import asynccontextmanager, contextmanager
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from support.waking import of_one
from acp_langgraph import ACPNode

node = ACPNode("remote", "work", os.environ["AGENTS"], "", output_path="", wait="suspend")

@contextmanager
def opened():
    with SqliteSaver.from_conn_string(os.environ["DATABASE"]) as saver:
        yield of_one(node, saver)

@asynccontextmanager
async def awaited():
    async with AsyncSqliteSaver.from_conn_string(os.environ["DATABASE"]) as saver:
        yield of_one(node, saver)

def yielded():
    with SqliteSaver.from_conn_string(os.environ["DATABASE"]) as saver:
        yield of_one(node, saver)

async def ayielded(config):
    async with AsyncSqliteSaver.from_conn_string(os.environ["DATABASE"]) as saver:
        yield of_one(node, saver)

builder = of_one(node, None).builder

async def made(config):
    return builder

GRAPHS = {}

def wanting(url, saver):
    return None

bare = of_one(node, None).builder.compile()
"""


@pytest.fixture(scope="module")
def agents() -> Iterator[Agents]:
    with serving() as agents:
        yield agents


@pytest.fixture
def module(tmp_path: Path, agents: Agents, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    name = f"woken_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(GRAPH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("AGENTS", agents.url)
    monkeypatch.setenv("DATABASE", str(tmp_path / "a.sqlite"))
    yield importlib.import_module(name)
    sys.modules.pop(name, None)


@pytest.mark.parametrize("graph", ["opened", "awaited", "yielded", "ayielded"])
def test_it_wakes_what_is_done_over_savers_of_both_colors(
    run: Any, module: Any, agents: Agents, graph: str
) -> None:
    text = uuid.uuid4().hex
    with module.opened() as compiled:
        compiled.invoke({"text": text}, at("1"))
    wake = ("wake", f"{module.__name__}.py:{graph}", "--once")
    first = run(*wake)
    assert (first.exit_code, first.output) == (0, "1 waiting, 0 woken, 0 failed\n")
    agents.let_go(text)
    while "1 woken" not in (done := run(*wake)).output:
        assert done.exit_code == 0
    with module.opened() as compiled:
        assert compiled.get_state(at("1")).values["after"] == [text.upper()]


def test_a_graph_that_fails_when_it_is_woken_is_a_failure(
    run: Any, module: Any, agents: Agents
) -> None:
    text = f"fail {uuid.uuid4().hex}"
    with module.opened() as compiled:
        compiled.invoke({"text": text}, at("1"))
    agents.let_go(text)
    wake = ("wake", f"{module.__name__}.py:opened", "--once")
    while "1 failed" not in (done := run(*wake)).output:
        assert done.exit_code == 0
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ("bare", "without a checkpointer"),
        ("none", "no 'none'"),
        ("builder", "a StateGraph, and no compiled graph"),
        ("made", "a StateGraph, and no compiled graph"),
        ("GRAPHS", "a dict, and no compiled graph"),
        ("wanting", "'saver'"),
    ],
)
def test_what_cannot_be_woken_is_said(run: Any, module: Any, graph: str, said: str) -> None:
    done = run("wake", f"{module.__name__}.py:{graph}", "--once")
    assert done.exit_code == 2
    assert said in done.output
