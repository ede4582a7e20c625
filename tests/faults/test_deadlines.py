"""A deadline holds, whatever the other side does to outlast it.

A server that trickles is one that answers in the end: who waits for that answer gets it, and has
outlasted its own deadline.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from langchain_core.runnables import RunnableConfig
from support.colors import Color
from support.counted import graph_with, make_node
from support.sending import send

from acp_langgraph.auth import TokenAuth
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call
from acp_langgraph.errors import (
    ApiConnectionError,
    ApiTimeoutError,
    GatewayTimeoutError,
    RunTimeoutError,
    ServiceException,
    TooManyRequestsException,
)
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.nodes.bridge import APIBridgeAgentNode
from acp_langgraph.nodes.quant import QuantTaskNode, QuantToolNode
from acp_langgraph.quant.polling import Pace
from acp_langgraph.testing import (
    Answer,
    FakeACPServer,
    FakeBridge,
    FakeHTTPServer,
    Fault,
    Gate,
    Response,
    Work,
)
from acp_langgraph.testing.quant import FakeQuant
from acp_langgraph.transport import AsyncTransport, Transport, exchange

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
READ: Call[Any] = Call("read", "GET", "/things/1", dict)
WRITE: Call[Any] = Call("write", "POST", "/things", dict, body={})
WAIT = "wait_for_stateless_run_output"
SLOWLY = 0.1  # seconds from one piece to the next
SOON = 8.0  # seconds, for what would take longer


@contextmanager
def soon() -> Iterator[None]:
    """What is inside must not take long."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SOON


def blanks(answer: Any) -> Fault:
    """Headers at once, then blanks for four seconds, then the answer: all of it is valid JSON."""
    body = " " * 8000 + json.dumps(answer)
    return Fault.respond(Response.text(body, 200, "application/json")) | Fault.trickle(
        200, seconds=SLOWLY
    )


def header_by_header(answer: Any, times: int = 40) -> Fault:
    """A header every now and then, so many of them, then the answer."""
    body = json.dumps(answer).encode()
    headers = [f"x-{n:03}: {'a' * 192}".encode() for n in range(times)]
    head = [b"HTTP/1.1 200 OK", *headers, b"content-type: application/json"]
    last = f"content-length: {len(body)}\r\n\r\n".encode()
    answered = Response.recorded([b"\r\n".join(head) + b"\r\n" + last + body])
    return Fault.respond(answered) | Fault.trickle(200, seconds=SLOWLY)


def chunk_extensions(answer: Any, times: int = 40) -> Fault:
    """Headers at once, then what may go with a chunk's length: no byte of the body arrives."""
    body = json.dumps(answer).encode()
    kind = "text/event-stream" if answer is EVENTS else "application/json"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = f"{len(body):x};{'a' * 200 * times}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    answered = Response.recorded([head.encode() + chunk])
    return Fault.respond(answered) | Fault.trickle(200, seconds=SLOWLY)


TRICKLES = [blanks, header_by_header, chunk_extensions]
EVENTS = ": nothing"
DONE = {"output": {"type": "result", "values": "late"}}


@pytest.mark.parametrize("trickle", TRICKLES)
@pytest.mark.parametrize("remembered", [True, False])
def test_a_run_that_is_answered_in_trickles_ends_at_its_deadline(
    color: Color, trickle: Any, remembered: bool
) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        server.faults.add(trickle(DONE), on="/*wait", times=None)
        node = make_node(server.url, server.agent_id, run_timeout=0.5)
        runs = graph_with(node) if remembered else node
        with pytest.raises(RunTimeoutError):
            color.invoke(runs, {"ask": {"text": "hi"}}, ON_A_THREAD)
        gate.open()


def watch(color: Color, node: Any) -> None:
    """Invoke a graph whose user wants to see what the agent emits."""
    state = {"ask": {"text": "hi"}}
    color.stream(graph_with(node), state, ON_A_THREAD, stream_mode="custom")


