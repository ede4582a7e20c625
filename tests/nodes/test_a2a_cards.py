"""Who an A2A agent is: its card, and whatever else comes over the wire."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from support.a2a_graph import (
    ON_A_THREAD,
    a2a_node,
    remembering,
)
from support.colors import Color

from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiException,
    NodeConfigurationError,
    UnauthorizedException,
    UnknownAgentError,
    UnreadableAnswerException,
)
from acp_langgraph.nodes.a2a import A2ANode
from acp_langgraph.testing import (
    Answer,
    FakeA2AServer,
    Fault,
    Response,
)

INPUT = {"ask": "pie"}


class Pie(BaseModel):
    size: str
    count: int = 1


def test_an_interface_that_says_0_3_where_1_0_is_spoken_is_understood(color: Color) -> None:
    with FakeA2AServer(declares="0.3") as server:
        assert color.invoke(remembering(server), INPUT, ON_A_THREAD)["answer"] == "pie"


def test_an_interface_that_speaks_0_3_under_the_name_of_1_0s_field_is_understood(
    color: Color,
) -> None:
    with FakeA2AServer(version="0.3", declares="0.3") as server:
        graph = remembering(server)
        for thread in "12":
            config = {"configurable": {"thread_id": thread}}
            assert color.invoke(graph, INPUT, config)["answer"] == "pie"
        assert server.requests.count("SendMessage") == 3  # one of them in vain


def test_what_the_agent_wants_to_be_shown_is_in_the_error(color: Color) -> None:
    scheme = {"key": {"apiKeySecurityScheme": {"location": "header", "name": "X-API-Key"}}}
    card = {"securitySchemes": scheme, "securityRequirements": [{"schemes": {"key": {}}}]}
    with FakeA2AServer(api_key="s3cret-key", card=card) as server:
        with pytest.raises(UnauthorizedException, match="an API key in the header X-API-Key"):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
        graph = remembering(server, headers={"x-api-key": "s3cret-key"})
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "pie"


def test_nothing_is_sent_where_the_card_points_to_another_host(color: Color) -> None:
    with FakeA2AServer() as elsewhere:
        card = elsewhere._card()
        card["supportedInterfaces"][0]["url"] = "http://elsewhere.invalid/rpc"
        with FakeA2AServer(card=card) as server:
            graph = remembering(server, headers={"authorization": "Bearer s3cret"})
            with pytest.raises(NodeConfigurationError, match=r"elsewhere\.invalid/rpc"):
                color.invoke(graph, INPUT, ON_A_THREAD)
            assert [each.operation for each in server.requests] == ["get_agent_card"]


def test_a_server_without_a_card_is_no_agent(color: Color) -> None:
    with FakeA2AServer() as server:
        server.faults.add(Fault.status(404), on="get_agent_card", times=None)
        with pytest.raises(UnknownAgentError, match="there is no agent card"):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
        server.faults.clear()
        with pytest.raises(UnknownAgentError, match="no skill 'cook'; it has bake"):
            color.invoke(remembering(server, skill="cook"), INPUT, ON_A_THREAD)


def test_a_card_that_is_given_is_not_asked_for(color: Color) -> None:
    with FakeA2AServer() as server:
        graph = remembering(server, card=server._card())
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "pie"
        assert server.requests.count("get_agent_card") == 0


@pytest.mark.parametrize(
    "options",
    [{"card": {"skills": 7}}, {"card": {}}, {"card_path": "card.json"}, {"run_timeout": 0}],
    ids=str,
)
def test_a_node_that_can_never_work_is_refused(options: Any) -> None:
    with pytest.raises(NodeConfigurationError):
        A2ANode("baker", "http://agents.example", **options)


@pytest.fixture
def from_card(color: Color) -> Iterator[Any]:
    def made(*args: Any, **options: Any) -> A2ANode:
        if color.name == "sync":
            return A2ANode.from_card(*args, **options)
        return asyncio.run(A2ANode.afrom_card(*args, **options))

    return made


def test_a_node_from_a_card_has_its_name_and_takes_texts(color: Color, from_card: Any) -> None:
    with FakeA2AServer() as server:
        node = from_card(server.url, input_path="ask", output_path="answer")
        assert (node.name, node.agent, node.input_type) == ("baker", "baker", str)
        assert node.card.skills[0].id == "bake"
        assert node.metadata["version"] == "1.2.3"
        assert color.invoke(node, INPUT) == {"answer": "pie"}
        assert server.requests.count("get_agent_card") == 1
        assert from_card(server.url, "x", card=server._card(), input_type=Pie).input_type is Pie


def test_the_card_for_those_who_have_signed_in_is_read_where_it_is_described(
    color: Color,
) -> None:
    with FakeA2AServer(card={"capabilities": {"extendedAgentCard": True}}) as server:
        node = a2a_node(server.url)
        described = node.describe() if color.name == "sync" else asyncio.run(node.adescribe())
        assert described.metadata.description == "Bakes pies, and more for friends."


def test_an_agent_is_a_tool_for_a_model(color: Color) -> None:
    with FakeA2AServer([Answer(lambda run: run.input.upper())]) as server:
        tool = A2ANode.from_card(server.url, input_path="ask", output_path="answer").as_tool()
        assert tool.description == "Bakes pies."
        assert color.invoke(tool, {"input": "pie"}) == "PIE"


def test_copies_of_a_node_work_by_themselves(color: Color) -> None:
    with FakeA2AServer() as server:
        node = A2ANode.from_card(server.url, input_path="ask", output_path="answer")
        sent = pickle.loads(pickle.dumps(node))  # noqa: S301 - from here
        for twin in (copy.copy(node), copy.deepcopy(node), sent):
            assert color.invoke(twin, INPUT) == {"answer": "pie"}


# Whatever comes over the wire


@pytest.mark.parametrize(
    "told",
    [
        Response.json({"jsonrpc": "2.0", "id": "1"}),
        Response.json({"jsonrpc": "2.0", "id": "1", "result": {}}),
        Response.json({"jsonrpc": "2.0", "id": "1", "result": {"task": {"id": "", "status": {}}}}),
        Response.json({"jsonrpc": "2.0", "id": "1", "result": {"task": None, "message": None}}),
        Response.json([1]),
        Response.text("[" * 100_000, content_type="application/json"),
        Response.text('{"result":' * 5000 + "1" + "}" * 5000, content_type="application/json"),
    ],
)
def test_an_answer_of_no_sense_begins_no_second_task(color: Color, told: Response) -> None:
    with FakeA2AServer() as server:
        server.faults.add(Fault.respond(told, after_work=True), on="SendMessage")
        assert color.invoke(remembering(server), INPUT, ON_A_THREAD)["answer"] == "pie"
        assert server.created == 1


@pytest.mark.parametrize(
    "card",
    [
        Response.text("[" * 100_000, content_type="application/json"),
        Response.json([]),
        Response.json({"supportedInterfaces": 7}),
        Response.json({"capabilities": "all"}),
    ],
)
def test_a_card_that_is_none_is_an_error(color: Color, card: Response) -> None:
    with FakeA2AServer() as server:
        server.faults.add(Fault.respond(card), on="get_agent_card", times=None)
        with pytest.raises(UnreadableAnswerException):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)


def test_a_card_that_is_too_large_is_not_held(color: Color) -> None:
    huge = {"skills": [{"id": "x" * 1000}] * 500}
    with FakeA2AServer(card=huge) as server:
        graph = remembering(server)
        node = graph.nodes["remote"].bound
        for transport in (node.transport, node.async_transport):
            transport.endpoint.configuration.__dict__["max_answer_bytes"] = 300_000
        with pytest.raises(AnswerTooLargeError):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert server.created == 0


@pytest.mark.parametrize("operation", ["get_agent_card", "SendMessage"])
def test_credentials_do_not_follow_to_another_host(color: Color, operation: str) -> None:
    with FakeA2AServer() as elsewhere, FakeA2AServer() as server:
        moved = Response.text("", 307, headers={"location": f"{elsewhere.url}/rpc"})
        server.faults.add(Fault.respond(moved), on=operation, times=None)
        graph = remembering(server, headers={"authorization": "Bearer s3cret"})
        with pytest.raises(ApiException, match="307"):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert list(elsewhere.requests) == []


def test_an_error_of_no_known_code_is_an_error_all_the_same(color: Color) -> None:
    error = {"code": "E7", "message": "strange", "data": 7}
    told = Response.json({"jsonrpc": "2.0", "id": "1", "error": error})
    with FakeA2AServer() as server:
        server.faults.add(Fault.respond(told), on="SendMessage", times=None)
        with pytest.raises(ApiException, match="strange"):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
