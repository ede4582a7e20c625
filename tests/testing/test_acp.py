from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from acp_langgraph import ACPClient, validate_descriptor
from acp_langgraph.acp import calls
from acp_langgraph.core.calls import ABSENT, Call, Reply
from acp_langgraph.errors import (
    ConflictException,
    NotFoundException,
    UnauthorizedException,
    UnprocessableEntityException,
)
from acp_langgraph.testing import (
    ACP_OPERATIONS,
    Answer,
    Ask,
    Fail,
    FakeACPServer,
    FakeAgent,
    Fault,
    Gate,
    Work,
)

UNKNOWN = "11111111-1111-4111-8111-111111111111"


class Caller:
    """Performs the package's own calls against a server and reads them as its models."""

    def __init__(self, server: FakeACPServer, client: httpx.Client) -> None:
        self.url = server.url
        self.client = client

    def __call__(self, call: Call[Any]) -> Any:
        answer = self.client.request(
            call.method,
            self.url + call.path,
            params=dict(call.query),
            content=None if call.body is ABSENT else call.encode(),
        )
        return call.read(Reply(answer.status_code, dict(answer.headers), answer.content))


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def server(gate):
    scripts = {
        "echo": [Answer(lambda run: run.input)],
        "ask": [Ask({"first": 1}), Ask(lambda run: run.answers), Answer(lambda run: run.answers)],
        "work": [Work(gate), Answer({"worked": True})],
        "fail": [Fail("no luck", 7)],
    }
    with FakeACPServer(scripts) as server:
        yield server


@pytest.fixture
def call(server, client):
    return Caller(server, client)


@pytest.fixture
def ids(server):
    return {agent.name: agent.agent_id for agent in server.agents}


def test_the_fake_knows_the_30_operations_of_the_protocol():
    arguments = {
        "agent_id": "{agent_id}",
        "run_id": "{run_id}",
        "thread_id": "{thread_id}",
    }
    assert len(ACP_OPERATIONS) == 30
    for operation, route in ACP_OPERATIONS.items():
        function = getattr(calls, operation)
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        given = [arguments.get(name, {}) for name in names]
        made = function(*given)
        path = made.path.replace("%7B", "{").replace("%7D", "}")
        assert (operation, f"{made.method} {path}") == (made.operation, route)


def test_a_run_is_created_waited_for_and_counted(server, call, ids):
    run = call(calls.create_stateless_run({"agent_id": ids["echo"], "input": [1], "metadata": {}}))
    outcome = call(calls.wait_for_stateless_run_output(run.run_id))
    assert outcome.output.values == [1]
    assert outcome.run == call(calls.get_stateless_run(run.run_id))
    assert (server.created, server.completed, server.running) == (1, 1, 0)
    assert server.run.history == ["pending", "success"]
    assert server.run.creation == {"agent_id": ids["echo"], "input": [1], "metadata": {}}


def test_the_agents_of_a_server_are_found_and_describe_themselves(server, call, ids):
    assert [agent.metadata.ref.name for agent in call(calls.search_agents({}))] == list(ids)
    assert [a.agent_id for a in call(calls.search_agents({"name": "ask"}))] == [ids["ask"]]
    assert len(call(calls.search_agents({"limit": 2, "offset": 3}))) == 1
    assert call(calls.get_agent_by_id(ids["ask"])).metadata.ref.version == "1.0.0"
    descriptor = call(calls.get_acp_descriptor_by_id(ids["ask"]))
    assert descriptor.specs.capabilities.interrupts is True
    with pytest.raises(NotFoundException):
        call(calls.get_agent_by_id(UNKNOWN))


def test_an_agent_may_say_more_of_itself(client):
    agent = FakeAgent("a", [Answer(1)], agent_id=UNKNOWN, output={"type": "integer"})
    with FakeACPServer(agents=[agent]) as server:
        descriptor = Caller(server, client)(calls.get_acp_descriptor_by_id(UNKNOWN))
    assert descriptor.specs.output == {"type": "integer"}


