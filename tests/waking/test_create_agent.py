"""Waits inside of the tools of LangChain's own agent."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from support.chat import ScriptedChat
from support.colors import Color
from support.waking import Agents, Said, at, swept

from acp_langgraph import ACPNode, split_interrupts


class Calling(ScriptedChat):
    """A model that may be told of tools, and calls those of its script."""

    def bind_tools(self, tools: Any, **_: Any) -> Runnable[Any, Any]:
        return self


@pytest.fixture
def text() -> str:
    return uuid.uuid4().hex


def delete(name: str) -> str:
    """Deletes a file."""
    return f"deleted {name}"


def agent_of(agents: Agents, *calls: tuple[str, dict[str, Any]], **options: Any) -> Any:
    work = ACPNode("work", "work", agents.url, input_type=Said, wait="suspend").as_tool()
    made = [
        {"name": name, "id": f"call {at}", "args": args} for at, (name, args) in enumerate(calls)
    ]
    model = Calling(script=[AIMessage("", tool_calls=made), "Done."])
    return create_agent(model, [work, delete], checkpointer=InMemorySaver(), **options)


def said(agent: Any) -> list[str]:
    messages = agent.get_state(at("1")).values["messages"]
    return [str(each.text) for each in messages if isinstance(each, ToolMessage)]


def test_an_agent_is_suspended_in_its_tool_and_goes_on(
    color: Color, agents: Agents, text: str
) -> None:
    before = sum(agents.runs().values())
    agent = agent_of(agents, ("work", {"text": text}))
    result = color.invoke(agent, {"messages": [HumanMessage("Do it.")]}, at("1"))
    questions, waits = split_interrupts(result)
    assert (len(questions), len(waits)) == (0, 1)
    agents.let_go(text)
    swept(color, agent, lambda found: found.woken == 1)
    state = agent.get_state(at("1"))
    assert (state.next, state.values["messages"][-1].text) == ((), "Done.")
    assert [text.upper() in each for each in said(agent)] == [True]
    assert sum(agents.runs().values()) - before == 1


def test_an_agent_waits_beside_a_question_of_its_human_in_the_loop(
    color: Color, agents: Agents, text: str
) -> None:
    before = sum(agents.runs().values())
    asks = HumanInTheLoopMiddleware(interrupt_on={"delete": True}, interrupt_mode="per_call")
    calls = [("work", {"text": text}), ("delete", {"name": "a.txt"})]
    agent = agent_of(agents, *calls, middleware=[asks])
    result = color.invoke(agent, {"messages": [HumanMessage("Do both.")]}, at("1"))
    questions, waits = split_interrupts(result)
    assert (len(questions), len(waits)) == (1, 1)
    agents.let_go(text)
    swept(color, agent, lambda found: found.woken == 1)
    questions, waits = split_interrupts(agent.get_state(at("1")))
    assert (len(questions), len(waits)) == (1, 0)
    answer = {questions[0].id: {"type": "approve"}}
    color.invoke(agent, Command(resume=answer), at("1"))
    assert agent.get_state(at("1")).values["messages"][-1].text == "Done."
    assert "deleted a.txt" in said(agent)
    assert sum(agents.runs().values()) - before == 1
