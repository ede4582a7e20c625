from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

import httpx
import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel
from support.graphs import Gate, Notes, Text, asking, echo, failing, fan_out, held, one_node

from acp_langgraph.acp.models import RunStateless, RunWaitResponseStateless
from acp_langgraph.server import AgentInterrupt, SeenRequest, ServedAgent


def test_a_run_gives_the_output_of_the_graph(serving):
    outcome = serving({"echo": echo()}).outcome("echo", input={"text": "hi"})

    assert outcome["output"] == {"type": "result", "values": {"text": "HI"}}
    assert outcome["run"]["status"] == "success"


def test_a_run_is_created_at_once_and_waited_for_later(serving):
    gate = Gate()
    client = serving({"held": held(gate)})

    created = client.create("held", input={"text": "hi"})
    gate.open()
    waited = RunWaitResponseStateless.model_validate(client.wait(created))

    assert RunStateless.model_validate(created).status == "pending"
    assert waited.run.run_id == created["run_id"]
    assert waited.output.values == {"text": "hi", "notes": ["hi"]}


def test_without_an_agent_id_the_first_agent_runs(serving):
    client = serving({"first": echo(), "second": failing()})

    answer = client.post("/runs/wait", json={"input": {"text": "hi"}})

    assert answer.json()["run"]["agent_id"] == client.server.agent_ids["first"]


def test_a_run_says_what_it_was_created_from(serving):
    sent = {
        "input": {"text": "hi"},
        "metadata": {"key": None},
        "config": {"tags": ["t"], "configurable": {"tone": "kind"}},
        "on_disconnect": "continue",
    }
    client = serving({"echo": echo()})

    created = client.create("echo", **sent)

    assert created["creation"] == {"agent_id": created["agent_id"], **sent}


def test_values_of_python_come_back_as_json(serving):
    class Colour(Enum):
        RED = "red"

    class Model(BaseModel):
        colour: Colour

    class State(TypedDict):
        things: list[Any]

    things = [Model(colour=Colour.RED), datetime(2026, 1, 2, tzinfo=UTC), AIMessage("hi"), {1: 2.5}]
    client = serving({"agent": one_node(State, lambda state: {"things": things})})

    model, moment, message, mapping = client.outcome("agent")["output"]["values"]["things"]

    assert model == {"colour": "red"}
    assert moment == "2026-01-02T00:00:00Z"
    assert message["content"] == "hi"
    assert mapping == {"1": 2.5}


def test_only_the_output_schema_is_returned(serving):
    graph = one_node(Notes, lambda state: {"notes": [1]}, output_schema=Text)
    client = serving({"agent": graph})

    outcome = client.outcome("agent", input={"text": "hi"})

    assert outcome["output"]["values"] == {"text": "hi"}


def test_an_output_that_is_no_json_is_an_error_of_the_run(serving):
    client = serving({"agent": one_node(Notes, lambda state: {"notes": [ZoneInfo("UTC")]})})

    output = client.outcome("agent")["output"]

    assert output["type"] == "error"
    assert "cannot be written as JSON" in output["description"]


def test_a_failing_graph_is_executed_once_and_its_error_told(serving):
    outcome = serving({"failing": failing()}).outcome("failing", input={"text": "hi"})

    assert outcome["run"]["status"] == "error"
    assert outcome["output"] == {
        "type": "error",
        "run_id": outcome["run"]["run_id"],
        "errcode": 1,
        "description": "LookupError: no such thing, call 1",
    }


def test_a_long_error_is_shortened(serving):
    def fail(state: Text) -> Text:
        raise RuntimeError("x" * 100_000)

    output = serving({"agent": one_node(Text, fail)}).outcome("agent")["output"]

    assert len(output["description"]) == 2000


def test_the_configuration_reaches_the_graph_but_not_its_checkpoints(serving):
    def tell(state: Notes, config: RunnableConfig) -> dict[str, Any]:
        seen = config["configurable"]
        return {"notes": [seen["tone"], seen["thread_id"], seen["checkpoint_ns"], config["tags"]]}

    client = serving({"agent": one_node(Notes, tell)})
    theirs = {
        "tone": "kind",
        "thread_id": "mine",
        "checkpoint_ns": "mine",
        "checkpoint_id": "mine",
        "__pregel_resuming": True,
    }

    outcome = client.outcome("agent", config={"configurable": theirs, "tags": ["t"]})

    tone, thread_id, namespace, tags = outcome["output"]["values"]["notes"]
    assert (tone, tags) == ("kind", ["t"])
    assert "mine" not in {thread_id, namespace}


