"""A process that was forked uses nothing of its parent's: connections, loops, locks, waits."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.colors import Color
from support.forking import USERS, environment, forked

from acp_langgraph.testing import (
    Answer,
    BridgeQuery,
    BridgeService,
    FakeACPServer,
    FakeAgent,
    FakeBridge,
    Fault,
    Gate,
    Response,
)
from acp_langgraph.testing.quant import FakeQuant, FakeTool

CHILDREN = 3
COUNT = FakeTool("count", result=7, states=(("running", 1.0),))
SENTENCE = "forked"
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}
SOMEBODY_ELSES = [
    "node_on_one_loop",
    "node_with_a_client_of_ones_own",
    "node_beside_another_with_the_same_client",
    "node_with_an_awaiting_client_of_ones_own",
]


def sent(query: BridgeQuery) -> Response:
    return Response.json({"said": query.text})


@contextmanager
def servers_of_each_kind() -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        agents = [FakeAgent("echo", [Answer(lambda run: run.input)], input=TEXT, output=TEXT)]
        yield {
            "acp": stack.enter_context(FakeACPServer(agents=agents)),
            "bridge": stack.enter_context(FakeBridge({"mail": BridgeService(sent)})),
            "quant": stack.enter_context(FakeQuant([COUNT], scale=0.01)),
        }


@pytest.fixture
def servers() -> Iterator[dict[str, Any]]:
    with servers_of_each_kind() as running:
        yield running


def told(server: Any, **more: Any) -> dict[str, Any]:
    agent = server.agent_id if isinstance(server, FakeACPServer) else None
    return {"url": server.url, "agent": agent, "tool": "count", **more}


@pytest.fixture(scope="module")
def asked() -> Iterator[dict[str, tuple[Any, Any]]]:
    """What each user was told, in the parent, its children and the parent again; and its server."""
    with ExitStack() as stack:
        servers = {}
        for user in USERS:
            each = stack.enter_context(servers_of_each_kind())
            servers[user] = next((each[kind] for kind in each if kind in user), each["acp"])
        scenes = [told(servers[user], user=user, children=CHILDREN) for user in USERS]
        said = forked("in_turn", each=scenes)
        yield {user: (each, servers[user]) for user, each in zip(USERS, said, strict=True)}


def connections(server: Any) -> int:
    return len({request.connection for request in server.requests})


@pytest.mark.parametrize("user", [each for each in USERS if each not in SOMEBODY_ELSES])
def test_each_process_has_connections_of_its_own(user: str, asked: Any) -> None:
    said, server = asked[user]
    children = [f"child {each}" for each in range(CHILDREN)]
    assert said == ["parent", *children, "parent again"]
    # One look-up has connections of its own, and so has each loop that awaits.
    more = 1 if user == "node_from_agent" or user.startswith("awaiting") else 0
    assert connections(server) == 1 + CHILDREN + more


@pytest.mark.parametrize("user", SOMEBODY_ELSES)
def test_what_is_the_users_own_and_was_used_before_a_fork_is_refused_after_it(
    user: str, asked: Any
) -> None:
    """It cannot be made anew here, and its connections are the parent's."""
    (parent, *children, again), server = asked[user]
    assert (parent, again) == ("parent", "parent again")
    assert all(SENTENCE in str(child) for child in children)
    assert connections(server) == 1
    assert server.created == 2


@pytest.mark.parametrize("user", ["node", "described_node", "client", "awaiting_node"])
def test_no_answer_is_another_processs(user: str, servers: dict[str, Any]) -> None:
    server = servers["acp"]
    wrong = forked("at_once", **told(server, user=user, children=4, times=100))
    assert wrong == [0, 0, 0, 0]


def test_a_child_does_not_wait_for_a_token_that_its_parent_was_getting(
    color: Color, servers: dict[str, Any]
) -> None:
    assert forked("while_a_token_is_got", **told(servers["acp"], color=color.name)) == "child"


def test_a_child_does_not_wait_for_a_call_of_a_tool_that_its_parent_was_making(
    servers: dict[str, Any],
) -> None:
    assert forked("while_a_tool_is_called", **told(servers["acp"])) == "child"


def test_a_child_does_not_wait_for_its_parents_turn_to_ask_for_the_list() -> None:
    gate = Gate()
    slow = FakeTool("slow", states=(("running", gate),))

    def until() -> None:
        server.requests.wait_for("list_ai_tool_executions", timeout=20)

    with FakeQuant([COUNT, slow], scale=0.01) as server:
        server.faults.add(Fault.hold(gate), on="list_ai_tool_executions")
        try:
            tools = ["count", "slow"]
            assert (
                forked("while_others_wait_for_jobs", until, **told(server, tools=tools)) == "child"
            )
        finally:
            gate.open()


def test_a_lock_that_was_held_at_the_fork_keeps_no_child(servers: dict[str, Any]) -> None:
    users = ["node_with_a_token", "node_in_a_graph", "tool", "client", "awaiting_node"]
    outcome = forked("while_locks_are_held", **told(servers["acp"], users=users))
    assert outcome["locks"] > 0
    assert outcome["said"] == ["child"] * len(users)


@contextmanager
def workers(server: FakeACPServer, folder: Path, *options: str) -> Iterator[str]:
    """An application whose workers gunicorn forks; its URL."""
    where = environment(AGENT=server.agent_id, HOST=server.url, HOME=str(folder))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        bind = f"fd://{listening.fileno()}"
        command = [sys.executable, "-m", "gunicorn", "--bind", bind, *options]
        with subprocess.Popen(
            [*command, "support.preloaded:app"],
            env=where,
            pass_fds=[listening.fileno()],
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                process.send_signal(signal.SIGTERM)


def test_no_answer_is_another_users_where_gunicorn_forks_what_it_has_loaded(
    servers: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("gunicorn")
    users = [f"user{number}" for number in range(400)]
    with (
        workers(servers["acp"], tmp_path, "--preload", "-w", "4") as url,
        httpx.Client(base_url=url, timeout=60) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        answers = [each.json() for each in threads.map(lambda who: client.get(f"/?{who}"), users)]
    assert [each["answer"] for each in answers] == users
    assert len({each["worker"] for each in answers}) > 1
