"""The command `acp-langgraph serve`, in a process of its own as users start it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from acp_langgraph import ACPNode

PROJECT = Path(__file__).parents[2]
GRAPH = '''
"""Writes mails in the words that it is told, and waits until somebody approves of them."""
import os
from typing import TypedDict
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

class Mail(TypedDict, total=False):
    text: str
    approved: bool

def write(mail: Mail) -> Mail:
    return {"text": os.environ["GREETING"] + " " + mail["text"]}

def approve(mail: Mail) -> Mail:
    return {"approved": interrupt({"draft": mail["text"]})}

builder = StateGraph(Mail)
builder.add_sequence([write, approve])
builder.add_edge(START, "write")
graph = builder.compile()
'''


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "mailer.py").write_text(GRAPH)
    (tmp_path / ".env").write_text("GREETING=Dear\n")
    (tmp_path / "langgraph.json").write_text(
        json.dumps(
            {"dependencies": ["."], "graphs": {"mailer": "./mailer.py:graph"}, "env": ".env"}
        )
    )
    return tmp_path


@contextmanager
def command(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "acp_langgraph", "serve", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def served(project) -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    with ExitStack() as stack:

        def start(*arguments: str) -> tuple[str, subprocess.Popen[str]]:
            process = stack.enter_context(command(project, "--port", "0", *arguments))
            first = process.stdout.readline()
            found = re.search(r"http://\S+", first)
            assert found, first + process.stderr.read()
            return found.group(), process

        yield start


class State(TypedDict, total=False):
    mail: dict[str, Any]


def test_a_graph_of_ones_own_is_served_by_one_command_and_called_by_a_node(served, color):
    url, _ = served()
    builder = StateGraph(State)
    builder.add_node(ACPNode("write", "mailer", url, "mail", dict, "mail", dict))
    builder.add_edge(START, "write")
    graph = builder.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "mine"}}

    asked = color.invoke(graph, {"mail": {"text": "Ada"}}, thread)
    ended = color.invoke(graph, Command(resume=True), thread)

    [question] = asked["__interrupt__"]
    assert question.value == {"draft": "Dear Ada"}
    assert ended["mail"] == {"text": "Dear Ada", "approved": True}


def test_what_is_served_is_told(served):
    url, process = served()

    told = "".join(iter(process.stdout.readline, "Press Ctrl-C to stop.\n"))

    [agent] = httpx.post(f"{url}/agents/search", json={}).json()
    assert "mailer" in told
    assert agent["agent_id"] in told
    assert "Writes mails" in told
    assert "Runs are kept in acp-langgraph.sqlite" in told


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_is_asked_survives_the_end_of_the_command(served, end):
    url, process = served()
    asked = httpx.post(f"{url}/runs/wait", json={"input": {"text": "Ada"}}).json()["run"]
    process.send_signal(end)
    process.wait(timeout=20)

    url, _ = served()
    httpx.post(f"{url}/runs/{asked['run_id']}", json=True).raise_for_status()
    ended = httpx.get(f"{url}/runs/{asked['run_id']}/wait").json()

    assert ended["output"]["values"] == {"text": "Dear Ada", "approved": True}


def test_ctrl_c_ends_it_without_a_traceback(served):
    _, process = served("--database", ":memory:")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (0, "")
    assert out.endswith("Stopped.\n")


def test_with_a_key_clients_must_have_it(served):
    url, _ = served("mailer.py:graph", "--api-key", "made up", "--database", ":memory:")

    assert httpx.post(f"{url}/agents/search", json={}).status_code == 401
    answer = httpx.post(f"{url}/agents/search", json={}, headers={"x-api-key": "made up"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.py:graph"], "there is no file"),
        (["--host", "0.0.0.0"], "give an API key"),  # noqa: S104 - that is the point
        (["--database", "no/such/folder.sqlite"], "cannot be opened"),
        (["--webhook", "hooks.internal"], "is no origin"),
        (["--run-timeout", "0"], "must be positive"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(project, arguments, words):
    with command(project, "--port", "0", *arguments) as process:
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: ")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("port", "bound"), [("99999", "65535"), ("-1", "0")])
def test_a_port_that_cannot_be_is_told_with_the_bound(run, port, bound):
    told = run("serve", "--port", port)

    assert told.exit_code == 2
    assert re.search(rf"'--port': .*\b{bound}\b", told.stderr), told.stderr
    assert "Traceback" not in told.stderr


def test_a_taken_port_is_named(served, project):
    url, _ = served("--database", ":memory:")
    port = url.rpartition(":")[2]

    with command(project, "--port", port, "--database", ":memory:") as process:
        _, err = process.communicate(timeout=20)

    assert process.returncode == 1
    assert f"127.0.0.1:{port} cannot be served on: Address already in use" in err
