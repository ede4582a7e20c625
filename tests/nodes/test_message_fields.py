"""Messages go to a remote agent and come back as they are, with all that LangChain has written in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph, add_messages
from pydantic import BaseModel
from support.agents import agent
from support.colors import Color

from acp_langgraph import ACPClient, ACPNode
from acp_langgraph.acp.models import RunCreateStateful, ThreadCreate, ThreadPatch
from acp_langgraph.server import RunningServer, serve

INPUT = {"messages": "messages"}
ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
USED: Any = {
    "input_tokens": 3,
    "output_tokens": 4,
    "total_tokens": 7,
    "input_token_details": {"cache_read": 1},
}
CALL: Any = {"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
BROKEN: Any = {
    "name": "add",
    "args": "{",
    "id": "c2",
    "error": "no JSON",
    "type": "invalid_tool_call",
}
EVERYTHING: Any = {
    "id": "1",
    "name": "bob",
    "response_metadata": {"model_name": "m", "finish_reason": "stop"},
    "additional_kwargs": {"reasoning": "none"},
}
SAID: dict[str, BaseMessage] = {
    "ai": AIMessage("hi", usage_metadata=USED, **EVERYTHING),
    "calls": AIMessage("", tool_calls=[CALL], invalid_tool_calls=[BROKEN], id="1"),
    "blocks": AIMessage([{"type": "text", "text": "hi"}], usage_metadata=USED, id="1"),
    "human": HumanMessage("hi", **EVERYTHING),
    "system": SystemMessage("hi", **EVERYTHING),
    "tool": ToolMessage("3", tool_call_id="c", artifact=[3], status="error", **EVERYTHING),
    "function": FunctionMessage("3", **EVERYTHING),
    "chat": ChatMessage("hi", role="critic", **EVERYTHING),
}


class Validated(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages] = []


class Noted(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    noted: list[Any]


def note(state: Noted) -> Any:
    """Give back what came to the agent, as it came."""
    return {"noted": [each.model_dump(mode="json") for each in state["messages"]]}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    def sayer(message: BaseMessage) -> Any:
        return agent(lambda _: {"messages": [message.model_copy()]}, MessagesState)

    agents = {name: sayer(SAID[name]) for name in SAID}
    with serve({**agents, "noter": agent(note, Noted)}) as running:
        yield running


def told(color: Color, server: RunningServer, name: str, state: Any, **options: Any) -> Any:
    """What of an agent's message is in the state of a graph."""
    node = ACPNode("node", name, server.url, **{"input": INPUT, **options})
    graph = StateGraph(state).add_node(node).add_edge(START, "node").compile()
    (message,) = color.invoke(graph, {"messages": []})["messages"]
    return message


@pytest.mark.parametrize("name", SAID)
def test_what_an_agent_says_comes_back_with_all_its_fields(
    color: Color, server: RunningServer, name: str
) -> None:
    assert told(color, server, name, MessagesState) == SAID[name]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"output": {"messages": "messages"}},
        {"output_path": "", "output_type": None},
        {"output_path": "", "output_type": MessagesState},
        {"output_path": "", "output_type": dict},
    ],
    ids=["default", "rules", "path", "type", "no-type"],
)
@pytest.mark.parametrize("state", [MessagesState, Validated], ids=["dict", "pydantic"])
def test_however_an_answer_is_written_its_messages_keep_their_fields(
    color: Color, server: RunningServer, state: Any, options: Any
) -> None:
    assert told(color, server, "ai", state, **options) == SAID["ai"]


@pytest.mark.parametrize("name", SAID)
def test_what_an_agent_is_told_comes_to_it_with_all_its_fields(
    color: Color, server: RunningServer, name: str
) -> None:
    node = ACPNode("node", "noter", server.url, input=INPUT, output={"noted": "noted"})
    graph = StateGraph(Noted).add_node(node).add_edge(START, "node").compile()
    noted = color.invoke(graph, {"messages": [SAID[name]]})["noted"]
    assert noted == [SAID[name].model_dump(mode="json")]


def test_a_conversation_that_goes_to_and_fro_stays_as_it_was(
    color: Color, server: RunningServer
) -> None:
    """Every turn sends all that was said, and gets it back."""
    node = ACPNode("node", "noter", server.url, input=INPUT, output_path="", output_type=None)
    graph = StateGraph(Noted).add_node(node).add_edge(START, "node")
    chat = graph.compile(checkpointer=InMemorySaver())
    said = [SAID[name].model_copy(update={"id": name}) for name in SAID]
    for _ in range(2):
        state = color.invoke(chat, {"messages": said}, ON_A_THREAD)
    assert state["messages"] == said


@pytest.mark.parametrize("name", SAID)
def test_a_message_that_is_written_to_a_thread_keeps_its_fields(
    server: RunningServer, name: str
) -> None:
    said = SAID[name].model_dump(mode="json")
    with ACPClient(server.url) as client:
        thread = client.create_thread(ThreadCreate())
        create = RunCreateStateful(agent_id=server.agent_ids["noter"], input={"messages": []})
        client.create_and_wait_for_thread_run_output(thread.thread_id, create)
        patch = ThreadPatch(values={"messages": [said]})
        values: Any = client.patch_thread(thread.thread_id, patch).values
    assert values["messages"] == [said]


def test_what_is_streamed_as_a_message_keeps_its_fields(
    color: Color, server: RunningServer
) -> None:
    node = ACPNode("node", "ai", server.url, input=INPUT)
    graph = StateGraph(MessagesState).add_node(node).add_edge(START, "node").compile()
    ((message, _),) = color.stream(graph, {"messages": []}, stream_mode="messages")
    assert message == SAID["ai"]
