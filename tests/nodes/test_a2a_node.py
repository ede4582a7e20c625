"""`A2ANode` against a fake agent: what is sent and read, and that there is one task whatever goes wrong."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, RetryPolicy
from pydantic import BaseModel
from support.a2a_graph import a2a_graph, a2a_node
from support.colors import Color
from support.counted import answered

from acp_langgraph.a2a.parts import FilePart
from acp_langgraph.errors import (
    A2ATaskCanceledError,
    A2ATaskError,
    A2ATaskRejectedError,
    ApiException,
    CheckpointerRequiredError,
    NodeConfigurationError,
    RunLostError,
    RunTimeoutError,
    UnauthorizedException,
    UnknownAgentError,
    UnknownOutcomeError,
    UnprocessableEntityException,
    UnreadableAnswerException,
)
from acp_langgraph.nodes.a2a import A2ANode
from acp_langgraph.testing import (
    A2A_REJECTED,
    Answer,
    Ask,
    Emit,
    Fail,
    FakeA2AServer,
    Fault,
    Gate,
    Response,
    Work,
)

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT = {"ask": "pie"}
TWICE = [Ask("color?"), Ask("food?"), Answer(lambda run: run.answers)]
ANSWERS = {"color?": "blue", "food?": "rice"}
AT_ONCE: dict[str, Any] = {"initial_interval": 0.0, "jitter": False}


class Pie(BaseModel):
    size: str
    count: int = 1


@pytest.fixture(params=["JSONRPC 1.0", "HTTP+JSON 1.0", "JSONRPC 0.3"])
def spoken(request: pytest.FixtureRequest) -> dict[str, Any]:
    binding, version = request.param.split()
    return {"binding": binding, "version": version}


def remembering(server: FakeA2AServer, **options: Any) -> Any:
    return a2a_graph(server.url, **options).compile(checkpointer=InMemorySaver())


def asked(state: Any) -> list[Any]:
    return [each.value for each in state["__interrupt__"]]


class Processes:
    """A graph over one SQLite file; each time it is invoked, a process is new to it."""

    def __init__(self, color: Color, url: str, folder: Path, **options: Any) -> None:
        self._color = color
        self._url = url
        self._database = folder / "c.sqlite"
        self._options = options

    def invoke(self, value: Any) -> Any:
        builder = a2a_graph(self._url, **self._options)
        with self._color.graph_over(builder, self._database) as graph:
            return self._color.invoke(graph, value, ON_A_THREAD)


# What is sent, and what is read


def test_a_text_is_sent_and_read(color: Color, spoken: Any) -> None:
    with FakeA2AServer([Answer(lambda run: run.input.upper())], **spoken) as server:
        assert color.invoke(remembering(server), INPUT, ON_A_THREAD)["answer"] == "PIE"
        assert (server.created, server.completed) == (1, 1)


def test_a_model_is_sent_as_data_and_read_back(color: Color, spoken: Any) -> None:
    with FakeA2AServer(**spoken) as server:
        graph = remembering(server, input_type=Pie, output_type=Pie)
        given = {"ask": Pie(size="large", count=2)}
        assert color.invoke(graph, given, ON_A_THREAD)["answer"] == Pie(size="large", count=2)
        assert server.task.input == {"size": "large", "count": 2}


def test_a_file_is_sent_and_read_back(color: Color, spoken: Any) -> None:
    with FakeA2AServer(**spoken) as server:
        picture = FilePart(content=b"\xff\x00", media_type="image/png", name="pie.png")
        graph = remembering(server, input_type=FilePart, output_type=FilePart)
        assert color.invoke(graph, {"ask": picture}, ON_A_THREAD)["answer"] == picture
        assert server.task.input == {"raw": "/wA=", "mediaType": "image/png", "filename": "pie.png"}


def test_an_artifact_in_pieces_is_put_together(color: Color, spoken: Any) -> None:
    with FakeA2AServer([Emit("One "), Emit("large "), Emit("pie"), Answer()], **spoken) as server:
        assert color.invoke(remembering(server), INPUT, ON_A_THREAD)["answer"] == "One large pie"


def test_the_skill_and_the_metadata_of_the_graph_go_with_the_message(color: Color) -> None:
    with FakeA2AServer() as server:
        config = {**ON_A_THREAD, "metadata": {"order": "7"}}
        color.invoke(remembering(server, skill="Baking"), INPUT, config)
        assert server.task.run.metadata == {"order": "7", "skillId": "Baking"}


def test_a_card_is_read_once_and_without_a_checkpointer_a_task_is_one_request(
    color: Color,
) -> None:
    with FakeA2AServer() as server:
        graph = a2a_graph(server.url).compile()
        color.invoke_each(graph, [INPUT, INPUT])
        assert [each.operation for each in server.requests] == [
            *["get_agent_card", "SendMessage", "SendMessage"]
        ]


def test_every_task_has_a_context_of_its_own_unless_the_agent_is_to_remember(
    color: Color,
) -> None:
    for use_threads, contexts in ((False, 2), (True, 1)):
        with FakeA2AServer() as server:
            graph = remembering(server, use_threads=use_threads)
            color.invoke(graph, INPUT, ON_A_THREAD)
            color.invoke(graph, INPUT, ON_A_THREAD)
            assert len({task.context_id for task in server.tasks}) == contexts


# What it asks


def test_questions_are_answered_on_the_same_task_by_whichever_process(
    color: Color, spoken: Any, tmp_path: Path
) -> None:
    with FakeA2AServer(TWICE, **spoken) as server:
        graph = Processes(color, server.url, tmp_path)
        assert asked(graph.invoke(INPUT)) == ["color?"]
        assert asked(graph.invoke(None)) == ["color?"]
        assert asked(graph.invoke(Command(resume="blue"))) == ["food?"]
        assert graph.invoke(Command(resume={"food": "rice"}))["answer"] == [
            "blue",
            {"food": "rice"},
        ]
        assert (server.created, server.misplaced) == (1, [])


def test_a_login_that_the_agent_wants_is_asked_for(color: Color, spoken: Any) -> None:
    with FakeA2AServer([Ask("Sign in", name="auth"), Answer("ok")], **spoken) as server:
        graph = remembering(server)
        state = color.invoke(graph, INPUT, ON_A_THREAD)
        assert asked(state) == [{"state": "auth-required", "message": "Sign in"}]
        assert color.invoke(graph, Command(resume="done"), ON_A_THREAD)["answer"] == "ok"


def test_a_question_that_only_the_answer_to_the_message_has_is_asked_after_a_restart_too(
    color: Color, tmp_path: Path
) -> None:
    with FakeA2AServer(TWICE[:1], questions="artifact", immediate=False) as server:
        graph = Processes(color, server.url, tmp_path)
        assert asked(graph.invoke(INPUT)) == ["color?"]
        assert asked(graph.invoke(None)) == ["color?"]
        assert "answer" in graph.invoke(Command(resume="blue"))
        assert server.task.answers == ["blue"]


def test_a_task_that_has_not_noticed_its_answer_yet_is_not_answered_twice(
    color: Color, tmp_path: Path
) -> None:
    gate = Gate()
    script = [Ask("color?"), Work(gate), Answer(lambda run: run.answers)]
    with FakeA2AServer(script, late=True) as server:
        graph = Processes(color, server.url, tmp_path)
        graph.invoke(INPUT)
        server.faults.add(Fault.status(403), on="GetTask", nth=2)
        with pytest.raises(ApiException, match="403"):  # after the answer was sent
            graph.invoke(Command(resume="blue"))
        gate.open()
        assert graph.invoke(None)["answer"] == ["blue"]
        assert (server.task.answers, server.misplaced) == (["blue"], [])


def test_an_answer_that_is_not_taken_is_an_error_and_the_question_still_waits(
    color: Color, spoken: Any, tmp_path: Path
) -> None:
    with FakeA2AServer(TWICE[:1], **spoken) as server:
        graph = Processes(color, server.url, tmp_path)
        graph.invoke(INPUT)
        refusal = {"code": -32602, "message": "no such color"}
        told = Response.json({"jsonrpc": "2.0", "id": "1", "error": refusal})
        if spoken["binding"] == "HTTP+JSON":
            details = [{"reason": "INVALID_PARAMS"}]
            told = Response.json(
                {"error": {"code": 400, "message": "no such color", "details": details}}, 400
            )
        server.faults.add(Fault.respond(told), on="SendMessage")
        with pytest.raises(UnprocessableEntityException, match=r"no such color.*still waits"):
            graph.invoke(Command(resume="x"))
        assert asked(graph.invoke(None)) == ["color?"]
        graph.invoke(Command(resume="blue"))
        assert server.task.answers == ["blue"]


def test_where_no_answer_can_be_waited_for_the_task_that_asks_is_ended(
    color: Color, spoken: Any
) -> None:
    with FakeA2AServer(TWICE, **spoken) as server:
        with pytest.raises(CheckpointerRequiredError, match="was cancelled"):
            color.invoke(a2a_graph(server.url).compile(), INPUT)
        assert server.count("canceled") == server.created == 1


# How it ends


@pytest.mark.parametrize(
    ("move", "error", "words"),
    [
        (Fail("burnt"), A2ATaskError, "failed: burnt"),
        (
            Fail("not my job", errcode=A2A_REJECTED),
            A2ATaskRejectedError,
            "was rejected: not my job",
        ),
        (Fail(""), A2ATaskError, "gave no reason"),
    ],
)
def test_a_failure_has_the_agents_own_words(
    color: Color, spoken: Any, move: Fail, error: type[A2ATaskError], words: str
) -> None:
    with FakeA2AServer([move], **spoken) as server:
        with pytest.raises(error, match=words) as caught:
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
        assert type(caught.value) is error
        assert caught.value.run_id == server.task.task_id
        assert caught.value.thread_id == server.task.context_id


def failing(times: int) -> Any:
    """A script whose first tasks fail, and all others are done."""
    begun: list[Any] = []

    def script(run: Any) -> Any:
        begun.append(run)
        yield Fail("no ink") if len(begun) <= times else Answer("done")

    return script


@pytest.mark.parametrize("use_threads", [False, True])
def test_a_failed_task_is_done_again_by_who_enters_again(
    color: Color, tmp_path: Path, use_threads: bool
) -> None:
    with FakeA2AServer(failing(2)) as server:
        graph = Processes(color, server.url, tmp_path, use_threads=use_threads)
        for step in (INPUT, None):
            with pytest.raises(A2ATaskError, match="no ink"):
                graph.invoke(step)
        assert graph.invoke(None)["answer"] == "done"
        assert server.created == 3


def test_a_retry_policy_that_takes_failed_tasks_has_them_done_again(color: Color) -> None:
    policy = RetryPolicy(retry_on=A2ATaskError, max_attempts=3, **AT_ONCE)
    with FakeA2AServer(failing(2)) as server:
        graph = remembering(server, retry_policy=policy)
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "done"
        assert server.created == 3


def test_a_task_that_somebody_else_ends_is_an_error(color: Color) -> None:
    with FakeA2AServer([Work(Gate()), Answer("done")]) as server:
        graph = remembering(server)

        def end(request: Any) -> bool:
            if request.operation == "GetTask":
                server.tasks[0].run.cancel("canceled")
            return False

        server.faults.add(Fault.none(), on=end)
        with pytest.raises(A2ATaskCanceledError, match="was canceled"):
            color.invoke(graph, INPUT, ON_A_THREAD)


def test_a_task_that_the_server_forgot_is_lost(color: Color) -> None:
    with FakeA2AServer([Work(Gate()), Answer("done")]) as server:

        def forget(request: Any) -> bool:
            if request.operation == "GetTask":
                server.forget()
            return False

        server.faults.add(Fault.none(), on=forget)
        with pytest.raises(RunLostError):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
        assert server.created == 1


async def test_a_cancelled_call_ends_the_task(spoken: Any) -> None:
    with FakeA2AServer([Work(Gate()), Answer("done")], **spoken) as server:
        call = asyncio.create_task(remembering(server).ainvoke(INPUT, ON_A_THREAD))
        await asyncio.to_thread(server.requests.wait_for, "SubscribeToTask")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(server.wait_until, lambda: server.count("canceled") == 1)


async def test_a_task_that_is_ended_already_needs_no_ending() -> None:
    gate = Gate()
    with FakeA2AServer([Work(gate), Answer("done")]) as server:
        call = asyncio.create_task(remembering(server).ainvoke(INPUT, ON_A_THREAD))
        await asyncio.to_thread(server.requests.wait_for, "SubscribeToTask")
        server.faults.add(Fault.hold(held := Gate(), at="work"), on="CancelTask")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(held.wait_arrival)
        gate.open()
        held.open()
        await asyncio.to_thread(server.requests.wait_for, lambda each: each.status is not None)
        assert server.count("canceled") == 0


@pytest.mark.parametrize("on_timeout", ["cancel", "leave"])
@pytest.mark.parametrize("streaming", [True, False])
def test_a_task_over_its_deadline_is_ended_or_left(
    color: Color, on_timeout: str, streaming: bool
) -> None:
    with FakeA2AServer([Work(Gate()), Answer("done")], streaming=streaming) as server:
        graph = remembering(server, run_timeout=0.3, on_timeout=on_timeout)
        with pytest.raises(RunTimeoutError, match=r"after 0\.3 s") as caught:
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert caught.value.run_id == server.task.task_id
        assert server.count("canceled") == (on_timeout == "cancel")


# Lost on the way

FAULTS = [
    Fault.lose_answer(),
    Fault.drop_before_work(reset=True),
    Fault.status(502),
    Fault.status(504, after_work=True),
    Fault.html(200, after_work=True),
    Fault.drop_after(60),
    Fault.truncated_json(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("use_threads", [False, True])
@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
def test_whatever_becomes_of_a_message_there_is_one_task(
    color: Color, binding: Any, fault: Fault, use_threads: bool
) -> None:
    with FakeA2AServer(TWICE, binding=binding) as server:
        graph = remembering(server, use_threads=use_threads)
        server.faults.add(fault, fault, on="SendMessage")
        state = answered(color, graph, INPUT, ON_A_THREAD, ANSWERS)
        assert state["answer"] == ["blue", "rice"]
        assert (server.created, server.misplaced) == (1, [])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("operation", ["GetTask", "SubscribeToTask", "get_agent_card"])
def test_whatever_becomes_of_a_look_it_is_looked_again(
    color: Color, spoken: Any, fault: Fault, operation: str
) -> None:
    with FakeA2AServer(TWICE, **spoken) as server:
        server.faults.add(fault, fault, on=operation)
        state = answered(color, remembering(server), INPUT, ON_A_THREAD, ANSWERS)
        assert state["answer"] == ["blue", "rice"]
        assert (server.created, server.misplaced) == (1, [])


@pytest.mark.parametrize(
    "options", [{"version": "0.3"}, {"lists": False}, {"tasks": False}], ids=str
)
def test_where_a_lost_answer_cannot_be_looked_up_the_outcome_is_unknown(
    color: Color, options: Any
) -> None:
    with FakeA2AServer(**options) as server:
        graph = remembering(server)
        if options == {"tasks": False}:  # which is known once it was seen
            color.invoke(graph, INPUT, {"configurable": {"thread_id": "0"}})
        server.faults.add(Fault.lose_answer(), on="SendMessage")
        begun = server.created
        with pytest.raises(UnknownOutcomeError, match="on_unknown"):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert server.created == begun + 1


def test_who_accepts_a_second_task_gets_one(color: Color) -> None:
    with FakeA2AServer(version="0.3") as server:
        server.faults.add(Fault.lose_answer(), on="SendMessage")
        graph = remembering(server, on_unknown="rerun")
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "pie"
        assert server.created == 2


def test_a_server_that_makes_contexts_of_its_own_is_found_out(color: Color) -> None:
    with FakeA2AServer(TWICE, contexts="own") as server:
        graph = remembering(server)
        server.faults.add(Fault.lose_answer(), on="SendMessage")
        state = answered(color, graph, INPUT, ON_A_THREAD, ANSWERS)
        assert state["answer"] == ["blue", "rice"]
        assert server.created == 1


def test_a_server_that_refuses_contexts_says_so(color: Color, spoken: Any) -> None:
    with FakeA2AServer(contexts="refused", **spoken) as server:
        with pytest.raises(ApiException, match="Contexts are made here"):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
        assert server.created == 0


def test_an_agent_that_neither_answers_in_time_nor_shows_a_task_may_be_at_work(
    color: Color,
) -> None:
    with FakeA2AServer([Work(gate := Gate()), Answer("x")], tasks=False) as server:
        server._listed = lambda _: {"tasks": []}  # type: ignore[method-assign]
        node = a2a_node(server.url)
        node.transport.endpoint.configuration.__dict__["timeout"] = 0.2
        node.async_transport.endpoint.configuration.__dict__["timeout"] = 0.2
        with pytest.raises(UnknownOutcomeError, match="has not answered in time"):
            color.invoke(node, INPUT)
        gate.open()
        assert server.created == 1


def test_a_message_without_a_task_is_an_answer_that_is_remembered(
    color: Color, tmp_path: Path
) -> None:
    with FakeA2AServer([Answer("only a message")], tasks=False) as server:
        graph = Processes(color, server.url, tmp_path)
        assert graph.invoke(INPUT)["answer"] == "only a message"
        assert server.requests.count("GetTask") == 0


# Who the agent is


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


def test_an_error_of_no_known_code_is_an_error_all_the_same(color: Color) -> None:
    error = {"code": "E7", "message": "strange", "data": 7}
    told = Response.json({"jsonrpc": "2.0", "id": "1", "error": error})
    with FakeA2AServer() as server:
        server.faults.add(Fault.respond(told), on="SendMessage", times=None)
        with pytest.raises(ApiException, match="strange"):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
