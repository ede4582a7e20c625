"""What becomes of a node where a checkpointer does not store it, or cannot."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy
from support.colors import Color

from acp_langgraph import ACPNode, APIBridgeAgentNode, QuantChatNode, QuantTaskNode, QuantToolNode
from acp_langgraph.errors import CheckpointerRequiredError
from acp_langgraph.quant.polling import Pace
from acp_langgraph.testing import (
    Answer,
    Ask,
    BridgeService,
    FakeACPServer,
    FakeBridge,
    Response,
)
from acp_langgraph.testing.quant import FakeQuant, FakeTool

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
AT_ONCE: Any = {"initial_interval": 0.0, "jitter": False}
QUICK = Pace(0.01, 0.02, 30.0)
SOON = 10.0  # seconds; a third of what is waited for a checkpointer at most
FAST = (("running", 1.0),)
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}


class State(TypedDict, total=False):
    ask: Any
    answer: Any
    messages: Annotated[list[AnyMessage], add_messages]


def graph_of(node: Any, state: Any = State, **options: Any) -> Any:
    """A graph of one node, which may be a graph."""
    return StateGraph(state).add_node("node", node, **options).add_edge(START, "node")


def forgetful(node: Any) -> Any:
    """A graph around a subgraph that is compiled to remember nothing."""
    return graph_of(graph_of(node).compile(checkpointer=False))


def deeper(node: Any) -> Any:
    """A graph around a subgraph that remembers nothing, around one that would."""
    return forgetful(graph_of(node).compile())


def called(node: Any) -> Any:
    """A graph whose function calls a subgraph that is compiled to remember nothing."""
    sub = graph_of(node).compile(checkpointer=False)

    def call(state: State) -> Any:
        return sub.invoke(state)

    return graph_of(call)


@contextmanager
def soon() -> Iterator[None]:
    """It ends long before a checkpointer that stores nothing would be given up."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SOON


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints.sqlite"


def acp(server: Any, **changes: Any) -> ACPNode:
    return ACPNode("remote", server.agent_id, server.url, "ask", dict, "answer", None, **changes)


def tools(server: Any) -> ToolNode:
    return ToolNode([acp(server).as_tool(args_schema=TEXT)])


CALLED: Any = {
    "ask": {"text": "hi"},
    "messages": [AIMessage("", tool_calls=[{"name": "remote", "id": "1", "args": {"text": "hi"}}])],
}


@pytest.mark.parametrize("around", [forgetful, deeper])
@pytest.mark.parametrize("made", [acp, tools])
def test_in_a_subgraph_without_a_checkpointer_an_agent_runs_as_it_does_without_one(
    around: Any, made: Any, color: Color, database: Path
) -> None:
    with FakeACPServer() as server, color.graph_over(around(made(server)), database) as graph:
        with soon():
            done = color.invoke(graph, CALLED, ON_A_THREAD)
        assert "hi" in str(done.get("answer") or done["messages"][-1].content)
        assert [request.path for request in server.requests] == ["/runs/wait"]


def test_a_function_may_call_a_subgraph_without_a_checkpointer(database: Path) -> None:
    color = Color("sync")
    with FakeACPServer() as server, color.graph_over(called(acp(server)), database) as graph:
        with soon():
            done = color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
        assert done["answer"] == {"text": "hi"}


@pytest.mark.parametrize("around", [forgetful, deeper])
@pytest.mark.parametrize("made", [acp, tools])
def test_in_a_subgraph_without_a_checkpointer_a_question_is_refused_and_its_run_ended(
    around: Any, made: Any, color: Color, database: Path
) -> None:
    script = [Ask("color?"), Answer({"text": "blue"})]
    with FakeACPServer(script) as server, color.graph_over(around(made(server)), database) as graph:
        says = "subgraph that was compiled with checkpointer=False"
        with soon(), pytest.raises(CheckpointerRequiredError, match=says) as caught:
            color.invoke(graph, CALLED, ON_A_THREAD)
        assert "InMemorySaver" not in str(caught.value)
        assert (server.created, server.interrupted, server.running) == (1, 0, 0)


def test_a_checkpointer_that_only_a_subgraph_has_is_told_to_be_the_graphs(color: Color) -> None:
    with FakeACPServer([Ask("color?"), Answer({})]) as server:
        inner = graph_of(acp(server)).compile(checkpointer=InMemorySaver())
        with pytest.raises(CheckpointerRequiredError, match="InMemorySaver") as caught:
            color.invoke(graph_of(inner).compile(), {"ask": {"text": "hi"}}, ON_A_THREAD)
        assert "checkpointer=False" not in str(caught.value)


def test_over_a_checkpointer_in_memory_no_question_is_orphaned_either(color: Color) -> None:
    with FakeACPServer([Ask("color?"), Ask("food?"), Answer({})]) as server:
        graph = forgetful(acp(server)).compile(checkpointer=InMemorySaver())
        with pytest.raises(CheckpointerRequiredError):
            color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
        assert (server.created, server.interrupted, server.running) == (1, 0, 0)


def test_in_a_subgraph_without_a_checkpointer_a_retry_finds_its_run(
    color: Color, database: Path
) -> None:
    """One run per invocation, over retries: what has no checkpointer promises as much."""
    attempts: list[int] = []

    def fail_once() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError("after the run")

    with FakeACPServer() as server:
        node = acp(server)

        def work(state: State) -> Any:
            change = node.invoke(state)
            fail_once()
            return change

        async def awork(state: State) -> Any:
            change = await node.ainvoke(state)
            fail_once()
            return change

        both = RunnableLambda(work, awork)
        sub = graph_of(both, retry_policy=RetryPolicy(**AT_ONCE)).compile(checkpointer=False)
        with color.graph_over(graph_of(sub), database) as graph, soon():
            color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
        assert (len(attempts), server.created) == (2, 1)