@pytest.mark.parametrize("answers", [["yes", ["a"]], [0, False], [None, {"k": 1}]])
def test_questions_are_answered_in_order_on_the_same_run(server, call, ids, answers):
    outcome = call(calls.create_and_wait_for_stateless_run_output({"agent_id": ids["ask"]}))
    assert outcome.output.interrupt == {"first": 1}
    assert server.interrupted == 1
    for answer in answers:
        call(calls.resume_stateless_run(outcome.run.run_id, answer))
        outcome = call(calls.wait_for_stateless_run_output(outcome.run.run_id))
    assert outcome.output.values == answers == server.run.answers
    assert server.run.resumed == 2
    assert " > ".join(server.run.history) == (
        "pending > interrupted > pending > interrupted > pending > success"
    )


def test_a_resume_of_what_does_not_wait_changes_nothing(server, call, ids):
    run = call(calls.create_stateless_run({"agent_id": ids["echo"]}))
    with pytest.raises(ConflictException):
        call(calls.resume_stateless_run(run.run_id, "x"))
    with pytest.raises(NotFoundException):
        call(calls.resume_stateless_run(UNKNOWN, "x"))
    assert server.run.answers == []


def test_a_failed_run_says_why(server, call, ids):
    outcome = call(calls.create_and_wait_for_stateless_run_output({"agent_id": ids["fail"]}))
    assert (outcome.output.errcode, outcome.output.description) == (7, "no luck")
    assert server.run.status == "error"


def test_a_script_that_raises_fails_its_run_and_keeps_the_error(client):
    with FakeACPServer([Answer(lambda _: 1 / 0)]) as server:
        outcome = Caller(server, client)(calls.create_and_wait_for_stateless_run_output({}))
        assert outcome.output.description == "division by zero"
        assert isinstance(server.run.error, ZeroDivisionError)


def test_what_is_no_move_fails_the_run_and_says_so(client):
    with FakeACPServer([{"text": "hi"}]) as server:
        outcome = Caller(server, client)(calls.create_and_wait_for_stateless_run_output({}))
    assert "a script made the move {'text': 'hi'}" in outcome.output.description


def test_a_script_may_be_a_generator_that_reads_its_answers(client):
    def script(run):
        text = run.input
        while (yield Ask({"draft": text})) != "ok":
            text += "!"
        return {"text": text}

    with FakeACPServer(script) as server:
        call = Caller(server, client)
        outcome = call(calls.create_and_wait_for_stateless_run_output({"input": "hi"}))
        for answer in ("more", "ok"):
            call(calls.resume_stateless_run(outcome.run.run_id, answer))
            outcome = call(calls.wait_for_stateless_run_output(outcome.run.run_id))
    assert outcome.output.values == {"text": "hi!"}


def test_a_failure_that_is_not_final_shows_and_passes(client, gate):
    with FakeACPServer([Fail("once", final=False), Work(gate), Answer(1)]) as server:
        call = Caller(server, client)
        run = call(calls.create_stateless_run({}))
        assert call(calls.get_stateless_run(run.run_id)).status == "error"
        assert server.running == 1
        gate.open()
        assert call(calls.wait_for_stateless_run_output(run.run_id)).run.status == "success"


def test_a_wait_is_held_until_the_gate_opens(server, call, ids, gate):
    with ThreadPoolExecutor() as pool:
        body = {"agent_id": ids["work"]}
        outcome = pool.submit(call, calls.create_and_wait_for_stateless_run_output(body))
        gate.wait_arrival()
        assert (server.running, server.run.status) == (1, "pending")
        gate.open()
        assert outcome.result(5).output.values == {"worked": True}


def test_work_may_take_time_and_differ_from_run_to_run(client):
    times = {"slow": Gate(), "fast": 0.001}
    with FakeACPServer([Work(lambda run: times[run.input]), Answer(1)]) as server:
        call = Caller(server, client)
        call(calls.create_stateless_run({"input": "slow"}))
        call(calls.create_and_wait_for_stateless_run_output({"input": "fast"}))
        assert (server.completed, server.running) == (1, 1)