def test_a_graph_with_a_context_schema_gets_its_context(serving):
    class Context(BaseModel):
        tone: str

    def tell(state: Notes, runtime: Runtime[Context]) -> dict[str, Any]:
        return {"notes": [runtime.context.tone]}

    client = serving({"agent": one_node(Notes, tell, context_schema=Context)})
    outcome = client.outcome("agent", config={"configurable": {"tone": "kind"}})
    missing = client.post("/runs/wait", json={"input": {}})

    assert outcome["output"]["values"]["notes"] == ["kind"]
    assert missing.status_code == 422
    assert missing.json() == "config.configurable: misses 'tone'"


def test_the_recursion_limit_ends_an_endless_graph(serving):
    builder = StateGraph(Notes)
    builder.add_node("again", lambda state: {"notes": [1]})
    builder.add_edge(START, "again")
    builder.add_edge("again", "again")
    client = serving({"endless": builder.compile()})

    outcome = client.outcome("endless", config={"recursion_limit": 3})

    assert outcome["output"]["description"].startswith("GraphRecursionError")


@pytest.mark.parametrize("answer", [None, 0, False, "", "yes", [], ["a"], {}, {"0" * 32: 1}])
def test_an_answer_of_any_json_type_arrives_as_it_is(serving, answer):
    client = serving({"asking": asking("first", "second")})

    asked = client.outcome("asking")
    client.resume(asked["run"], answer)
    again = client.wait(asked["run"])
    client.resume(asked["run"], "last")
    ended = client.wait(asked["run"])

    assert asked["output"] == {"type": "interrupt", "interrupt": "first"}
    assert again["output"] == {"type": "interrupt", "interrupt": "second"}
    assert ended["output"]["values"]["notes"] == [answer, "last"]


def test_every_change_of_status_has_a_time_of_its_own(serving):
    client = serving({"asking": asking(1, 2, 3)})
    run = client.outcome("asking")["run"]
    seen = [(run["status"], run["updated_at"])]

    for _ in range(3):
        resumed = client.post(f"/runs/{run['run_id']}", json="yes").json()
        settled = client.wait(run)["run"]
        seen += [(each["status"], each["updated_at"]) for each in (resumed, settled)]

    times = [moment for _, moment in seen]
    assert [status for status, _ in seen] == ["interrupted", "pending"] * 3 + ["success"]
    assert times == sorted(set(times))


def test_questions_asked_at_once_are_one_payload_with_an_answer_for_each(serving):
    client = serving({"many": fan_out(3)})

    asked = client.outcome("many")
    payload = asked["output"]["interrupt"]
    answers = {id_: value["item"] * 10 for id_, value in payload["interrupts"].items()}
    client.resume(asked["run"], answers)
    ended = client.wait(asked["run"])

    assert payload["interrupt_type"] == "multiple"
    assert ended["output"]["values"]["notes"] == [[0, 0], [1, 10], [2, 20]]


def test_questions_asked_at_once_must_all_be_answered(serving):
    client = serving({"many": fan_out(2)})

    asked = client.outcome("many")
    one, other = asked["output"]["interrupt"]["interrupts"]
    answer = client.post(f"/runs/{asked['run']['run_id']}", json={one: 1})

    assert answer.status_code == 422
    assert one in answer.json()
    assert other in answer.json()
    assert client.wait(asked["run"])["run"]["status"] == "interrupted"


def test_a_breakpoint_is_a_question_that_any_answer_answers(serving):
    builder = StateGraph(Text)
    builder.add_node("node", lambda state: {"text": "done"})
    builder.add_edge(START, "node")
    graph = builder.compile(checkpointer=InMemorySaver(), interrupt_before=["node"])
    client = serving({"agent": graph})

    asked = client.outcome("agent", input={"text": "hi"})
    client.resume(asked["run"], "go")

    assert asked["output"]["interrupt"] == {"interrupt_type": "breakpoint", "next": ["node"]}
    assert client.wait(asked["run"])["output"]["values"] == {"text": "done"}


