"""Remote runs in the traces of LangSmith and OpenTelemetry, and trace contexts sent along."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.langchain import LangChainTracer
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from langsmith import Client
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.colors import Color

from acp_langgraph import (
    ACPClient,
    ACPNode,
    APIBridgeAgentNode,
    ApiClientConfiguration,
    AsyncACPClient,
    TokenAuth,
)
from acp_langgraph.errors import ACPRunException, ApiValueError
from acp_langgraph.server import serve
from acp_langgraph.testing import (
    Answer,
    Ask,
    Emit,
    Fail,
    FakeACPServer,
    FakeBridge,
    FakeHTTPServer,
    Response,
    Work,
)

THREAD: Any = {"configurable": {"thread_id": "t1"}}
SECRET = "what was said"
CONTEXT_HEADERS = {"langsmith-trace", "traceparent", "tracestate", "baggage"}


class State(TypedDict, total=False):
    ask: dict[str, Any]
    answer: Any


class Traces(BaseTracer):
    """Keeps the traces that are reported to it."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Any] = []

    def _persist_run(self, run: Any) -> None:
        self.nodes += [child for child in run.child_runs if child.name == "remote"]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans of an application that has set OpenTelemetry up."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


@pytest.fixture
def server() -> Iterator[FakeACPServer]:
    with FakeACPServer([Answer({"text": SECRET})]) as running:
        yield running


def built(server: FakeACPServer, *, trace: bool = False, baggage: bool = False, **more: Any) -> Any:
    configuration = ApiClientConfiguration(server.url, trace=trace, trace_baggage=baggage)
    node = ACPNode("remote", server.agent_id, configuration, "ask", None, "answer", None, **more)
    return StateGraph(State).add_node(node).add_edge(START, "remote")


def sent(server: FakeACPServer) -> list[dict[str, str]]:
    """The context headers, request by request."""
    return [
        {name: value for name, value in request.headers.items() if name in CONTEXT_HEADERS}
        for request in server.requests
    ]


def langsmith() -> Any:
    """A LangSmith that listens."""
    return FakeHTTPServer(lambda _: Response.json({}, 202))


def tracer_of(service: FakeHTTPServer) -> LangChainTracer:
    client = Client(service.url, api_key="made up", auto_batch_tracing=False)
    return LangChainTracer(client=client)


def test_the_nodes_run_in_a_trace_says_which_remote_run_it_was(
    color: Color, server: FakeACPServer
) -> None:
    traces = Traces()
    color.invoke(built(server).compile(), {"ask": {"text": SECRET}}, {"callbacks": [traces]})
    (node,) = traces.nodes
    found = node.extra["metadata"]
    assert found["remote_agent"] == server.agent_id
    assert found["remote_host"] == server.url.removeprefix("http://")
    assert found["remote_run_id"] == server.run.run_id
    assert found["remote_status"] == "done"
    assert 0 <= found["remote_wait_seconds"] < 60
    assert SECRET not in str(found)


def test_langsmith_is_told_of_the_remote_run(color: Color, server: FakeACPServer) -> None:
    with langsmith() as service:
        config = {"callbacks": [tracer_of(service)]}
        color.invoke(built(server).compile(), {"ask": {"text": "hi"}}, config)
        told = [request.json for request in service.requests if request.method == "PATCH"]
    found = [each["extra"]["metadata"] for each in told if "remote_run_id" in str(each)]
    assert server.run.run_id in {each.get("remote_run_id") for each in found}


def test_an_asking_and_a_failing_run_are_told_apart_in_a_trace(color: Color) -> None:
    traces = Traces()
    config = {**THREAD, "callbacks": [traces]}
    with FakeACPServer([Ask("color?"), Fail(SECRET)]) as asking:
        graph = built(asking).compile(checkpointer=InMemorySaver())
        color.invoke(graph, {"ask": {"text": "hi"}}, config)
        with pytest.raises(ACPRunException):
            color.invoke(graph, Command(resume="red"), config)
    asked, failed = (node.extra["metadata"] for node in traces.nodes)
    assert (asked["remote_status"], failed["remote_status"]) == ("asked", "failed")
    assert asked["remote_run_id"] == failed["remote_run_id"]