@pytest.mark.parametrize("trickle", [header_by_header, chunk_extensions])
def test_a_watched_run_whose_stream_trickles_ends_at_its_deadline(
    color: Color, trickle: Any
) -> None:
    longer = round(1.5 * SOON / SLOWLY)
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        server.faults.add(trickle(EVENTS, longer), on="/*stream", times=None)
        node = make_node(server.url, server.agent_id, run_timeout=0.5)
        with soon(), pytest.raises(RunTimeoutError):
            watch(color, node)
        assert server.requests.count(stream_of_a_run) == 1


def stream_of_a_run(request: Any) -> bool:
    return str(request.path).endswith("/stream")


@pytest.mark.parametrize("trickle", TRICKLES)
def test_a_run_whose_creation_is_answered_in_trickles_ends_at_its_deadline(
    color: Color, trickle: Any
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        run = {"run_id": "b2a7c6de-0000-4000-8000-0000000000aa", "agent_id": server.agent_id}
        server.faults.add(trickle({**run, "status": "pending"}), on="POST /runs", times=None)
        node = make_node(server.url, server.agent_id, run_timeout=0.5)
        with pytest.raises(RunTimeoutError):
            color.invoke(graph_with(node), {"ask": {"text": "hi"}}, ON_A_THREAD)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("operation", ["create_stateless_run", WAIT, "get_stateless_run", "*"])
def test_a_server_that_asks_for_more_time_than_a_run_has_gets_what_is_left(
    color: Color, operation: str, status: int
) -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        server.faults.add(Fault.status(status, retry_after=15), on=operation, times=None)
        node = make_node(server.url, server.agent_id, run_timeout=0.5, on_timeout="leave")
        # A 503 to what must not be done twice is not waited for, but looked into.
        given_up = (RunTimeoutError, ServiceException)
        with soon(), pytest.raises(given_up):
            color.invoke(graph_with(node), {"ask": {"text": "hi"}}, ON_A_THREAD)


def test_a_server_that_asks_a_watcher_for_more_time_than_a_run_has_gets_what_is_left(
    color: Color,
) -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        server.faults.add(Fault.status(503, retry_after=15), on="/*stream", times=None)
        node = make_node(server.url, server.agent_id, run_timeout=0.5)
        with soon(), pytest.raises(RunTimeoutError):
            watch(color, node)


def test_a_run_over_its_deadline_is_given_up_although_the_server_does_not_answer_the_cancel(
    color: Color,
) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        server.faults.add(Fault.hold(gate, at="work"), on="cancel_stateless_run", times=None)
        node = make_node(server.url, server.agent_id, timeout=15, run_timeout=0.3)
        began = time.monotonic()
        with pytest.raises(RunTimeoutError, match="could not be cancelled"):
            color.invoke(graph_with(node), {"ask": {"text": "hi"}}, ON_A_THREAD)
        assert time.monotonic() - began < 13  # a cancel has ten seconds
        gate.open()


def test_a_page_in_place_of_an_answer_to_the_cancel_is_no_cancel(color: Color) -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        server.faults.add(Fault.html(200), on="cancel_stateless_run", times=None)
        node = make_node(server.url, server.agent_id, run_timeout=0.3)
        with pytest.raises(RunTimeoutError, match="could not be cancelled"):
            color.invoke(graph_with(node), {"ask": {"text": "hi"}}, ON_A_THREAD)
        assert server.running == 1


def test_a_run_that_was_left_and_is_done_by_now_gives_its_result_when_it_is_entered_again(
    color: Color,
) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        node = make_node(server.url, server.agent_id, run_timeout=0.2, on_timeout="leave")
        graph = graph_with(node)
        with pytest.raises(RunTimeoutError, match="left running"):
            color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
        gate.open()
        server.wait_until(lambda: server.completed == 1)
        assert color.invoke(graph, None, ON_A_THREAD)["answer"] == "done"
        assert server.created == 1


def test_a_run_that_was_left_and_is_still_at_work_is_looked_at_once_and_left_again(
    color: Color,
) -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        node = make_node(server.url, server.agent_id, run_timeout=0.2, on_timeout="leave")
        graph = graph_with(node)
        with pytest.raises(RunTimeoutError, match="left running"):
            color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
        before = len(server.requests)
        with soon(), pytest.raises(RunTimeoutError, match="left running"):
            color.invoke(graph, None, ON_A_THREAD)
        assert len(server.requests) == before + 1
        assert server.running == 1


# Clients


@pytest.fixture
def server() -> Any:
    with FakeHTTPServer(lambda request: Response.json({"path": request.path})) as running:
        yield running


@pytest.mark.parametrize("trickle", TRICKLES)
@pytest.mark.parametrize("call", [READ, WRITE], ids=["read", "write"])
def test_a_time_out_is_for_all_of_an_answer(
    color: Color, server: Any, call: Call[Any], trickle: Any
) -> None:
    server.faults.add(trickle({}), times=None)
    configuration = ApiClientConfiguration(server.url, timeout=0.5, retries=0)
    with pytest.raises(ApiTimeoutError, match="timeout") as caught:
        send(color, configuration, call)
    assert caught.value.sent


@pytest.mark.parametrize("trickle", TRICKLES)
def test_a_time_out_of_one_call_is_for_all_of_its_answer(
    color: Color, server: Any, trickle: Any
) -> None:
    server.faults.add(trickle({}), times=None)
    with pytest.raises(ApiTimeoutError, match="timeout"):
        send(color, server.url, WRITE.with_options(timeout=0.5))


def test_a_time_out_is_for_all_of_an_error_that_comes_instead_of_a_stream(
    color: Color, server: Any
) -> None:
    body = Response.text(" " * 8000 + '"no"', 500, "application/json")
    server.faults.add(Fault.respond(body) | Fault.trickle(200, seconds=SLOWLY), times=None)
    configuration = ApiClientConfiguration(server.url, timeout=0.5, retries=0)
    call = READ.with_options(headers={"accept": "text/event-stream"})
    with pytest.raises(ApiTimeoutError):
        exhaust(color, configuration, call)


def test_a_stream_may_last_longer_than_its_time_out_as_long_as_pieces_come(
    color: Color, server: Any
) -> None:
    pieces = Response.text("data: a\n\n" * 200, 200, "text/event-stream")
    server.faults.add(Fault.respond(pieces) | Fault.trickle(200, seconds=SLOWLY))
    configuration = ApiClientConfiguration(server.url, timeout=0.5, retries=0)
    call = READ.with_options(headers={"accept": "text/event-stream"})
    assert exhaust(color, configuration, call) == b"data: a\n\n" * 200


def exhaust(color: Color, configuration: Any, call: Call[Any]) -> bytes:
    """All of a stream."""
    if color.name == "sync":
        with Transport(configuration) as transport:
            return b"".join(transport.stream(call))

    async def read() -> bytes:
        async with AsyncTransport(configuration) as transport:
            return b"".join([piece async for piece in transport.stream(call)])

    return asyncio.run(read())


def test_a_time_out_of_one_call_is_not_outlasted_by_what_the_server_asks_for(
    color: Color, server: Any
) -> None:
    server.faults.add(Fault.status(429, retry_after=15), times=None)
    with soon(), pytest.raises((TooManyRequestsException, ApiTimeoutError)):
        send(color, server.url, READ.with_options(timeout=0.5))


def test_a_time_out_is_also_for_the_connection_and_says_that_nothing_was_sent(
    color: Color,
) -> None:
    with never_accepting() as port:
        url = f"http://127.0.0.1:{port}"
        configuration = ApiClientConfiguration(url, timeout=0.5, connect_timeout=30, retries=0)
        with soon(), pytest.raises(ApiTimeoutError) as caught:
            send(color, configuration, WRITE)
    assert not caught.value.sent


def test_where_the_time_out_cuts_the_connecting_off_by_itself_nothing_was_sent_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Aiohttp rounds the time for a connection up, beyond that for all of an exchange."""
    monkeypatch.setattr(exchange, "_TO_CONNECT", 100)
    with never_accepting() as port:
        configuration = ApiClientConfiguration(f"http://127.0.0.1:{port}", timeout=0.51, retries=0)
        with soon(), pytest.raises(ApiTimeoutError, match="no connection in time") as caught:
            send(Color("async"), configuration, WRITE)
    assert not caught.value.sent


@contextmanager
def never_accepting() -> Iterator[int]:
    """A port where connections are not refused, and do not come about either."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


class Fetching(httpx.Auth):
    """Gets a token from an issuer before each request."""

    requires_response_body = True

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def auth_flow(self, request: httpx.Request) -> Any:
        yield httpx.Request("POST", f"{self._issuer}/token")
        yield request


@pytest.mark.parametrize("trickle", TRICKLES)
def test_a_time_out_is_also_for_the_token_that_an_authentication_fetches(
    color: Color, server: Any, trickle: Any
) -> None:
    with FakeHTTPServer(lambda _: Response.json({})) as issuer:
        issuer.faults.add(trickle({}), times=None)
        configuration = ApiClientConfiguration(server.url, timeout=0.5, retries=0)
        with pytest.raises(ApiTimeoutError):
            send(color, configuration, WRITE, auth=Fetching(issuer.url))
        assert len(server.requests) == 0


def test_a_time_out_of_one_call_is_a_total_with_a_client_of_ones_own_too(
    color: Color, server: Any
) -> None:
    server.faults.add(blanks({}), times=None)
    with pytest.raises(ApiTimeoutError):
        send_by_ones_own(color, server.url, WRITE.with_options(timeout=0.5))


def send_by_ones_own(color: Color, url: str, call: Call[Any]) -> None:
    if color.name == "sync":
        with httpx.Client(base_url=url) as client:
            send(color, None, call, client=client)
        return

    async def run() -> None:
        own = httpx.AsyncClient(base_url=url)
        async with own as client, AsyncTransport(client=client) as transport:
            await transport.send(call)

    asyncio.run(run())


def test_a_run_ends_at_its_deadline_with_a_client_of_ones_own_too(color: Color) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        server.faults.add(blanks(DONE), on=WAIT, times=None)
        with pytest.raises(RunTimeoutError):
            run_by_ones_own(color, server)
        gate.open()


def run_by_ones_own(color: Color, server: FakeACPServer) -> None:
    settings: dict[str, Any] = {"run_timeout": 0.5}
    state = {"ask": {"text": "hi"}}
    if color.name == "sync":
        with httpx.Client() as client:
            node = make_node(server.url, server.agent_id, client=client, **settings)
            graph_with(node).invoke(state, ON_A_THREAD)
        return

    async def run() -> None:
        async with httpx.AsyncClient() as client:
            node = make_node(server.url, server.agent_id, async_client=client, **settings)
            await graph_with(node).ainvoke(state, ON_A_THREAD)

    asyncio.run(run())


async def test_a_run_ends_at_its_deadline_although_nobody_gives_a_token() -> None:
    given = iter(["first"])

    async def token() -> str:
        for each in given:
            return each
        await asyncio.Event().wait()
        raise AssertionError("never")

    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        server.faults.add(Fault.status(401), on=WAIT, times=None)
        node = make_node(server.url, server.agent_id, auth=TokenAuth(token), run_timeout=0.5)
        with pytest.raises(RunTimeoutError):
            await asyncio.wait_for(
                graph_with(node).ainvoke({"ask": {"text": "hi"}}, ON_A_THREAD), SOON
            )


# Quant


def waiting(server: FakeQuant, deadline: float) -> QuantToolNode:
    return QuantToolNode(
        "wait",
        server.url,
        organisation="acme",
        execution_path="ask",
        output_path="answer",
        pace=Pace(0.01, 0.02, deadline),
    )


def working(server: FakeQuant, deadline: float, **options: Any) -> QuantTaskNode:
    return QuantTaskNode(
        "work",
        lambda given: {"done": given["task"]["taskId"]},
        server.url,
        organisation="acme",
        task_path="ask",
        output_path="answer",
        pace=Pace(0.01, 0.02, deadline),
        **options,
    )


@pytest.mark.parametrize("trickle", TRICKLES)
def test_an_execution_on_quant_that_is_shown_in_trickles_ends_at_its_deadline(
    color: Color, trickle: Any
) -> None:
    with FakeQuant() as server:
        shown = {"executionId": "exec_1", "toolName": "count", "status": "complete", "result": 7}
        server.faults.add(trickle(shown), on="get_ai_tool_execution_status", times=None)
        with pytest.raises(RunTimeoutError):
            color.invoke(waiting(server, 0.5), {"ask": "exec_1"})


@pytest.mark.parametrize("operation", ["get_task", "list_tasks"])
def test_a_server_that_asks_for_more_time_than_a_task_on_quant_has_gets_what_is_left(
    color: Color, operation: str
) -> None:
    with FakeQuant() as server:
        before = [server.add_task(name, taskListId="l") for name in ("one", "two")]
        task = server.add_task("three", *before, taskListId="l")
        server.faults.add(Fault.status(503, retry_after=15), on=operation, times=None)
        with soon(), pytest.raises(RunTimeoutError):
            color.invoke(working(server, 0.5), {"ask": task.task_id})


def test_a_task_on_quant_that_another_worker_keeps_is_waited_for_until_the_deadline(
    color: Color,
) -> None:
    with FakeQuant() as server:
        task = server.add_task("theirs", status="in_progress")
        done = threading.Timer(SOON, task.write, [{"status": "completed"}, time.time()])
        done.start()  # who waits for longer than it may is given what it waits for
        with pytest.raises(RunTimeoutError, match=task.task_id):
            color.invoke(working(server, 0.3), {"ask": task.task_id})
        done.cancel()


# Bridges


@pytest.mark.parametrize("trickle", TRICKLES)
def test_a_bridge_that_answers_in_trickles_ends_at_the_time_out(color: Color, trickle: Any) -> None:
    with FakeBridge({"mail": lambda _: "sent"}) as bridge:
        bridge.faults.add(trickle("sent"), times=None)
        node = APIBridgeAgentNode("send", bridge.url, "mail", "ask", "answer", timeout=0.5)
        with pytest.raises((ApiConnectionError, RuntimeError), match="time"):
            color.invoke(node, {"ask": "Send it"})


def test_a_gateway_that_asks_for_more_time_than_a_query_has_gets_what_is_left(
    color: Color,
) -> None:
    with FakeBridge({"mail": lambda _: "sent"}) as bridge:
        bridge.faults.add(Fault.status(429, retry_after=15), times=None)
        node = APIBridgeAgentNode("send", bridge.url, "mail", "ask", "answer", timeout=0.5)
        late = (TooManyRequestsException, ApiTimeoutError, GatewayTimeoutError)
        with soon(), pytest.raises(late):
            color.invoke(node, {"ask": "Send it"})
        assert not bridge.queries


def test_a_server_that_says_at_once_that_a_run_is_not_done_is_not_asked_again_at_once(
    color: Color,
) -> None:
    def not_done(_: Response | None) -> Response:
        (run,) = server.runs
        known = {"run_id": run.run_id, "agent_id": server.agent_id, "status": "pending"}
        times = dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z")
        return Response.json({"run": known | times, "output": None})

    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        server.faults.add(Fault("not_done", alter=not_done, works=False), on=WAIT, times=None)
        node = ACPNode(
            "remote", server.agent_id, server.url, "ask", None, "answer", None, run_timeout=1.0
        )
        with soon(), pytest.raises(RunTimeoutError):
            color.invoke(graph_with(node), {"ask": {"text": "hi"}}, ON_A_THREAD)
        gate.open()
        assert server.requests.count(WAIT) < 20