def test_a_run_can_start_later(client):
    with FakeACPServer() as server:
        Caller(server, client)(calls.create_stateless_run({"after_seconds": 3600}))
        assert server.running == 1


def test_every_change_of_status_has_a_later_time(server, call, ids):
    times = []
    run = call(calls.create_stateless_run({"agent_id": ids["ask"]}))
    for answer in range(2):
        times.append(call(calls.get_stateless_run(run.run_id)).updated_at)
        call(calls.resume_stateless_run(run.run_id, answer))
    times.append(call(calls.get_stateless_run(run.run_id)).updated_at)
    assert times == sorted(set(times))


def test_a_cancelled_run_ends_and_its_waiters_are_told(server, call, ids, gate, client):
    with ThreadPoolExecutor() as pool:
        body = {"agent_id": ids["work"]}
        outcome = pool.submit(call, calls.create_and_wait_for_stateless_run_output(body))
        gate.wait_arrival()
        call(calls.cancel_stateless_run(server.run.run_id))
        assert outcome.result(5).output.description == "the run was cancelled"
    gate.open()
    assert server.run.cancelled
    assert (server.run.cancels, server.completed, server.running) == (1, 0, 0)


def test_cancelling_a_finished_run_changes_nothing_but_the_count(server, call, ids):
    run = call(calls.create_stateless_run({"agent_id": ids["echo"]}))
    call(calls.cancel_stateless_run(run.run_id))
    assert (server.run.status, server.run.cancels, server.run.cancelled) == ("success", 1, False)


def test_a_rollback_and_a_deletion_leave_a_404_and_a_record(server, call, ids):
    for end in (
        calls.delete_stateless_run,
        lambda i: calls.cancel_stateless_run(i, action="rollback"),
    ):
        run = call(calls.create_stateless_run({"agent_id": ids["work"]}))
        call(end(run.run_id))
        with pytest.raises(NotFoundException):
            call(calls.get_stateless_run(run.run_id))
    assert [run.deleted for run in server.runs] == [True, True]
    assert server.running == 0


def test_runs_are_searched_by_agent_status_and_metadata_page_by_page(server, call, ids):
    for n in range(3):
        body = {"agent_id": ids["echo"], "metadata": {"key": n, "all": True}}
        call(calls.create_stateless_run(body))
    call(calls.create_stateless_run({"agent_id": ids["ask"]}))

    def found(**filters):
        return [run.run_id for run in call(calls.search_stateless_runs(filters))]

    created = [run.run_id for run in server.runs]
    assert found() == created
    assert found(metadata={"key": 1}) == created[1:2]
    assert found(metadata={"all": True}, limit=1, offset=2) == created[2:3]
    assert found(agent_id=ids["ask"], status="interrupted") == created[3:]
    assert [run.run_id for run in server.runs_with(key=1)] == created[1:2]
    assert server.runs_with("success") == server.runs[:3]


def test_the_only_run_is_one_or_an_error_that_lists_them(server, call, ids):
    with pytest.raises(AssertionError, match="there were 0"):
        _ = server.run
    for _ in range(2):
        call(calls.create_stateless_run({"agent_id": ids["echo"]}))
    with pytest.raises(AssertionError, match=r"there were 2: \[<run .* of echo: pending"):
        _ = server.run


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"metadata": 1}'], ids=["none", "broken", "list", "metadata"]
)
def test_a_run_that_makes_no_sense_is_refused(server, client, body):
    assert client.post(f"{server.url}/runs", content=body).status_code == 422
    assert server.created == 0


def test_a_resume_needs_a_body(server, call, ids, client):
    run = call(calls.create_stateless_run({"agent_id": ids["ask"]}))
    assert client.post(f"{server.url}/runs/{run.run_id}").status_code == 422
    assert server.run.interrupted