def test_a_host_that_is_not_configured_for_it_is_told_of_no_trace(
    color: Color, server: FakeACPServer, spans: InMemorySpanExporter
) -> None:
    with langsmith() as service, trace.get_tracer("app").start_as_current_span("outer"):
        config = {"callbacks": [tracer_of(service)]}
        color.invoke(built(server).compile(), {"ask": {"text": "hi"}}, config)
    assert sent(server) == [{}]


def test_langsmiths_trace_is_sent_without_its_baggage(color: Color, server: FakeACPServer) -> None:
    graph = built(server, trace=True).compile(checkpointer=InMemorySaver())
    with langsmith() as service:
        config = {**THREAD, "callbacks": [tracer_of(service)], "tags": ["private"]}
        color.invoke(graph, {"ask": {"text": "hi"}}, config)
        known = {request.json.get("dotted_order") for request in service.requests if request.body}
    assert len(sent(server)) == 2
    for headers in sent(server):
        assert headers.keys() == {"langsmith-trace"}
        assert headers["langsmith-trace"] in known


def test_baggage_is_sent_if_asked_for(color: Color, server: FakeACPServer) -> None:
    graph = built(server, trace=True, baggage=True).compile()
    token = context.attach(baggage.set_baggage("tenant", "acme"))
    try:
        with langsmith() as service:
            config = {"callbacks": [tracer_of(service)], "tags": ["mine"]}
            color.invoke(graph, {"ask": {"text": "hi"}}, config)
    finally:
        context.detach(token)
    (headers,) = sent(server)
    assert "langsmith-tags=" in headers["baggage"]
    assert headers["baggage"].endswith("tenant=acme")


def test_baggage_that_is_too_large_is_left_behind(color: Color, server: FakeACPServer) -> None:
    graph = built(server, trace=True, baggage=True).compile()
    with langsmith() as service:
        config = {"callbacks": [tracer_of(service)], "tags": ["x" * 9000]}
        color.invoke(graph, {"ask": {"text": "hi"}}, config)
    assert [headers.keys() for headers in sent(server)] == [{"langsmith-trace"}]


def test_a_span_tells_of_a_remote_run_and_its_context_is_sent(
    color: Color, server: FakeACPServer, spans: InMemorySpanExporter
) -> None:
    graph = built(server, trace=True).compile(checkpointer=InMemorySaver())
    with trace.get_tracer("app").start_as_current_span("outer") as outer:
        color.invoke(graph, {"ask": {"text": SECRET}}, THREAD)
    (span,) = [each for each in spans.get_finished_spans() if each.name != "outer"]
    assert span.name == f"invoke_agent {server.agent_id}"
    assert span.kind is trace.SpanKind.CLIENT
    assert span.parent is not None
    assert span.parent.span_id == outer.get_span_context().span_id
    found = dict(span.attributes or {})
    assert found.pop("acp_langgraph.wait_seconds") < 60
    assert found == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": server.agent_id,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "acp_langgraph.node": "remote",
        "acp_langgraph.run_id": server.run.run_id,
        "acp_langgraph.thread_id": "t1",
        "acp_langgraph.status": "done",
    }
    own = trace.format_span_id(span.context.span_id)
    whole = trace.format_trace_id(span.context.trace_id)
    for headers in sent(server):
        assert headers.keys() == {"traceparent"}
        assert headers["traceparent"].startswith(f"00-{whole}-{own}-")


def test_a_span_of_a_question_is_no_error_and_one_of_a_failure_is(
    color: Color, spans: InMemorySpanExporter
) -> None:
    with FakeACPServer([Ask("color?"), Fail(SECRET)]) as asking:
        graph = built(asking).compile(checkpointer=InMemorySaver())
        color.invoke(graph, {"ask": {"text": "hi"}}, THREAD)
        with pytest.raises(ACPRunException):
            color.invoke(graph, Command(resume="red"), THREAD)
    asked, failed = spans.get_finished_spans()
    assert asked.status.is_unset
    assert dict(asked.attributes or {})["acp_langgraph.status"] == "asked"
    assert (failed.status.is_ok, failed.status.description) == (False, "ACPRunException")
    assert dict(failed.attributes or {})["error.type"] == "ACPRunException"
    assert SECRET not in failed.to_json()
    assert not failed.events


