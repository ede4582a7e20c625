"""What an `ACPNode`'s agent emits, in the graph's stream, over real HTTP."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send
from support.colors import Color
from support.events import emitted

from acp_langgraph.errors import ACPRunException, NodeConfigurationError
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Ask, Emit, Fail, FakeACPServer, FakeAgent, Gate, Work

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
TEN = [Emit({"n": n}) for n in range(10)]


class State(TypedDict, total=False):
    ask: Any
    answer: Any
    left: Annotated[Any, lambda _, new: new]
    right: Any


def make(server: Any, agent_name: str = "agent", **changes: Any) -> ACPNode:
    settings: dict[str, Any] = {
        "name": "remote",
        "agent_id": agent_name,
        "client_config": server.url,
        "input_path": "ask",
        "input_type": None,
        "output_path": "answer",
        "output_type": None,
    }
    return ACPNode(**{**settings, **changes})


def graph_of(*nodes: Any, checkpointer: Any = None) -> Any:
    builder = StateGraph(State)
    for node in nodes:
        builder.add_node(node)
        builder.add_edge(START, node.get_name())
    return builder.compile(checkpointer=checkpointer)


def payloads(events: list[Any], kind: str = "custom") -> list[Any]:
    return [event["payload"] for event in events if event["kind"] == kind]


def test_updates_and_values_reach_the_custom_stream_in_order_and_tell_where_from(
    color: Color,
) -> None:
    script = [Emit({"n": 1}), Emit({"text": "a"}, "values"), Emit("words"), Answer({"text": "ab"})]
    with FakeACPServer(script) as server:
        graph = graph_of(make(server))
        events = emitted(color.stream(graph, {"ask": {}}, stream_mode="custom"))
        about = {"node": "remote", "agent": "agent", "run_id": server.run.run_id}
    assert events == [
        {**about, "kind": "custom", "payload": {"n": 1}},
        {**about, "kind": "values", "payload": {"text": "a"}},
        {**about, "kind": "custom", "payload": "words"},
        {**about, "kind": "values", "payload": {"text": "ab"}},
    ]


@pytest.mark.parametrize("checkpointer", [None, InMemorySaver()], ids=["plain", "durable"])
def test_an_event_is_seen_while_the_remote_run_still_works(color: Color, checkpointer: Any) -> None:
    gates = [Gate("first"), Gate("second")]
    script = [Work(gates[0]), Emit(1), Work(gates[1]), Emit(2), Answer("done")]
    with FakeACPServer(script) as server:
        graph = graph_of(make(server), checkpointer=checkpointer)
        seen = []
        gates[0].open()
        with color.streaming(graph, {"ask": {}}, ON_A_THREAD, stream_mode="custom") as events:
            for event in events:
                if event["kind"] != "progress":
                    seen.append((event["payload"], server.run.status))
                    gates[1].open()
    assert seen == [(1, "pending"), (2, "success"), ("done", "success")]


def test_what_an_agent_says_arrives_as_messages_of_the_node(color: Color) -> None:
    script = [
        Emit({"messages": [{"role": "user", "content": "hi", "id": "h"}]}, "values"),
        Emit({"type": "AIMessageChunk", "content": "He", "id": "a"}),
        Emit({"type": "AIMessageChunk", "content": "llo", "id": "a"}),
        Emit(
            {
                "messages": [
                    {"role": "user", "content": "hi", "id": "h"},
                    {"role": "assistant", "content": "Hello", "id": "a"},
                    {"role": "assistant", "content": "Bye", "id": "b"},
                    {"role": "assistant", "content": 7},
                    "no message",
                ]
            },
            "values",
        ),
        Emit({"type": "ai", "content": "PS", "id": "c"}),
        Answer({"text": "done"}, messages=[{"role": "assistant", "content": "Bye", "id": "b"}]),
    ]
    with FakeACPServer(script) as server:
        said = color.stream(graph_of(make(server)), {"ask": {}}, stream_mode="messages")
    assert [(type(message), message.id, message.content) for message, _ in said] == [
        (AIMessageChunk, "a", "He"),
        (AIMessageChunk, "a", "llo"),
        (AIMessage, "b", "Bye"),
        (AIMessage, "c", "PS"),
    ]
    assert {metadata["langgraph_node"] for _, metadata in said} == {"remote"}


def test_what_was_said_before_a_question_is_not_said_again_after_it(color: Color) -> None:
    first, second = ({"role": "assistant", "content": text, "id": text} for text in ("a", "b"))
    script = [
        Emit({"messages": [first]}, "values"),
        Ask("go on?"),
        Answer({"messages": [first, second]}),
    ]
    with FakeACPServer(script) as server:
        graph = graph_of(make(server), checkpointer=InMemorySaver())
        said = color.stream(graph, {"ask": {}}, ON_A_THREAD, stream_mode="messages")
        said += color.stream(graph, Command(resume=1), ON_A_THREAD, stream_mode="messages")
    assert [message.content for message, _ in said] == ["a", "b"]


def test_the_output_so_far_is_seen_as_a_subgraphs_values(color: Color) -> None:
    with FakeACPServer([Emit({"text": "a"}, "values"), Answer({"text": "ab"})]) as server:
        graph = graph_of(make(server))
        seen = color.stream(graph, {"ask": {}}, stream_mode="values", subgraphs=True)
    assert [(tuple(part.split(":")[0] for part in place), values) for place, values in seen] == [
        ((), {"ask": {}}),
        (("remote",), {"text": "a"}),
        (("remote",), {"text": "ab"}),
        ((), {"ask": {}, "answer": {"text": "ab"}}),
    ]


async def test_astream_events_shows_the_remote_run() -> None:
    script = [Emit(1), Emit({"type": "ai", "content": "hi", "id": "a"}), Answer("done")]
    with FakeACPServer(script) as server:
        graph = graph_of(make(server), checkpointer=InMemorySaver())
        events = [e async for e in graph.astream_events({"ask": {}}, ON_A_THREAD, version="v2")]
    custom = [e["data"] for e in events if e["event"] == "on_custom_event"]
    custom = [event["payload"] for event in emitted(custom)]
    assert custom == [1, {"type": "ai", "content": "hi", "id": "a"}, "done"]
    (said,) = [e for e in events if e["event"] == "on_chat_model_end"]
    assert said["name"] == "agent"
    assert said["data"]["output"].content == "hi"
    assert events[-1]["data"]["output"] == {"ask": {}, "answer": "done"}


def test_a_node_on_its_own_yields_its_events_and_its_result(color: Color) -> None:
    with FakeACPServer([Emit(1), Answer("done")]) as server:
        *events, result = color.stream(make(server), {"ask": {}})
        assert payloads(events) == [1]
        assert result == {"answer": "done"}
        modes = color.stream(make(server), {"ask": {}}, stream_mode=["custom", "values"])
    assert [mode for mode, _ in emitted(modes)] == ["custom", "custom", "values"]


def test_two_parallel_nodes_and_a_fan_out_tell_whose_events_they_are(color: Color) -> None:
    scripts = {
        "a": [Emit("a"), Answer("A")],
        "b": [Emit("b"), Answer("B")],
    }
    with FakeACPServer(scripts) as server:
        left = make(server, "a", name="left", output_path="left")
        right = make(server, "b", name="right", output_path="right")
        events = emitted(color.stream(graph_of(left, right), {"ask": {}}, stream_mode="custom"))
        shown = sorted((event["node"], event["agent"], event["payload"]) for event in events)
        assert shown == [
            ("left", "a", "A"),
            ("left", "a", "a"),
            ("right", "b", "B"),
            ("right", "b", "b"),
        ]
        builder = StateGraph(State)
        builder.add_node("item", make(server, "a", output_path="left"))
        builder.add_conditional_edges(
            START, lambda _: [Send("item", {"ask": {"n": n}}) for n in range(3)]
        )
        events = color.stream(builder.compile(), {}, stream_mode="custom")
        assert len({event["run_id"] for event in events}) == 3


def test_a_remote_run_streams_through_a_subgraph_across_a_question(color: Color) -> None:
    script = [Emit(1), Ask("color?"), Emit(2), Answer("done")]
    with FakeACPServer(script) as server:
        inner = graph_of(make(server))
        builder = StateGraph(State)
        builder.add_node("inner", inner)
        builder.add_edge(START, "inner")
        graph = builder.compile(checkpointer=InMemorySaver())
        watching = {"stream_mode": ["custom", "values"], "subgraphs": True}
        seen = color.stream(graph, {"ask": {}}, ON_A_THREAD, **watching)
        seen += color.stream(graph, Command(resume="blue"), ON_A_THREAD, **watching)
        events = [
            (place, item["payload"]) for place, mode, item in emitted(seen) if mode == "custom"
        ]
        assert [payload for _, payload in events] == [1, 2, "done"]
        assert {place[0].split(":")[0] for place, _ in events} == {"inner"}
        assert len({place for place, _ in events}) == 1
        outer = [item for place, mode, item in seen if mode == "values" and not place]
        assert outer[1]["__interrupt__"][0].value == "color?"
        assert outer[-1]["answer"] == "done"
        assert server.run.answers == ["blue"]


def test_if_nobody_watches_there_is_no_request_for_it(color: Color) -> None:
    with FakeACPServer(TEN) as server:
        node = make(server, server.agent_id)
        color.invoke(graph_of(node), {"ask": {}})
        assert [request.path for request in server.requests] == ["/runs/wait"]
        color.stream(graph_of(node), {"ask": {}}, stream_mode=["updates", "values", "debug"])
        assert [request.path for request in server.requests] == ["/runs/wait"] * 2
        assert "stream_mode" not in server.runs[-1].creation


@pytest.mark.parametrize(
    ("declared", "asked"),
    [
        ({"values": True, "custom": True}, ["custom", "values"]),
        ({"values": True, "custom": False}, ["values"]),
        ({"custom": True}, ["custom"]),
    ],
)
def test_by_default_an_agent_is_asked_for_what_it_declares(
    color: Color, declared: Any, asked: Any
) -> None:
    agent = FakeAgent("agent", TEN, capabilities={"streaming": declared})
    with FakeACPServer(agents=[agent]) as server:
        graph = graph_of(make(server))
        for _ in range(2):
            color.stream(graph, {"ask": {}}, stream_mode="custom")
        descriptors = [r for r in server.requests if r.path.endswith("/descriptor")]
        assert len(descriptors) == 1
        assert [run.creation["stream_mode"] for run in server.runs] == [asked, asked]


@pytest.mark.parametrize("streaming", [None, {"values": False, "custom": False}])
def test_an_agent_that_cannot_stream_is_not_listened_to(color: Color, streaming: Any) -> None:
    agent = FakeAgent("agent", [Answer("done")], capabilities={"streaming": streaming})
    with FakeACPServer(agents=[agent]) as server:
        assert not emitted(color.stream(graph_of(make(server)), {"ask": {}}, stream_mode="custom"))
        assert not [r for r in server.requests if r.path.endswith("/stream")]


@pytest.mark.parametrize(
    ("mode", "seen"),
    [("custom", ["c"]), ("values", ["v"]), (["values"], ["v"]), (["values", "custom"], ["c", "v"])],
)
def test_the_stream_mode_says_what_an_agent_is_asked_for(
    color: Color, mode: Any, seen: Any
) -> None:
    with FakeACPServer([Emit("c"), Emit("v", "values"), Answer(None)]) as server:
        graph = graph_of(make(server, server.agent_id, stream_mode=mode))
        events = color.stream(graph, {"ask": {}}, stream_mode="custom")
        assert [e["payload"] for e in emitted(events) if e["payload"]] == seen
        assert not [r for r in server.requests if r.path.endswith("/descriptor")]


def test_a_node_may_be_told_not_to_stream(color: Color) -> None:
    with FakeACPServer(TEN) as server:
        graph = graph_of(make(server, stream_mode=None))
        assert not emitted(color.stream(graph, {"ask": {}}, stream_mode="custom"))


@pytest.mark.parametrize("mode", ["messages", ["values", "auto"], [1], "value"])
def test_a_stream_mode_that_agents_do_not_have_is_refused(mode: Any) -> None:
    with pytest.raises(NodeConfigurationError, match="stream_mode"):
        ACPNode("n", "a", "http://h", "", None, "", None, stream_mode=mode)


def test_a_failed_run_fails_the_same_with_a_stream(color: Color) -> None:
    with FakeACPServer([Emit(1), Fail("no ink")]) as server:
        graph, seen = graph_of(make(server)), []
        with (
            pytest.raises(ACPRunException, match="no ink"),
            color.streaming(graph, {"ask": {}}, stream_mode="custom") as events,
        ):
            seen += events
    assert payloads(seen) == [1]


def test_a_remembered_step_shows_nothing_again(color: Color) -> None:
    """The node is entered three times; what it heard before a question is not shown after it."""
    script = [Emit(1), Ask("a?"), Emit(2), Ask("b?"), Emit(3), Answer("done")]
    with FakeACPServer(script) as server:
        graph = graph_of(make(server), checkpointer=InMemorySaver())
        seen = [
            color.stream(graph, given, ON_A_THREAD, stream_mode="custom")
            for given in [{"ask": {}}, Command(resume="x"), Command(resume="y")]
        ]
        assert [payloads(events) for events in seen] == [[1], [2], [3]]
        assert server.run.completed


async def test_what_was_heard_of_runs_that_were_cancelled_is_forgotten() -> None:
    gate = Gate()
    with FakeACPServer([Emit({"n": 1}), Work(gate), Answer("done")]) as server:
        node = make(server)
        graph = graph_of(node, checkpointer=InMemorySaver())
        for number in range(3):
            thread: Any = {"configurable": {"thread_id": str(number)}}
            stream = graph.astream({"ask": {}}, thread, stream_mode="custom")
            async for event in stream:
                if event["kind"] == "custom":
                    break
            await stream.aclose()
        await node.aclose()
        gate.open()
        assert node._listening is not None
        assert node._listening.cursors == {}