def test_a_lost_answer_leaves_the_run_and_a_lost_request_does_not(server, client):
    server.faults.add(Fault.drop_before_work(), Fault.lose_answer(), on="create_stateless_run")
    for created in (0, 1):
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(f"{server.url}/runs", json={})
        assert server.created == created


def test_forgotten_runs_are_404_and_stay_on_record(server, call, ids, gate):
    run = call(calls.create_stateless_run({"agent_id": ids["work"]}))
    server.forget(server.run)
    with pytest.raises(NotFoundException):
        call(calls.wait_for_stateless_run_output(run.run_id))
    assert call(calls.search_stateless_runs({})) == []
    assert server.run.forgotten
    assert server.running == 0


def test_a_restart_keeps_the_runs_or_forgets_them(server, call, ids):
    run = call(calls.create_stateless_run({"agent_id": ids["ask"]}))
    server.restart()
    assert call(calls.get_stateless_run(run.run_id)).status == "interrupted"
    server.restart(forget=True)
    with pytest.raises(NotFoundException):
        call(calls.get_stateless_run(run.run_id))
    assert server.created == 1


def test_a_wait_that_the_restart_broke_off_can_be_asked_again(server, call, ids, gate):
    run = call(calls.create_stateless_run({"agent_id": ids["work"]}))
    wait = calls.wait_for_stateless_run_output(run.run_id)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(httpx.get, f"{server.url}{wait.path}")
        server.requests.wait_for(wait.operation)
        server.restart()
        with pytest.raises(httpx.TransportError):
            waiting.result(5)
    gate.open()
    assert call(wait).run.status == "success"


def test_a_thread_collects_what_its_runs_came_to(server, call, ids):
    thread = call(calls.create_thread({"metadata": {"owner": "me", "n": 1}}))
    for values in ({"a": 1}, {"b": 2}):
        body = {"agent_id": ids["echo"], "input": values}
        outcome = call(calls.create_and_wait_for_thread_run_output(thread.thread_id, body))
        assert outcome.run.thread_id == thread.thread_id
    assert call(calls.get_thread(thread.thread_id)).values == {"a": 1, "b": 2}
    latest, first = call(calls.get_thread_history(thread.thread_id))
    assert first.values == {"a": 1}
    before = call(
        calls.get_thread_history(thread.thread_id, before=latest.checkpoint.checkpoint_id)
    )
    assert before == [first]
    assert len(call(calls.list_thread_runs(thread.thread_id, limit=1, offset=1))) == 1


def test_threads_are_patched_copied_searched_and_deleted(server, call):
    thread = call(calls.create_thread({"metadata": {"owner": "me"}}))
    call(calls.patch_thread(thread.thread_id, {"metadata": {"n": 1}, "values": {"v": 1}}))
    copy = call(calls.copy_thread(thread.thread_id))
    assert (copy.metadata, copy.values) == ({"owner": "me", "n": 1}, {"v": 1})
    assert copy.thread_id != thread.thread_id
    assert len(call(calls.search_threads({"metadata": {"n": 1}, "status": "idle"}))) == 2
    assert call(calls.search_threads({"values": {"v": 2}})) == []
    call(calls.delete_thread(thread.thread_id))
    with pytest.raises(NotFoundException):
        call(calls.get_thread(thread.thread_id))


def test_a_thread_is_created_once(server, call):
    call(calls.create_thread({"thread_id": UNKNOWN, "metadata": {"n": 1}}))
    with pytest.raises(ConflictException):
        call(calls.create_thread({"thread_id": UNKNOWN}))
    again = call(calls.create_thread({"thread_id": UNKNOWN, "if_exists": "do_nothing"}))
    assert again.metadata == {"n": 1}


