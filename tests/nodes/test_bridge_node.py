"""`APIBridgeAgentNode` in graphs, over real HTTP."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import operator
import re
from pathlib import Path
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, Send
from pydantic import BaseModel
from support.colors import Color
from support.own_client import OwnClient

from acp_langgraph.bridge.calls import APIBridgeInput, APIBridgeOutput
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import (
    AnswerRejectedError,
    ApiConnectionError,
    BridgeInternalError,
    CheckpointerRequiredError,
    NodeConfigurationError,
    NodeInputError,
    NodeOutputError,
    NoMatchingOperationError,
    QueryNotUnderstoodError,
    QueryPassedThroughError,
    QueryRefusedError,
    UnknownOutcomeError,
)
from acp_langgraph.nodes.bridge import APIBridgeAgentNode
from acp_langgraph.testing import BridgeQuery, BridgeService, FakeBridge, Fault, Gate, Response

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
KEY = "SG.very-secret-key"
AT_ONCE = {"initial_interval": 0.0, "jitter": False}


class State(TypedDict, total=False):
    mail: Any
    sent: Any
    log: Annotated[list[str], operator.add]


class MailState(BaseModel):
    request: APIBridgeInput = APIBridgeInput(query="Send it")
    sent: APIBridgeOutput | None = None


def sendgrid(query: BridgeQuery) -> Response:
    return Response.empty(202)


@pytest.fixture
def bridge() -> Any:
    services = {"sendgrid": BridgeService(sendgrid, fits=lambda text: "fly" not in text)}
    with FakeBridge(services, tools=lambda _: "14 degrees") as server:
        yield server


def make(bridge: Any, **changes: Any) -> APIBridgeAgentNode:
    settings: dict[str, Any] = {
        "name": "send",
        "hostname": bridge.url,
        "service_name": "sendgrid",
        "input_path": "mail",
        "output_path": "sent",
        "service_api_key": KEY,
    }
    return APIBridgeAgentNode(**{**settings, **changes})


def built(node: Any, state: Any = State, **options: Any) -> Any:
    builder = StateGraph(state)
    builder.add_node(node, **options)
    builder.add_edge(START, node.get_name())
    builder.add_edge(node.get_name(), END)
    return builder


def test_the_signature_is_the_one_that_is_known(bridge: Any, color: Color) -> None:
    known = [
        "self", "name", "hostname", "service_name", "input_path", "output_path",
        "service_api_key", "input_type", "output_type", "apikey",
    ]  # fmt: skip
    parameters = inspect.signature(APIBridgeAgentNode.__init__).parameters
    assert [
        name
        for name, parameter in parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ] == known
    node = APIBridgeAgentNode(
        "n", bridge.url, "sendgrid", "mail", "sent", KEY, APIBridgeInput, APIBridgeOutput, "gw-1"
    )
    done = color.invoke(node, {"mail": {"query": "Send it"}})
    assert done["sent"].result == "The service answered 202 Accepted."
    (request,) = bridge.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["apikey"] == "gw-1"


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 7.0), (30, 30.0)])
def test_a_client_of_the_callers_own_waits_as_long_as_the_node_says(
    color: Color, timeout: float | None, seconds: float
) -> None:
    own = OwnClient(color, httpx.Response(200, text="done"), timeout=7)
    clients = {"client" if color.name == "sync" else "async_client": own.client}
    node = APIBridgeAgentNode(
        "n", "http://h", "sendgrid", "mail", "sent", KEY, timeout=timeout, **clients
    )
    color.invoke(node, {"mail": "Send it"})
    assert own.waits[0]["read"] == seconds


@pytest.mark.parametrize("mail", ["Send it", {"query": "Send it"}, APIBridgeInput(query="Send it")])
def test_a_query_is_a_text_or_an_object_with_one(bridge: Any, color: Color, mail: Any) -> None:
    state = {"mail": mail, "log": ["x"]}
    before = copy.deepcopy(state)
    done = color.invoke(make(bridge), state)
    assert list(done) == ["sent"]
    assert done["sent"].status == 200
    assert bridge.queries[0].text == "Send it"
    assert state == before


@pytest.mark.parametrize(
    ("output_type", "expected"),
    [
        (str, "The service answered 202 Accepted."),
        (
            None,
            {
                "result": "The service answered 202 Accepted.",
                "status": 200,
                "content_type": "text/plain; charset=utf-8",
                "parsed": None,
                "mode": "service",
            },
        ),
    ],
)
def test_the_answer_may_be_had_as_text_or_as_json(
    bridge: Any, color: Color, output_type: Any, expected: Any
) -> None:
    node = make(bridge, input_type=str, output_type=output_type)
    assert color.invoke(node, {"mail": "Send it"}) == {"sent": expected}


def test_it_works_on_typed_states_and_beside_other_nodes(bridge: Any, color: Color) -> None:
    node = make(bridge, input_path="request.query", input_type=str)
    done = color.invoke(built(node, MailState).compile(), MailState())
    assert done["sent"].result.endswith("Accepted.")

    builder = StateGraph(State)
    builder.add_node(make(bridge))
    builder.add_node("note", lambda _: {"log": ["noted"]})
    builder.add_edge(START, "send")
    builder.add_edge(START, "note")
    both = color.invoke(builder.compile(), {"mail": "Send it", "log": ["begun"]})
    assert (both["sent"].status, both["log"]) == (200, ["begun", "noted"])


@pytest.mark.parametrize(
    ("mode", "setup"), [("cross_api", "query"), ("mcp", "init"), ("any", "init")]
)
def test_the_bridge_may_pick_who_answers(bridge: Any, color: Color, mode: Any, setup: str) -> None:
    if setup == "query":
        color.invoke(make(bridge), {"mail": "Send it"})
    else:
        from acp_langgraph.bridge.client import BridgeClient  # noqa: PLC0415 - this case alone

        with BridgeClient(bridge.url) as client:
            client.init_mcp()
    node = make(bridge, mode=mode, service_name=None, service_api_key=None)
    assert color.invoke(node, {"mail": "hi"})["sent"].mode == mode
    assert bridge.queries[-1].authorization is None


def test_success_is_remembered_and_a_later_failure_sends_nothing_again(
    bridge: Any, color: Color, tmp_path: Path
) -> None:
    accepts = []

    def check(output: APIBridgeOutput) -> bool:
        return bool(accepts)

    builder = built(
        make(bridge, check=check), retry_policy=RetryPolicy(retry_on=Exception, **AT_ONCE)
    )
    with color.graph_over(builder, tmp_path / "checkpoints.sqlite") as graph:
        with pytest.raises(AnswerRejectedError):
            color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
        accepts.append(True)
        done = color.invoke(graph, None, ON_A_THREAD)
    assert done["sent"].status == 200
    assert len(bridge.requests) == 1


@pytest.mark.parametrize("checkpointer", [None, InMemorySaver])
def test_a_lost_answer_is_tried_once_even_under_a_policy_that_retries_everything(
    bridge: Any, color: Color, checkpointer: Any
) -> None:
    bridge.faults.add(Fault.lose_answer())
    builder = built(make(bridge), retry_policy=RetryPolicy(retry_on=Exception, **AT_ONCE))
    graph = builder.compile(checkpointer=checkpointer() if checkpointer else None)
    with pytest.raises(UnknownOutcomeError) as caught:
        color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
    assert caught.value.node == "send"
    assert len(bridge.requests) == len(bridge.queries) == 1


def test_what_is_said_of_a_lost_answer_ends_each_sentence_once(bridge: Any, color: Color) -> None:
    bridge.faults.add(Fault.lose_answer())
    with pytest.raises(UnknownOutcomeError, match="the connection broke") as caught:
        color.invoke(built(make(bridge)).compile(), {"mail": "Send it"})
    assert not re.search(r"[.?!]\. ", str(caught.value))


def test_who_accepts_a_second_send_gets_it(bridge: Any, color: Color) -> None:
    bridge.faults.add(Fault.lose_answer())
    builder = built(make(bridge, on_unknown="rerun"), retry_policy=RetryPolicy(**AT_ONCE))
    color.invoke(builder.compile(checkpointer=InMemorySaver()), {"mail": "Send it"}, ON_A_THREAD)
    assert len(bridge.queries) == 2


@pytest.mark.parametrize(
    ("answer", "error", "attempts"),
    [
        ("no_operation", NoMatchingOperationError, 1),
        ("internal", BridgeInternalError, 1),
        ("not_understood", QueryNotUnderstoodError, 3),
    ],
)
def test_a_plain_retry_policy_repeats_what_may_help_and_does_no_harm(
    bridge: Any, color: Color, answer: str, error: Any, attempts: int
) -> None:
    bridge.faults.add(Fault.respond(FakeBridge.error(answer)), times=None)
    builder = built(make(bridge), retry_policy=RetryPolicy(**AT_ONCE))
    graph = builder.compile(checkpointer=InMemorySaver())
    with pytest.raises(error):
        color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
    assert len(bridge.requests) == attempts


def test_after_a_refusal_that_comes_first_the_graph_may_be_entered_again(
    bridge: Any, color: Color, tmp_path: Path
) -> None:
    bridge.faults.add(Fault.respond(FakeBridge.error("no_operation")), times=2)
    for _ in range(2):
        with (
            color.graph_over(built(make(bridge)), tmp_path / "checkpoints.sqlite") as graph,
            pytest.raises(NoMatchingOperationError),
        ):
            color.invoke(graph, None if _ else {"mail": "Send it"}, ON_A_THREAD)
    with color.graph_over(built(make(bridge)), tmp_path / "checkpoints.sqlite") as graph:
        done = color.invoke(graph, None, ON_A_THREAD)
    assert done["sent"].status == 200
    assert len(bridge.queries) == 1


def test_after_a_failure_that_tells_nothing_the_graph_says_so(
    bridge: Any, color: Color, tmp_path: Path
) -> None:
    bridge.faults.add(Fault.respond(FakeBridge.error("internal"), after_work=True))
    database = tmp_path / "checkpoints.sqlite"
    with color.graph_over(built(make(bridge)), database) as graph:
        with pytest.raises(BridgeInternalError):
            color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
        with pytest.raises(UnknownOutcomeError):
            color.invoke(graph, None, ON_A_THREAD)
    assert len(bridge.queries) == 1
    with color.graph_over(built(make(bridge, on_unknown="rerun")), database) as graph:
        assert color.invoke(graph, None, ON_A_THREAD)["sent"].status == 200
    assert len(bridge.queries) == 2


def test_a_gateway_that_is_away_for_a_while_costs_attempts_and_no_doubt(
    bridge: Any, color: Color
) -> None:
    url = bridge.url
    bridge.stop()
    back = []

    def comes_back(error: Exception) -> bool:
        if not back:
            back.append(bridge.start())
        return isinstance(error, ApiConnectionError)

    gateway = ApiClientConfiguration(url, retries=0)
    policy = RetryPolicy(retry_on=comes_back, **AT_ONCE)
    builder = built(make(bridge, hostname=gateway), retry_policy=policy)
    graph = builder.compile(checkpointer=InMemorySaver())
    assert color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)["sent"].status == 200
    assert len(bridge.queries) == 1


def test_a_fan_out_sends_one_query_for_each_item(bridge: Any, color: Color) -> None:
    class Item(TypedDict, total=False):
        mail: str
        sent: Annotated[list[str], operator.add]

    class Listing(APIBridgeAgentNode):
        def flow(self, state: Any, *rest: Any) -> Any:
            change = yield from super().flow(state, *rest)
            return {"sent": [state["mail"]]} if change else {}

    node = Listing("send", bridge.url, "sendgrid", "mail", "sent", KEY)
    builder = StateGraph(Item)
    builder.add_node(node)
    builder.add_conditional_edges(
        START, lambda _: [Send("send", {"mail": f"mail {n}"}) for n in range(5)]
    )
    done = color.invoke(builder.compile(checkpointer=InMemorySaver()), {}, ON_A_THREAD)
    assert sorted(done["sent"]) == sorted(query.text for query in bridge.queries)
    assert len(bridge.queries) == 5


def test_a_human_is_asked_before_anything_is_sent(
    bridge: Any, color: Color, tmp_path: Path
) -> None:
    database = tmp_path / "checkpoints.sqlite"
    with color.graph_over(built(make(bridge, confirm=True)), database) as graph:
        paused = color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
    (question,) = paused["__interrupt__"]
    assert question.value == {
        "query": "Send it",
        "method": "POST",
        "service": "sendgrid",
        "mode": "service",
    }
    assert len(bridge.requests) == 0
    with color.graph_over(built(make(bridge, confirm=True)), database) as graph:
        done = color.invoke(graph, Command(resume={"query": "Send it to Bob"}), ON_A_THREAD)
    assert done["sent"].status == 200
    assert [query.text for query in bridge.queries] == ["Send it to Bob"]


@pytest.mark.parametrize(
    "answer", [{"query": 5}, "", "ja", {"approve": "yes"}, {"query": " "}, [], 1], ids=str
)
def test_an_answer_that_is_neither_approval_nor_refusal_is_asked_for_again(
    bridge: Any, color: Color, tmp_path: Path, answer: Any
) -> None:
    database = tmp_path / "checkpoints.sqlite"
    with color.graph_over(built(make(bridge, confirm=True)), database) as graph:
        paused = color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
        (question,) = paused["__interrupt__"]
        again = color.invoke(graph, Command(resume={question.id: answer}), ON_A_THREAD)
    (question,) = again["__interrupt__"]
    assert question.value["query"] == "Send it"
    assert len(bridge.requests) == 0
    with color.graph_over(built(make(bridge, confirm=True)), database) as graph:
        done = color.invoke(graph, Command(resume={question.id: True}), ON_A_THREAD)
    assert done["sent"].status == 200
    assert [query.text for query in bridge.queries] == ["Send it"]


def test_a_refusal_after_an_answer_that_was_none_is_a_refusal(bridge: Any, color: Color) -> None:
    graph = built(make(bridge, confirm=True)).compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
    assert color.invoke(graph, Command(resume="ja"), ON_A_THREAD)["__interrupt__"]
    with pytest.raises(QueryRefusedError, match="nothing was sent"):
        color.invoke(graph, Command(resume="no"), ON_A_THREAD)
    assert len(bridge.requests) == 0


def test_a_refusal_is_an_error_or_skips_the_node(bridge: Any, color: Color) -> None:
    for on_refusal in ("raise", "skip"):
        node = make(bridge, confirm=True, on_refusal=on_refusal)
        graph = built(node).compile(checkpointer=InMemorySaver())
        color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
        if on_refusal == "raise":
            with pytest.raises(QueryRefusedError, match="nothing was sent"):
                color.invoke(graph, Command(resume="no"), ON_A_THREAD)
        else:
            done = color.invoke(graph, Command(resume="no"), ON_A_THREAD)
            assert done == {"mail": "Send it", "log": []}
    assert len(bridge.requests) == 0


def test_a_confirmed_query_survives_a_retry_without_a_second_question(
    bridge: Any, color: Color
) -> None:
    node = make(bridge, confirm=True)
    graph = built(node, retry_policy=RetryPolicy(**AT_ONCE)).compile(checkpointer=InMemorySaver())
    bridge.faults.add(Fault.respond(FakeBridge.error("not_understood")))
    color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
    done = color.invoke(graph, Command(resume=True), ON_A_THREAD)
    assert "__interrupt__" not in done
    assert len(bridge.queries) == 1


def test_a_question_without_a_checkpointer_says_how_to_add_one(bridge: Any, color: Color) -> None:
    with pytest.raises(CheckpointerRequiredError, match="nothing was sent"):
        color.invoke(built(make(bridge, confirm=True)).compile(), {"mail": "Send it"})
    assert len(bridge.requests) == 0


def test_a_page_in_place_of_an_answer_is_an_error_and_nothing_is_sent_again(
    bridge: Any, color: Color
) -> None:
    bridge.faults.add(Fault.html(200))
    graph = built(make(bridge)).compile(checkpointer=InMemorySaver())
    for state in ({"mail": "Send it"}, None):
        with pytest.raises(QueryPassedThroughError, match="text/html"):
            color.invoke(graph, state, ON_A_THREAD)
    assert len(bridge.requests) == 1


def test_fifty_queries_are_open_at_once_and_the_event_loop_goes_on(bridge: Any) -> None:
    gate = Gate("fifty")
    bridge.faults.default = Fault.hold(gate, at="work")
    graph = built(make(bridge)).compile()

    async def run() -> tuple[list[Any], int]:
        ticks = 0
        queries = [asyncio.create_task(graph.ainvoke({"mail": f"mail {n}"})) for n in range(50)]
        arrived = asyncio.create_task(asyncio.to_thread(gate.wait_arrival, 50))
        while not arrived.done():
            ticks += 1
            await asyncio.sleep(0)
        await arrived
        assert not any(query.done() for query in queries)
        for _ in range(100):  # all fifty wait now, and the loop still turns
            ticks += 1
            await asyncio.sleep(0)
        gate.open()
        return await asyncio.gather(*queries), ticks

    done, ticks = asyncio.run(run())
    assert {state["sent"].status for state in done} == {200}
    assert sorted(query.text for query in bridge.queries) == sorted(f"mail {n}" for n in range(50))
    assert ticks > 100
    assert bridge.connections == 50


def test_no_credential_is_in_the_checkpoints_the_logs_or_the_question(
    bridge: Any, color: Color, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway = ApiClientConfiguration(bridge.url, debug=True)
    node = make(bridge, hostname=gateway, apikey="gw-very-secret", confirm=True)
    database = tmp_path / "checkpoints.sqlite"
    with color.graph_over(built(node), database) as graph:
        paused = color.invoke(graph, {"mail": "Send it"}, ON_A_THREAD)
        color.invoke(graph, Command(resume="yes"), ON_A_THREAD)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    told = caplog.text + repr(paused) + repr(node) + str(node.get_graph().draw_mermaid())
    for secret in (KEY, "gw-very-secret"):
        assert secret not in told
        assert secret.encode() not in stored
    assert b"Accepted" in stored
    assert "POST" in caplog.text


@pytest.mark.parametrize(
    ("changes", "state", "error", "says"),
    [
        ({"input_path": "mial"}, {"mail": "x"}, NodeInputError, "did you mean 'mail'"),
        ({}, {"mail": {"text": "private"}}, NodeInputError, "query"),
        ({"input_type": None}, {"mail": {"text": "private"}}, NodeInputError, "'query'"),
        ({"input_type": None}, {"mail": 5}, NodeInputError, "gives int"),
        ({}, {"mail": "  "}, NodeInputError, "query is empty"),
        ({"confirm": True}, {"mail": ""}, NodeInputError, "query is empty"),
        ({"input_type": None}, {"mail": "\ud800"}, NodeInputError, "JSON|surrogate"),
    ],
)
def test_what_is_no_query_is_refused_before_anything_is_sent(
    bridge: Any, color: Color, changes: Any, state: Any, error: Any, says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        color.invoke(make(bridge, **changes), state)
    assert "private" not in str(caught.value)
    assert len(bridge.requests) == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "a:b"}, "without ':' and '|'"),
        ({"hostname": "localhost:8080"}, "http://127.0.0.1:8000"),
        ({"hostname": "http://user:pw@host"}, "service_api_key"),
        ({"service_name": None}, "needs a service"),
        ({"service_name": ""}, "needs a service"),
        ({"service_api_key": ""}, "service_api_key is empty"),
        ({"mode": "sevrice"}, "no mode"),
        ({"mode": "cross_api"}, "give none"),
        ({"mode": "cross_api", "service_name": None}, "any_receiver=True"),
        ({"mode": "any", "service_name": None, "generation": "legacy"}, "legacy"),
        ({"mode": "direct"}, "operation's path"),
        ({"mode": "direct", "operation": "/x", "method": "get"}, "in capitals"),
        ({"operation": "/x"}, 'for mode="direct"'),
        ({"headers": {"Authorization": "x"}}, "service_api_key"),
        ({"headers": {"x-nl-config": "x"}}, "hangs"),
        ({"check": "(sent"}, "no regular expression"),
        ({"check": True}, "check is a callable"),
        ({"input_path": "a..b"}, "input_path"),
        ({"output_type": 5}, "output_type is a value of type int"),
    ],
)
def test_a_node_that_can_never_work_is_refused_when_it_is_made(
    bridge: Any, changes: Any, says: str
) -> None:
    with pytest.raises(NodeConfigurationError, match=says) as caught:
        make(bridge, **changes)
    assert KEY not in str(caught.value)


def test_an_answer_that_fits_nowhere_is_an_error_and_is_not_sent_again(
    bridge: Any, color: Color
) -> None:
    builder = built(
        make(bridge, output_type=int), retry_policy=RetryPolicy(retry_on=Exception, **AT_ONCE)
    )
    with pytest.raises(NodeOutputError, match="no int"):
        color.invoke(builder.compile(), {"mail": "Send it"})
    assert len(bridge.queries) == 1


def test_a_query_that_was_cancelled_on_its_way_is_in_doubt(bridge: Any, tmp_path: Path) -> None:
    gate = Gate("on its way")
    bridge.faults.add(Fault.hold(gate, at="work"))

    async def run() -> None:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as saver:
            graph = built(make(bridge)).compile(checkpointer=saver)
            first = asyncio.create_task(graph.ainvoke({"mail": "Send it"}, ON_A_THREAD))
            await asyncio.to_thread(gate.wait_arrival)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            with pytest.raises(UnknownOutcomeError):
                await graph.ainvoke(None, ON_A_THREAD)

    asyncio.run(run())
    gate.open()
    bridge.wait_until(lambda: bridge.open_connections == 0)
    assert len(bridge.requests) == 1
