"""What is sent, and what the fake answers, by the letter of the specification's protobuf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("a2a", reason="needs a2a-sdk[http-server]")

from a2a.types import (
    AgentCard,
    GetTaskRequest,
    ListTasksRequest,
    ListTasksResponse,
    SendMessageRequest,
    SendMessageResponse,
    StreamResponse,
    SubscribeToTaskRequest,
)
from a2a.types import Task as A2ATask
from a2a.utils.proto_utils import validate_proto_required_fields
from google.protobuf.json_format import ParseDict
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from support.a2a_graph import a2a_graph
from support.colors import Color

from acp_langgraph.a2a.parts import FilePart
from acp_langgraph.testing import Answer, Ask, Emit, FakeA2AServer, Fault, Gate, Response, Work

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
REQUESTS = {
    "SendMessage": SendMessageRequest,
    "GetTask": GetTaskRequest,
    "ListTasks": ListTasksRequest,
    "SubscribeToTask": SubscribeToTaskRequest,
}
ANSWERS = {
    "get_agent_card": AgentCard,
    "SendMessage": SendMessageResponse,
    "GetTask": A2ATask,
    "ListTasks": ListTasksResponse,
    "SubscribeToTask": StreamResponse,
}


class Recording(FakeA2AServer):
    """Keeps what it answers, by operation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.told: list[tuple[str, Any]] = []

    def respond(self, request: Any) -> Response:
        found = super().respond(request)
        return replace(found, body=self._copied(str(request.operation), found))

    def _copied(self, operation: str, found: Response) -> Iterator[Any]:
        for piece in found.pieces():
            if isinstance(piece, bytes) and piece.strip() != b": ping":
                self.told.append((operation, json.loads(piece.removeprefix(b"data: "))))
            yield piece


def strictly(kind: Any, value: Any) -> Any:
    """What a value says; fails for fields that the protocol does not have, and values of another kind."""
    return ParseDict(value, kind(), ignore_unknown_fields=False)


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
def server(request: pytest.FixtureRequest, color: Color) -> Iterator[Recording]:
    """A server that has done one task: lost, asked, followed."""
    gate = Gate()
    script = [Emit("a"), Ask("color?"), Work(gate), Emit({"n": 1}), Answer("b")]
    order = FilePart(content=b"x", media_type="text/plain", name="x.txt").model_dump(mode="json")
    with Recording(script, binding=request.param) as running, ThreadPoolExecutor() as pool:
        joined = pool.submit(running.requests.wait_for, "SubscribeToTask")
        joined.add_done_callback(lambda _: gate.open())
        running.faults.add(Fault.lose_answer(), on="SendMessage")
        graph = a2a_graph(running.url, skill="bake").compile(checkpointer=InMemorySaver())
        color.stream(graph, {"ask": order}, ON_A_THREAD)
        state = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        assert state["answer"] == {"n": 1}
        yield running


def test_every_request_is_one_of_the_specification(server: Recording) -> None:
    seen = set()
    for request in server.requests:
        if request.operation not in REQUESTS:
            continue
        seen.add(request.operation)
        assert request.headers["a2a-version"] == "1.0"
        body = request.json if request.body else {}
        if request.path == "/rpc":
            assert (body["jsonrpc"], body["method"]) == ("2.0", request.operation)
            body = body["params"]
        said = strictly(REQUESTS[request.operation], body)
        if body:  # else it is in the path and the query
            validate_proto_required_fields(said)
    assert seen == set(REQUESTS)


def test_every_answer_of_the_fake_is_one_of_the_specification(server: Recording) -> None:
    for operation, told in server.told:
        if "error" in told:
            continue  # a task that is over is not followed
        strictly(ANSWERS[operation], told["result"] if "jsonrpc" in told else told)
    assert {operation for operation, _ in server.told} == set(ANSWERS)
