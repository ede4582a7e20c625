"""Graphs that a release leaves waiting, to be finished by the releases after it.

What a step is called, when it comes and what it gives is in the checkpoints of users. So every release
stores some (`python tests/support/stored.py`, with that release), and all later ones finish them:

    asked       the agent's first question is on display
    created     the run was created, and the wait for it failed before it asked
    resumed     the first question was answered, and the wait after it failed
    answered    the first question was answered, the second is on display
    failed      the run failed
    tool        a model called the agent, whose first question is on display
    bridge      a query waits to be approved

The server that all of it happened on is gone; `as_it_was` makes one with the same runs in the same place.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypedDict

import httpx
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command

from acp_langgraph import ACPNode, APIBridgeAgentNode
from acp_langgraph.acp.order import KEY
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, Fault

__all__ = [
    "BRIDGED",
    "DATA",
    "NAMES",
    "RELEASES",
    "as_it_was",
    "bridge_graph",
    "built",
    "of_thread",
]

DATA = Path(__file__).parents[1] / "data"
RELEASES = sorted(each.name for each in DATA.glob("*") if each.is_dir())
NAMES = ("asked", "created", "resumed", "answered", "failed", "tool")
BRIDGED = "bridge"

_WAIT = "wait_for_stateless_run_output"


class State(TypedDict, total=False):
    """A graph's state."""

    ask: Any
    answer: Any
    messages: Annotated[list[AnyMessage], add_messages]


class Text(TypedDict):
    """What the agent takes."""

    text: str


def built(name: str, server: FakeACPServer) -> Any:
    """The graph that is left waiting under a name."""
    if name == "tool":
        remote = ACPNode("remote", server.agent_id, server.url, input_type=Text)
        tools = ToolNode([remote.as_tool()])
        return StateGraph(State).add_node("tools", tools).add_edge(START, "tools")
    node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
    return StateGraph(State).add_node(node).add_edge(START, "remote")


def bridge_graph(url: str) -> Any:
    """A graph that has a query approved and sent."""
    node = APIBridgeAgentNode("send", url, "mail", "ask", "answer", None, str, None, confirm=True)
    return StateGraph(State).add_node(node).add_edge(START, "send")


def of_thread(name: str) -> RunnableConfig:
    """Where the graph under a name is stored."""
    return {"configurable": {"thread_id": name}}


def script(run: Any) -> Any:
    """What the agent does; it fails as long as it is told to."""
    if run.input == {"text": "failed"} and not run.metadata[KEY].endswith("/2"):
        yield Fail("no ink")
    yield Ask("color?")
    yield Ask("food?")
    yield Answer(run.answers)


def given(name: str) -> dict[str, Any]:
    """What the graph is invoked with."""
    if name == "tool":
        call = {"name": "remote", "id": "1", "args": {"text": name}}
        return {"messages": [AIMessage("", tool_calls=[call])]}
    return {"ask": {"text": name}}


@contextmanager
def as_it_was(release: str, name: str) -> Iterator[FakeACPServer]:
    """A server on which the run is as the release left it."""
    told = json.loads((DATA / release / "runs.json").read_text())["runs"][name]
    with FakeACPServer(script) as server:
        body = {
            "agent_id": server.agent_id,
            "input": {"text": name},
            "metadata": {KEY: told["key"]},
        }
        made = httpx.post(f"{server.url}/runs", json=body).raise_for_status().json()
        for answer in told["answers"]:
            url = f"{server.url}/runs/{made['run_id']}"
            httpx.post(url, json=answer).raise_for_status()
        run = server.run
        run.run_id, run.updated_at = told["run_id"], datetime.fromisoformat(told["updated_at"])
        server.requests.clear()
        yield server


def leave_waiting(name: str, saver: Any) -> dict[str, Any]:
    """Have a graph wait; what the server knows of its run."""
    with FakeACPServer(script) as server:
        graph = built(name, server).compile(checkpointer=saver)
        if name == "created":
            server.faults.add(Fault.status(403), on=_WAIT)
        with suppress(Exception):
            graph.invoke(given(name), of_thread(name), durability="sync")
        if name == "resumed":
            server.faults.add(Fault.status(403), on=_WAIT)
        if name in {"answered", "resumed"}:
            with suppress(Exception):
                graph.invoke(Command(resume="blue"), of_thread(name), durability="sync")
        run = server.run
        return {
            "run_id": run.run_id,
            "key": run.metadata[KEY],
            "updated_at": run.updated_at.isoformat(),
            "answers": run.answers,
        }


def main() -> None:
    """Store what this release leaves waiting."""
    folder = DATA / version("acp-langgraph")
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "checkpoints.db"
    database.unlink(missing_ok=True)
    with SqliteSaver.from_conn_string(str(database)) as saver:
        runs = {name: leave_waiting(name, saver) for name in NAMES}
        graph = bridge_graph("http://127.0.0.1:1").compile(checkpointer=saver)
        graph.invoke({"ask": "Send it"}, of_thread(BRIDGED), durability="sync")
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
    connection.close()
    made_with = {each: version(each) for each in ("acp-langgraph", "langgraph")}
    told = {"made_with": made_with, "runs": runs}
    (folder / "runs.json").write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
