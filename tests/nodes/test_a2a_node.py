"""`A2ANode` against a fake agent: what is sent and read, and that there is one task whatever goes wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command, RetryPolicy
from pydantic import BaseModel
from support.a2a_graph import (
    ON_A_THREAD,
    SPOKEN,
    Processes,
    a2a_graph,
    a2a_node,
    asked,
    remembering,
)
from support.colors import Color

from acp_langgraph.a2a.parts import FilePart
from acp_langgraph.errors import (
    A2ATaskCanceledError,
    A2ATaskError,
    A2ATaskRejectedError,
    ApiException,
    CheckpointerRequiredError,
    RunLostError,
    RunTimeoutError,
    UnprocessableEntityException,
)
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

INPUT = {"ask": "pie"}
TWICE = [Ask("color?"), Ask("food?"), Answer(lambda run: run.answers)]
AT_ONCE: dict[str, Any] = {"initial_interval": 0.0, "jitter": False}


class Pie(BaseModel):
    size: str
    count: int = 1


@pytest.fixture(params=SPOKEN, ids=str)
def spoken(request: pytest.FixtureRequest) -> Any:
    return request.param


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


def taken(server: FakeA2AServer, color: Color, graph: Any) -> list[str | None]:
    """The operations that one task took."""
    before = len(server.requests)
    color.invoke(graph, INPUT, ON_A_THREAD)
    return [each.operation for each in list(server.requests)[before:]]


def test_where_a_task_that_is_done_is_listed_one_request_is_enough(color: Color) -> None:
    with FakeA2AServer(streaming=False) as server:
        graph = remembering(server)
        two = ["SendMessage", "GetTask"]
        assert taken(server, color, graph)[-2:] == two
        assert taken(server, color, graph) == [*two, "ListTasks"]
        for _ in range(2):
            assert taken(server, color, graph) == ["SendMessage"]
        assert server.created == server.completed == 4


@pytest.mark.parametrize("options", [{"lists": False}, {"contexts": "own"}, {"version": "0.3"}])
def test_where_it_is_not_two_requests_remain(color: Color, options: Any) -> None:
    with FakeA2AServer(streaming=False, **options) as server:
        graph = remembering(server)
        for _ in range(3):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert taken(server, color, graph) == ["SendMessage", "GetTask"]


def test_whether_one_finds_what_is_done_is_not_taken_for_what_another_does(color: Color) -> None:
    with FakeA2AServer(streaming=False) as server:
        graph = remembering(server, headers=lambda config: {"x-user": "ada"})
        for _ in range(3):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert taken(server, color, graph) == ["SendMessage", "GetTask"]


@pytest.mark.parametrize(
    "fault", [Fault.drop_before_work(), Fault.lose_answer(), Fault.status(503), Fault.status(500)]
)
def test_the_one_request_that_breaks_off_is_found_by_its_context(
    color: Color, fault: Fault
) -> None:
    with FakeA2AServer() as server:
        graph = remembering(server)
        for _ in range(2):
            color.invoke(graph, INPUT, ON_A_THREAD)
        rule = server.faults.add(fault, on="start")
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "pie"
        assert rule.hits == 1
        assert server.created == server.completed == 3


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
    with FakeA2AServer(script, late=True, streaming=False) as server:
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


async def test_a_task_that_is_ended_already_needs_no_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, held = Gate(), Gate()
    with FakeA2AServer([Work(gate), Answer("done")]) as server:
        node = a2a_node(server.url)
        call = asyncio.create_task(node.ainvoke(INPUT, ON_A_THREAD))
        await asyncio.to_thread(server.wait_until, lambda: server.created == 1)
        server.faults.add(Fault.hold(held, at="work"), on="CancelTask")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(held.wait_arrival)
        gate.open()
        held.open()
        await asyncio.wait(node._ending.values())
        assert server.count("canceled") == 0
        assert "goes on" not in caplog.text


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


# Drained


@pytest.mark.parametrize("color_name", ["sync", "async"])
async def test_a_drain_leaves_the_task_and_a_later_entry_rejoins_it(color_name: str) -> None:
    gate = Gate()
    with FakeA2AServer([Work(gate), Answer("done")], streaming=color_name == "async") as server:
        graph, control = remembering(server), RunControl()
        if color_name == "async":
            run = graph.ainvoke(INPUT, ON_A_THREAD, control=control)
        else:
            run = asyncio.to_thread(graph.invoke, INPUT, ON_A_THREAD, control=control)
        call = asyncio.create_task(run)
        await asyncio.to_thread(server.requests.wait_for, "GetTask")
        control.request_drain("deploy")
        with pytest.raises(GraphDrained):
            await call
        gate.open()
        assert (await asyncio.to_thread(graph.invoke, None, ON_A_THREAD))["answer"] == "done"
        assert (server.created, server.count("canceled")) == (1, 0)