def test_an_answer_that_does_not_fit_the_declared_type_is_refused_without_being_repeated(serving):
    approve = AgentInterrupt("approve", payload=str, resume={"type": "boolean"})
    client = serving([ServedAgent("agent", asking("ok?"), interrupts=[approve])])

    asked = client.outcome("agent")
    refused = client.post(f"/runs/{asked['run']['run_id']}", json="a secret")
    accepted = client.post(f"/runs/{asked['run']['run_id']}", json=False)

    assert (refused.status_code, refused.json()) == (422, "resume: must be of type boolean")
    assert accepted.status_code == 200


def test_an_answer_that_the_graph_refuses_itself_can_be_given_again(serving):
    from langgraph.types import interrupt  # noqa: PLC0415 - beside its use
    from pydantic import field_validator  # noqa: PLC0415 - beside its use

    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def even(cls, number: int) -> int:
            if number % 2:
                raise ValueError("odd")
            return number

    def ask(state: Notes) -> dict[str, Any]:
        return {"notes": [interrupt("a number?", response_schema=Even).number]}

    client = serving({"agent": one_node(Notes, ask)})

    asked = client.outcome("agent")
    no_number = client.post(f"/runs/{asked['run']['run_id']}", json={"number": "x"})
    client.resume(asked["run"], {"number": 1})
    again = client.wait(asked["run"])
    client.resume(asked["run"], {"number": 2})

    assert no_number.json() == "resume.number: must be of type integer"
    assert again["output"] == asked["output"]
    assert client.wait(asked["run"])["output"]["values"]["notes"] == [2]


def test_a_run_that_does_not_ask_cannot_be_resumed(serving):
    client = serving({"echo": echo()})

    run = client.outcome("echo", input={"text": "hi"})["run"]

    assert client.post(f"/runs/{run['run_id']}", json="yes").status_code == 409


def test_of_many_answers_at_once_exactly_one_wins(serving):
    client = serving({"asking": asking("one")})
    run = client.outcome("asking")["run"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: client.post(f"/runs/{run['run_id']}", json=n), range(16)))

    statuses = sorted(answer.status_code for answer in answers)
    [winner] = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    assert statuses == [200] + [409] * 15
    assert client.wait(run)["output"]["values"]["notes"] == [winner]


async def test_two_hundred_clients_wait_for_one_run(serving):
    gate, arrived = Gate(), itertools.count(1)

    def open_gate_at_the_last(request: SeenRequest) -> None:
        if request.path.endswith("/wait") and next(arrived) == 200:
            gate.open()

    client = serving({"held": held(gate)}, on_request=open_gate_at_the_last)
    run = client.create("held", input={"text": "hi"})
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)

    async with httpx.AsyncClient(base_url=client.server.url, timeout=30, limits=limits) as waiting:
        waits = [waiting.get(f"/runs/{run['run_id']}/wait") for _ in range(200)]
        outcomes = [wait.json() for wait in await asyncio.gather(*waits)]

    assert [each["output"]["values"]["notes"] for each in outcomes] == [["hi"]] * 200
    assert gate.passed == 1


@pytest.mark.parametrize("wait", ["true", "false"])
def test_a_cancelled_run_stops_and_says_so(serving, wait):
    gate = Gate()
    client = serving({"held": held(gate)})
    run = client.create("held", input={"text": "hi"})
    assert gate.entered.acquire(timeout=10)

    answer = client.post(f"/runs/{run['run_id']}/cancel", params={"wait": wait})
    outcome = client.wait(run)

    assert (answer.status_code, answer.content) == (204, b"")
    assert gate.cancelled.acquire(timeout=10)
    assert outcome["run"]["status"] == "error"
    assert (outcome["output"]["errcode"], outcome["output"]["description"]) == (
        2,
        "the run was cancelled",
    )


def test_a_cancelled_question_can_no_longer_be_answered(serving):
    client = serving({"asking": asking("one")})
    run = client.outcome("asking")["run"]

    client.post(f"/runs/{run['run_id']}/cancel").raise_for_status()

    assert client.post(f"/runs/{run['run_id']}", json="yes").status_code == 409
    assert client.wait(run)["run"]["status"] == "error"


def test_cancelling_a_finished_run_changes_nothing(serving):
    client = serving({"echo": echo()})
    run = client.outcome("echo", input={"text": "hi"})["run"]

    assert client.post(f"/runs/{run['run_id']}/cancel").status_code == 204
    assert client.get(f"/runs/{run['run_id']}").json() == run


