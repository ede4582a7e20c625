"""One entry of a listing that cannot be read hides no other."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from support.acp_calls import call_acp
from support.acp_operations import AGENT, AGENT_ID, RUN, STATE, THREAD, THREAD_RUN
from support.recorder import Answer, recording

from acp_langgraph import errors
from acp_langgraph.acp.agents import find_agent, list_agents, resolve_agent
from acp_langgraph.core.wire import dump
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer as Script
from acp_langgraph.testing import FakeACPServer, FakeAgent, Fault, Response
from acp_langgraph.transport import AsyncTransport, Transport

NAMELESS = {"agent_id": "agent-without-a-name", "metadata": {"description": "no ref"}}
LISTINGS = {
    # operation: arguments, what can be read, what names an entry that cannot
    "search_agents": ((), AGENT, NAMELESS),
    "search_threads": ((), THREAD, {**THREAD, "thread_id": "odd-thread", "status": {}}),
    "get_thread_history": (("t",), STATE, {"checkpoint": None, "values": {"secret": "sesame"}}),
    "list_thread_runs": (("t",), THREAD_RUN, {**THREAD_RUN, "run_id": "odd-run", "status": None}),
    "search_stateless_runs": ((), RUN, {**RUN, "run_id": "odd-run", "status": None}),
}
every_listing = pytest.mark.parametrize("name", LISTINGS)


@pytest.fixture(scope="module")
def shared_server():
    with recording() as recorder:
        yield recorder


@pytest.fixture
def server(shared_server):
    shared_server.requests.clear()
    return shared_server


def run(color, server, flow):
    if color.name == "sync":
        with Transport(server.url) as transport:
            return transport.run(flow)

    async def awaiting():
        async with AsyncTransport(server.url) as transport:
            return await transport.run(flow)

    return asyncio.run(awaiting())


@every_listing
@pytest.mark.parametrize("junk", [None, 5, "text", []])
def test_an_entry_that_cannot_be_read_is_left_out_and_the_others_are_read(
    server, color, name, junk
):
    given, good, odd = LISTINGS[name]
    server.answer = Answer.json([odd, good, junk, good])
    found = call_acp(color.name, server.url, name, *given)
    assert [dump(each) for each in found] == [good, good]
    assert len(server.requests) == 1


@every_listing
def test_an_entry_that_is_left_out_is_named_in_the_log_and_not_repeated(
    server, color, name, caplog
):
    given, good, odd = LISTINGS[name]
    server.answer = Answer.json([good, odd])
    with caplog.at_level(logging.WARNING, logger="acp_langgraph"):
        call_acp(color.name, server.url, name, *given)
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    said = record.getMessage()
    assert "1" in said  # its place
    assert all(odd[key] in said for key in ("agent_id", "thread_id", "run_id") if key in odd)
    assert "sesame" not in said


@every_listing
def test_what_is_no_list_or_holds_nothing_that_can_be_read_is_an_error(server, color, name):
    given, _, odd = LISTINGS[name]
    for answer in ({}, "text", [odd, odd]):
        server.answer = Answer.json(answer)
        with pytest.raises(errors.UnreadableAnswerException):
            call_acp(color.name, server.url, name, *given)
    server.answer = Answer.json([])
    assert call_acp(color.name, server.url, name, *given) == []


def test_a_description_that_is_null_is_none(server, color):
    shown = {**AGENT, "metadata": {**AGENT["metadata"], "description": None}}
    server.answer = Answer.json([shown])
    (agent,) = call_acp(color.name, server.url, "search_agents")
    assert agent.agent_id == AGENT_ID
    assert agent.metadata.description == ""
    server.answer = Answer.json(shown)
    assert call_acp(color.name, server.url, "get_agent_by_id", "a").metadata.description == ""


def spoilt(*odd):
    """Puts entries that cannot be read before the others of a list."""

    def spoil(answer):
        others = json.loads(answer.body)
        return Response.json([*odd, *others] if others else others)

    return Fault("spoilt", alter=spoil)


@pytest.mark.parametrize("asked", ["two", FakeAgent("two", []).agent_id])
def test_an_agent_is_found_beside_one_that_cannot_be_read(color, asked):
    with FakeACPServer(agents=[FakeAgent("one", []), FakeAgent("two", [])]) as server:
        server.faults.add(spoilt(NAMELESS, None), on="search_agents", times=None)
        assert run(color, server, find_agent(asked, 0)).name == "two"


def test_a_node_finds_its_agent_beside_one_that_cannot_be_read(color):
    with FakeACPServer({"one": []}) as server:
        server.faults.add(spoilt(NAMELESS), on="search_agents", times=None)
        node = ACPNode("remote", "one", server.url, "ask", None, "answer", None)
        assert color.invoke(node, {"ask": 1}) == {"answer": None}


def test_what_the_server_has_instead_is_told_beside_one_that_cannot_be_read(color):
    with FakeACPServer(agents=[FakeAgent("two", [])]) as server:
        server.faults.add(spoilt(NAMELESS), on="search_agents", times=None)
        with pytest.raises(errors.UnknownAgentError, match="it has 'two'"):
            run(color, server, resolve_agent("tow", 0))


def test_entries_that_are_left_out_end_no_listing_and_shift_no_page(color):
    names = [f"agent{number:03}" for number in range(230)]
    odd = {names[3]: NAMELESS, names[104]: None, names[229]: NAMELESS}

    def spoil(answer):
        listed = json.loads(answer.body)
        return Response.json([odd.get(each["metadata"]["ref"]["name"], each) for each in listed])

    with FakeACPServer(agents=[FakeAgent(name, []) for name in names]) as server:
        server.faults.add(Fault("spoilt", alter=spoil), on="search_agents", times=None)
        listed = run(color, server, list_agents(0))
        assert [each.metadata.ref.name for each in listed] == [n for n in names if n not in odd]
        assert [each.json.get("offset") for each in server.requests] == [0, 100, 200]


@pytest.mark.parametrize("odd", [{"run_id": "odd-run"}, {**RUN, "created_at": "yesterday"}, None])
def test_a_run_is_looked_up_beside_one_that_cannot_be_read(color, odd):
    with FakeACPServer() as server:
        server.faults.add(Fault.lose_answer(), on="create_and_wait_for_stateless_run_output")
        server.faults.add(spoilt(odd), on="search_stateless_runs", times=None)
        node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
        assert color.invoke(node, {"ask": 1}) == {"answer": 1}
        assert server.created == 1


def test_a_run_that_cannot_be_read_may_be_the_one_that_is_looked_for(color):
    def spoil(answer):
        return Response.json([{**each, "status": None} for each in json.loads(answer.body)])

    with FakeACPServer() as server:
        server.faults.add(Fault.lose_answer(), on="create_and_wait_for_stateless_run_output")
        server.faults.add(Fault("spoilt", alter=spoil), on="search_stateless_runs", times=None)
        node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
        with pytest.raises((errors.UnknownOutcomeError, errors.UnreadableAnswerException)):
            color.invoke(node, {"ask": 1})
        assert server.created == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "human", "content": "hi"},  # LangChain's own form, which AGNTCY's agents use
        {"role": "ai", "content": None, "tool_calls": []},
        "hi",
    ],
)
def test_a_message_of_another_form_hides_no_result_and_comes_as_it_is(color, odd):
    messages = [{"role": "ai", "content": "hello"}, odd]
    with FakeACPServer([Script({"text": "done"}, messages=messages)]) as server:
        node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
        given = color.invoke(node, {"ask": 1})["answer"]
        assert given["text"] == "done"
        assert given["messages"][1] == odd
        assert given["messages"][0]["content"] == "hello"


@pytest.mark.parametrize("version", ["1.\u00b2", "1." + "9" * 5000, "\u0661", "", "." * 1000])
def test_a_version_that_is_no_number_is_only_a_version(color, version):
    odd = FakeAgent("one", [], version=version)
    with FakeACPServer(agents=[odd]) as server:
        assert run(color, server, resolve_agent("one", 0)) == odd.agent_id