def test_a_subgraph_on_a_thread_of_its_own_remembers_within_one_that_does_not(
    tmp_path: Path,
) -> None:
    with FakeACPServer([Ask("color?"), Answer({"text": "blue"})]) as server, ExitStack() as stack:
        inner, outer = (
            stack.enter_context(SqliteSaver.from_conn_string(str(tmp_path / name)))
            for name in ("inner", "outer")
        )
        own = graph_of(acp(server)).compile(checkpointer=inner)
        asked: list[Any] = []

        def call(state: State) -> Any:
            config: Any = {"configurable": {"thread_id": "its own"}}
            asked.extend(own.invoke({"ask": state["ask"]}, config)["__interrupt__"])
            return {"answer": own.invoke(Command(resume="blue"), config)["answer"]}

        graph = forgetful(call).compile(checkpointer=outer)
        with soon():
            done = graph.invoke({"ask": {"text": "hi"}}, ON_A_THREAD)
        assert (asked[0].value, done["answer"]) == ("color?", {"text": "blue"})
        assert server.created == server.completed == 1


# Bridge and Quant


def bridge_node(server: Any, **changes: Any) -> Any:
    return APIBridgeAgentNode(
        *("remote", server.url, "mail"),
        input_path="ask",
        output_path="answer",
        service_api_key="k",
        **changes,
    )


QUANT: Any = {"organisation": "acme", "input_path": "ask", "output_path": "answer"}


def quant_tool(server: Any) -> Any:
    waits: Any = {"pace": QUICK, "orchestration_pace": QUICK}
    return QuantToolNode("remote", server.url, model_id="m", tools=["count"], **waits, **QUANT)


def quant_chat(server: Any) -> Any:
    return QuantChatNode("remote", server.url, model_id="m", pace=QUICK, **QUANT)


def quant_task(server: Any) -> Any:
    task: Any = {"task_id": server.add_task("Review").task_id, "settle": 0.01}
    work = RunnableLambda(lambda told: told["input"])
    return QuantTaskNode("remote", work, server.url, pace=Pace(0.01, 0.03, 20.0), **task, **QUANT)


@contextmanager
def bridge() -> Iterator[Any]:
    with FakeBridge({"mail": BridgeService(lambda _: Response.empty(202))}) as server:
        yield server


@contextmanager
def quant_server() -> Iterator[Any]:
    counting = FakeTool("count", result=7, states=FAST)
    with FakeQuant([counting], scale=0.01, chat_states=FAST) as server:
        yield server


@pytest.mark.parametrize("around", [forgetful, deeper])
@pytest.mark.parametrize(
    ("running", "made"),
    [
        (bridge, bridge_node),
        (quant_server, quant_tool),
        (quant_server, quant_chat),
        (quant_server, quant_task),
    ],
)
def test_in_a_subgraph_without_a_checkpointer_other_nodes_work_as_without_one(
    running: Any, made: Any, around: Any, color: Color, database: Path
) -> None:
    with running() as server, color.graph_over(around(made(server)), database) as graph, soon():
        assert color.invoke(graph, {"ask": "Send it"}, ON_A_THREAD)["answer"]


def test_in_a_subgraph_without_a_checkpointer_a_bridge_does_not_ask_before_it_acts(
    color: Color, database: Path
) -> None:
    with bridge() as server:
        node = forgetful(bridge_node(server, confirm=True))
        with (
            color.graph_over(node, database) as graph,
            soon(),
            pytest.raises(CheckpointerRequiredError, match="checkpointer=False"),
        ):
            color.invoke(graph, {"ask": "Send it"}, ON_A_THREAD)
        assert server.queries == []


# What cannot be stored


class Unstorable(State, total=False):
    lock: Any


def local(_: Any) -> Callable[[Any], Any]:
    return lambda state: {"answer": "local"}


def outcome(color: Color, builder: Any, database: Path, given: Any) -> Exception:
    with (
        color.graph_over(builder, database) as graph,
        soon(),
        pytest.raises(Exception) as caught,  # noqa: PT011 - whichever it is
    ):
        color.invoke(graph, given, ON_A_THREAD)
    return caught.value


@pytest.mark.parametrize("made", [acp, tools, lambda server: graph_of(acp(server)).compile()])
def test_a_state_that_cannot_be_stored_is_what_it_is_with_a_local_node(
    made: Any, color: Color, tmp_path: Path
) -> None:
    given = {**CALLED, "lock": threading.Lock()}
    with FakeACPServer() as server:
        errors = [
            outcome(color, graph_of(each(server), Unstorable), tmp_path / name, given)
            for name, each in (("local", local), ("remote", made))
        ]
        assert server.created == 0
    assert type(errors[0]) is type(errors[1]) is TypeError
    assert str(errors[0]) == str(errors[1])


class Full:
    """A saver whose disk is full."""

    def put_writes(self, *_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")


class AsyncFull:
    """A saver whose disk is full."""

    async def aput_writes(self, *_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")


def test_a_step_that_cannot_be_stored_is_the_savers_error_at_once(
    color: Color, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteSaver, "put_writes", Full.put_writes)
    monkeypatch.setattr(AsyncSqliteSaver, "aput_writes", AsyncFull.aput_writes)
    with bridge() as server:
        error = outcome(color, graph_of(bridge_node(server)), database, {"ask": "Send it"})
        assert server.queries == []
    assert isinstance(error, sqlite3.OperationalError)
