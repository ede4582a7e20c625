"""A node in an activity of Temporal, as Temporal's own plugin for LangGraph calls it.

The plugin (`temporalio-langgraph`) has functions of a graph done as activities, in whichever worker, and those whose
worker died done again. There is no Temporal server here: what it would do with an activity is done by
`schedule`, with Temporal's own converter of what goes over the wire and its own environment for activities.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from support.counted import State, make_node

from acp_langgraph import APIBridgeAgentNode
from acp_langgraph.errors import CheckpointerRequiredError, UnknownOutcomeError
from acp_langgraph.testing import Answer, Ask, FakeACPServer, FakeBridge

plugin = pytest.importorskip("temporalio.langgraph", reason="pip install temporalio-langgraph")
converter = pytest.importorskip("temporalio.converter")
testing = pytest.importorskip("temporalio.testing")
workflow = pytest.importorskip("temporalio.workflow")

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}


served: dict[str, Any] = {}  # the plugin takes no functions within functions


async def awaiting(state: State) -> Any:
    return await served["node"].ainvoke(state)


async def awaiting_with_its_config(state: State, config: RunnableConfig) -> Any:
    return await served["node"].ainvoke(state, config)


def blocking(state: State) -> Any:
    return served["node"].invoke(state)


def blocking_with_its_config(state: State, config: RunnableConfig) -> Any:
    return served["node"].invoke(state, config)


WAYS = [awaiting, awaiting_with_its_config, blocking, blocking_with_its_config]


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What activities gave whose worker died before Temporal was told; each is then done once more."""
    results: list[Any] = []

    async def schedule(activity: Any, given: Any, **_: Any) -> Any:
        for attempt in (1, 2):
            over = converter.default()
            payload = await over.encode([given])
            (again,) = await over.decode(payload, [type(given)])
            environment = testing.ActivityEnvironment()
            environment.info = replace(environment.info, attempt=attempt)
            results.append(await environment.run(activity, again))
        return results[-1]

    monkeypatch.setattr(workflow, "execute_activity", schedule)
    monkeypatch.setattr(workflow, "info", lambda: SimpleNamespace(run_id="1"))
    return results


def run(work: Any) -> Any:
    """What a graph comes to whose work is done in an activity."""
    builder = StateGraph(State).add_node("work", work, metadata={"execute_in": "activity"})
    builder.add_edge(START, "work")
    plugin.LangGraphPlugin(graphs={"work": builder})
    graph = builder.compile()
    return asyncio.run(graph.ainvoke({"ask": {"text": "hi"}}, ON_A_THREAD))["answer"]


@pytest.mark.parametrize("way", WAYS)
def test_an_activity_that_is_done_again_finds_its_run(lost: list[Any], way: Any) -> None:
    with FakeACPServer([Answer("done")]) as server:
        served["node"] = make_node(server.url, server.agent_id)
        for number in (1, 2):
            assert run(way) == "done"
            assert (len(lost), server.created) == (2 * number, number)


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_looked_up_is_not_sent_again(lost: list[Any], way: Any) -> None:
    with FakeBridge({"mail": lambda _: "sent"}) as bridge:
        served["node"] = APIBridgeAgentNode(
            *("remote", bridge.url, "mail", "ask.text", "answer", "sesame"),
            input_type=None,
            output_type=None,
        )
        with pytest.raises(UnknownOutcomeError):
            run(way)
        assert (len(lost), len(bridge.requests)) == (1, 1)


@pytest.mark.parametrize("way", WAYS)
def test_an_agent_that_asks_is_told_to_need_a_checkpointer(lost: list[Any], way: Any) -> None:
    """An activity begins anew when it is answered, and cannot tell which of two questions is meant."""
    with FakeACPServer([Ask("color?"), Ask("food?"), Answer("done")]) as server:
        served["node"] = make_node(server.url, server.agent_id)
        with pytest.raises(CheckpointerRequiredError):
            run(way)
        assert not lost