def test_a_run_on_a_missing_thread_is_refused_or_creates_it(server, call, ids):
    with pytest.raises(NotFoundException):
        call(calls.create_thread_run(UNKNOWN, {"agent_id": ids["echo"]}))
    call(calls.create_thread_run(UNKNOWN, {"agent_id": ids["echo"], "if_not_exists": "create"}))
    assert list(server.threads) == [UNKNOWN]


def test_a_thread_run_is_asked_resumed_cancelled_and_deleted_under_its_thread(server, call, ids):
    call(calls.create_thread({"thread_id": UNKNOWN}))
    run = call(calls.create_thread_run(UNKNOWN, {"agent_id": ids["ask"]}))
    assert call(calls.get_thread(UNKNOWN)).status == "interrupted"
    call(calls.resume_thread_run(UNKNOWN, run.run_id, "a"))
    waited = call(calls.wait_for_thread_run_output(UNKNOWN, run.run_id))
    assert waited.output.interrupt == ["a"]
    call(calls.cancel_thread_run(UNKNOWN, run.run_id))
    assert call(calls.get_thread_run(UNKNOWN, run.run_id)).status == "error"
    call(calls.delete_thread_run(UNKNOWN, run.run_id))
    with pytest.raises(NotFoundException):
        call(calls.get_thread_run(UNKNOWN, run.run_id))


@pytest.mark.parametrize(
    ("strategy", "statuses"),
    [
        ("enqueue", ["pending", "pending"]),
        ("interrupt", ["error", "success"]),
        ("rollback", ["error", "success"]),
    ],
)
def test_a_second_run_on_a_busy_thread_follows_the_strategy(
    server, call, ids, gate, strategy, statuses
):
    call(calls.create_thread({"thread_id": UNKNOWN}))
    call(calls.create_thread_run(UNKNOWN, {"agent_id": ids["work"]}))
    assert call(calls.get_thread(UNKNOWN)).status == "busy"
    body = {"agent_id": ids["echo"], "multitask_strategy": strategy}
    call(calls.create_thread_run(UNKNOWN, body))
    assert [run.status for run in server.runs] == statuses
    assert server.runs[0].deleted is (strategy == "rollback")
    gate.open()
    assert server.running == 0


def test_a_second_run_on_a_busy_thread_is_rejected_and_so_is_its_deletion(server, call, ids):
    call(calls.create_thread({"thread_id": UNKNOWN}))
    call(calls.create_thread_run(UNKNOWN, {"agent_id": ids["work"]}))
    with pytest.raises(ConflictException):
        call(calls.create_thread_run(UNKNOWN, {"agent_id": ids["echo"]}))
    with pytest.raises(UnprocessableEntityException):
        call(calls.delete_thread(UNKNOWN))
    assert server.created == 1


def test_an_api_key_is_asked_for_where_one_is_set(client):
    with FakeACPServer(api_key="k") as server:
        with pytest.raises(UnauthorizedException):
            Caller(server, client)(calls.search_agents({}))
        assert client.post(f"{server.url}/runs", json={}, headers={"x-api-key": "k"}).is_success


def test_a_hundred_runs_at_once_half_of_them_cancelled(server, call, ids, gate):
    body = {"agent_id": ids["work"]}
    with ThreadPoolExecutor(100) as pool:
        wait = calls.create_and_wait_for_stateless_run_output(body)
        outcomes = [
            pool.submit(httpx.post, server.url + wait.path, json=body, timeout=20)
            for _ in range(100)
        ]
        gate.wait_arrival(100, timeout=20)
        for run in server.runs[::2]:
            call(calls.cancel_stateless_run(run.run_id))
        gate.open()
        kinds = [outcome.result(20).json()["output"]["type"] for outcome in outcomes]
    assert (kinds.count("result"), kinds.count("error")) == (50, 50)
    assert (server.created, server.completed, server.running) == (100, 50, 0)


def test_a_fake_agents_descriptor_does_not_contradict_itself() -> None:
    with FakeACPServer([Answer({})]) as server, ACPClient(server.url) as client:
        validate_descriptor(client.get_acp_descriptor_by_id(server.agent_id))