def test_a_rolled_back_run_is_gone(serving):
    gate = Gate()
    client = serving({"held": held(gate)})
    run = client.create("held", input={"text": "hi"})
    assert gate.entered.acquire(timeout=10)

    client.post(
        f"/runs/{run['run_id']}/cancel", params={"wait": "true", "action": "rollback"}
    ).raise_for_status()

    assert client.get(f"/runs/{run['run_id']}").status_code == 404


def test_a_deleted_run_stops_and_is_gone(serving):
    gate = Gate()
    client = serving({"held": held(gate)})
    run = client.create("held", input={"text": "hi"})
    assert gate.entered.acquire(timeout=10)

    assert client.delete(f"/runs/{run['run_id']}").status_code == 204

    assert gate.cancelled.acquire(timeout=10)
    assert client.get(f"/runs/{run['run_id']}").status_code == 404


@pytest.mark.parametrize(("policy", "status"), [("cancel", "error"), ("continue", "success")])
def test_a_client_that_breaks_off_has_its_run_cancelled_unless_it_said_otherwise(
    serving, policy, status
):
    gate = Gate()
    client = serving({"held": held(gate)})

    with pytest.raises(httpx.ReadTimeout):
        client.post(
            "/runs/wait", json={"input": {"text": "hi"}, "on_disconnect": policy}, timeout=0.2
        )
    [run] = client.post("/runs/search", json={}).json()
    if policy == "cancel":
        assert gate.cancelled.acquire(timeout=10)
    gate.open()

    assert client.wait(run)["run"]["status"] == status


def test_a_client_that_joins_and_breaks_off_disturbs_nothing(serving):
    gate = Gate()
    client = serving({"held": held(gate)})
    run = client.create("held", input={"text": "hi"})

    with pytest.raises(httpx.ReadTimeout):
        client.get(f"/runs/{run['run_id']}/wait", timeout=0.2)
    gate.open()

    assert client.wait(run)["run"]["status"] == "success"


def test_runs_are_found_by_agent_status_and_metadata(serving):
    client = serving({"echo": echo(), "asking": asking("one")})
    echoed = client.outcome("echo", input={"text": "hi"}, metadata={"n": 1, "deep": {"a": [1]}})
    asked = client.outcome("asking", metadata={"n": True})

    def found(**query):
        return [run["run_id"] for run in client.post("/runs/search", json=query).json()]

    one, other = echoed["run"]["run_id"], asked["run"]["run_id"]
    assert found() == [other, one]
    assert found(limit=1) == [other]
    assert found(offset=1) == [one]
    assert found(offset=10**30) == []
    assert found(agent_id=client.server.agent_ids["echo"]) == [one]
    assert found(status="interrupted") == [other]
    assert found(metadata={"n": 1}) == [one]
    assert found(metadata={"deep": {"a": [1]}}) == [one]
    assert found(metadata={"deep": {"a": [2]}}) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", ""),
        ("DELETE", ""),
        ("GET", "/wait"),
        ("GET", "/stream"),
        ("POST", "/cancel"),
    ],
)
@pytest.mark.parametrize("run_id", ["3d0b5a5e-6c34-4e1f-9e28-3f0d3a2a5a10", "no-uuid"])
def test_an_unknown_run_is_not_found(serving, method, path, run_id):
    answer = serving({"echo": echo()}).request(method, f"/runs/{run_id}{path}", json="yes")

    assert answer.status_code == 404
    assert run_id in answer.json()


def test_a_run_that_is_to_start_later_does_not_start_now(serving):
    gate = Gate()
    client = serving({"held": held(gate)})

    run = client.create("held", input={"text": "hi"}, after_seconds=3600)
    client.post(f"/runs/{run['run_id']}/cancel", params={"wait": "true"}).raise_for_status()

    assert not gate.entered.acquire(blocking=False)
    assert client.wait(run)["run"]["status"] == "error"


def test_a_stateless_run_leaves_no_checkpoints_unless_they_are_to_be_kept(serving):
    saver = InMemorySaver()
    client = serving({"echo": echo()}, checkpointer=saver)

    client.outcome("echo", input={"text": "hi"})
    kept = client.outcome("echo", input={"text": "hi"}, on_completion="keep")["run"]
    thread = client.get(f"/threads/{kept['thread_id']}").json()
    client.delete(f"/runs/{client.outcome('echo', input={'text': 'x'})['run']['run_id']}")

    held_by = [name for name, spaces in saver.storage.items() if any(spaces.values())]
    assert held_by == [kept["thread_id"]]
    assert thread["values"] == {"text": "HI"}