def test_a_span_of_a_cancelled_run_says_so(spans: InMemorySpanExporter) -> None:
    async def run(working: FakeACPServer) -> None:
        job = asyncio.create_task(built(working).compile().ainvoke({"ask": {"text": "hi"}}))
        await asyncio.to_thread(working.requests.wait_for, "POST /runs/wait")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await asyncio.to_thread(working.requests.wait_for, "cancel_stateless_run")

    with FakeACPServer([Work(60)]) as working:
        asyncio.run(run(working))
    (span,) = spans.get_finished_spans()
    assert dict(span.attributes or {})["acp_langgraph.status"] == "cancelled"


def test_a_span_of_a_bridges_query_names_the_service(
    color: Color, spans: InMemorySpanExporter
) -> None:
    with FakeBridge({"mail": lambda query: SECRET}) as bridge:
        configuration = ApiClientConfiguration(bridge.url, trace=True)
        node = APIBridgeAgentNode("send", configuration, "mail", "ask", "answer")
        color.invoke(node, {"ask": {"query": SECRET}})
        assert "traceparent" in bridge.requests[0].headers
    (span,) = spans.get_finished_spans()
    assert span.name == "invoke_agent mail"
    assert SECRET not in span.to_json()


def test_graph_and_remote_graph_are_in_one_trace(color: Color, spans: InMemorySpanExporter) -> None:
    def work(state: State) -> State:
        with trace.get_tracer("remote app").start_as_current_span("inner"):
            return {"answer": "done"}

    agent = StateGraph(State).add_node(work).add_edge(START, "work").compile()
    with (
        serve({"agent": agent}, trace=True) as remote,
        trace.get_tracer("app").start_as_current_span("outer"),
    ):
        configuration = ApiClientConfiguration(remote.url, trace=True)
        node = ACPNode("remote", "agent", configuration, "ask", None, "answer", None)
        graph = StateGraph(State).add_node(node).add_edge(START, "remote").compile()
        color.invoke(graph, {"ask": {"ask": {}}})
    by_name = {span.name: span for span in spans.get_finished_spans()}
    inner, run, outer = (by_name[name] for name in ("inner", "invoke_agent agent", "outer"))
    assert inner.parent is not None
    assert run.parent is not None
    assert inner.parent.span_id == run.context.span_id
    assert run.parent.span_id == outer.context.span_id


def test_a_stream_and_a_users_token_go_with_the_context(
    color: Color, spans: InMemorySpanExporter
) -> None:
    with FakeACPServer([Emit({"n": 1}), Answer({"text": "done"})]) as emitting:
        graph = built(emitting, trace=True, auth=TokenAuth(lambda: "sesame")).compile()
        color.stream(graph, {"ask": {"text": "hi"}}, stream_mode="custom")
        assert all("traceparent" in headers for headers in sent(emitting))
        assert {seen.headers["authorization"] for seen in emitting.requests} == {"Bearer sesame"}


def test_a_client_tells_its_host_of_the_current_span(
    color: Color, server: FakeACPServer, spans: InMemorySpanExporter
) -> None:
    def call(*, traced: bool) -> None:
        configuration = ApiClientConfiguration(server.url, trace=traced)
        if color.name == "sync":
            with ACPClient(configuration) as client:
                client.search_agents({})
            return

        async def run() -> None:
            async with AsyncACPClient(configuration) as client:
                await client.search_agents({})

        asyncio.run(run())

    with trace.get_tracer("app").start_as_current_span("outer") as outer:
        call(traced=True)
        call(traced=False)
    first, second = sent(server)
    assert trace.format_span_id(outer.get_span_context().span_id) in first["traceparent"]
    assert not second


def test_without_a_trace_nothing_is_sent(color: Color, server: FakeACPServer) -> None:
    color.invoke(built(server, trace=True).compile(), {"ask": {"text": "hi"}})
    assert sent(server) == [{}]


def test_baggage_without_a_trace_is_refused() -> None:
    with pytest.raises(ApiValueError, match="trace_baggage needs trace=True"):
        ApiClientConfiguration("http://h", trace_baggage=True)


def test_a_span_is_made_whether_or_not_anything_is_logged(
    server: FakeACPServer, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "acp_langgraph.runs"):
        built(server).compile().invoke({"ask": {"text": "hi"}})
    assert len(spans.get_finished_spans()) == 1
    assert [record.name for record in caplog.records].count("acp_langgraph.runs") == 2
