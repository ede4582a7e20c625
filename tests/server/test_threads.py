from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState
from support.graphs import Gate, Notes, asking, echo, failing, held, one_node

from acp_langgraph.acp.models import Thread, ThreadState

UNKNOWN = "3d0b5a5e-6c34-4e1f-9e28-3f0d3a2a5a10"


def counting() -> Any:
    return one_node(Notes, lambda state: {"notes": [len(state.get("notes", []))]})


def notes(outcome: dict[str, Any]) -> list[Any]:
    return outcome["output"]["values"]["notes"]


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def client(serving, gate):
    return serving(
        {
            "counting": counting(),
            "held": held(gate),
            "asking": asking("one"),
            "failing": failing(),
            "echo": echo(),
        },
        checkpointer=InMemorySaver(),
    )


def runs(thread_id: str) -> str:
    return f"/threads/{thread_id}/runs"


def test_a_thread_is_created_under_a_new_id_or_the_given_one(client):
    given = str(uuid4())

    new = Thread.model_validate(client.post("/threads", json={"metadata": {"a": 1}}).json())
    own = Thread.model_validate(client.post("/threads", json={"thread_id": given}).json())

    assert (new.status, new.metadata) == ("idle", {"a": 1})
    assert own.thread_id == given
    assert client.get(f"/threads/{given}").json()["thread_id"] == given


def test_a_thread_is_not_created_twice(client):
    thread_id = client.thread()

    refused = client.post("/threads", json={"thread_id": thread_id})
    found = client.post("/threads", json={"thread_id": thread_id, "if_exists": "do_nothing"})

    assert refused.status_code == 409
    assert found.json() == client.get(f"/threads/{thread_id}").json()


def test_runs_on_a_thread_share_its_state(client):
    thread_id = client.thread()

    for _ in range(3):
        outcome = client.outcome("counting", runs(thread_id), input={})

    assert notes(outcome) == [0, 1, 2]
    assert outcome["run"]["thread_id"] == thread_id
    assert client.get(f"/threads/{thread_id}").json()["values"] == {"notes": [0, 1, 2]}


def test_a_client_cannot_choose_where_checkpoints_go(client):
    thread_id = client.thread()
    client.outcome("counting", runs(thread_id))
    [first, *_] = client.get(f"/threads/{thread_id}/history").json()
    client.outcome("counting", runs(thread_id))
    theirs = first["checkpoint"]

    outcome = client.outcome("counting", runs(thread_id), config={"configurable": theirs})

    assert notes(outcome) == [0, 1, 2]
    assert client.get(f"/threads/{thread_id}").json()["values"] == {"notes": [0, 1, 2]}


def test_agents_without_a_checkpointer_of_their_own_share_threads(client):
    thread_id = client.thread()

    client.outcome("counting", runs(thread_id), input={})
    outcome = client.outcome("failing", runs(thread_id), input={"text": "x"})
    again = client.outcome("counting", runs(thread_id), input={})

    assert outcome["run"]["status"] == "error"
    assert notes(again) == [0, 1]


@pytest.mark.parametrize(
    ("agent", "status"),
    [("counting", "idle"), ("asking", "interrupted"), ("failing", "error")],
)
def test_a_thread_says_how_its_last_run_left_it(client, agent, status):
    thread_id = client.thread()

    client.outcome(agent, runs(thread_id), input={"text": "x"})

    assert client.get(f"/threads/{thread_id}").json()["status"] == status


def test_a_thread_is_busy_while_a_run_is_pending(client, gate):
    thread_id = client.thread()

    client.create("held", runs(thread_id), input={"text": "x"})
    assert gate.entered.acquire(timeout=10)

    assert client.get(f"/threads/{thread_id}").json()["status"] == "busy"


def test_a_run_on_a_missing_thread_is_refused_unless_it_may_create_it(client):
    thread_id = str(uuid4())

    refused = client.post(f"{runs(thread_id)}/wait", json={"input": {"text": "x"}})
    outcome = client.outcome("counting", runs(thread_id), input={}, if_not_exists="create")

    assert refused.status_code == 404
    assert outcome["run"]["thread_id"] == thread_id
    assert client.get(f"/threads/{thread_id}").status_code == 200


def test_a_question_on_a_thread_is_answered_on_the_same_run(client):
    thread_id = client.thread()

    asked = client.outcome("asking", runs(thread_id))
    client.resume(asked["run"], None, runs(thread_id))
    ended = client.wait(asked["run"], runs(thread_id))

    assert ended["run"]["run_id"] == asked["run"]["run_id"]
    assert notes(ended) == [None]


def test_a_second_run_on_a_busy_thread_is_rejected(client, gate):
    thread_id = client.thread()
    client.create("held", runs(thread_id), input={"text": "x"})

    answer = client.post(runs(thread_id), json={"input": {}})

    assert answer.status_code == 409
    assert thread_id in answer.json()


def test_a_thread_whose_run_asks_is_busy_too(client):
    thread_id = client.thread()
    client.outcome("asking", runs(thread_id))

    assert client.post(runs(thread_id), json={"input": {}}).status_code == 409


def test_enqueued_runs_go_one_after_another_in_order(client, gate):
    thread_id = client.thread()
    first = client.create("held", runs(thread_id), input={"text": "a"})
    queued = [
        client.create("held", runs(thread_id), input={"text": text}, multitask_strategy="enqueue")
        for text in "bcd"
    ]
    assert gate.entered.acquire(timeout=10)
    assert not gate.entered.acquire(blocking=False)

    gate.open()
    outcomes = [client.wait(run, runs(thread_id)) for run in [first, *queued]]

    assert notes(outcomes[-1]) == ["a", "b", "c", "d"]


def test_a_queued_run_can_be_cancelled_before_it_starts(client, gate):
    thread_id = client.thread()
    first = client.create("held", runs(thread_id), input={"text": "a"})
    second = client.create(
        "held", runs(thread_id), input={"text": "b"}, multitask_strategy="enqueue"
    )

    client.post(f"{runs(thread_id)}/{second['run_id']}/cancel").raise_for_status()
    gate.open()

    assert client.wait(second, runs(thread_id))["output"]["errcode"] == 2
    assert notes(client.wait(first, runs(thread_id))) == ["a"]


def test_an_enqueued_run_waits_until_a_question_is_answered(client):
    thread_id = client.thread()
    asked = client.outcome("asking", runs(thread_id))
    queued = client.create("counting", runs(thread_id), input={}, multitask_strategy="enqueue")

    before = client.get(f"{runs(thread_id)}/{queued['run_id']}").json()
    client.resume(asked["run"], "yes", runs(thread_id))

    assert before["status"] == "pending"
    assert notes(client.wait(queued, runs(thread_id))) == ["yes", 1]


def test_a_run_that_interrupts_cancels_what_is_in_its_way(client, gate):
    thread_id = client.thread()
    first = client.create("held", runs(thread_id), input={"text": "a"})
    assert gate.entered.acquire(timeout=10)

    outcome = client.outcome("counting", runs(thread_id), input={}, multitask_strategy="interrupt")

    assert gate.cancelled.acquire(timeout=10)
    assert client.wait(first, runs(thread_id))["output"]["errcode"] == 2
    assert outcome["run"]["status"] == "success"


def test_a_run_that_rolls_back_starts_from_before_what_was_in_its_way(client):
    thread_id = client.thread()
    client.outcome("counting", runs(thread_id), input={})
    asked = client.outcome("asking", runs(thread_id), input={"text": "to be forgotten"})

    outcome = client.outcome("counting", runs(thread_id), input={}, multitask_strategy="rollback")

    assert outcome["output"]["values"] == {"notes": [0, 1]}
    assert client.get(f"{runs(thread_id)}/{asked['run']['run_id']}").status_code == 404


def test_rolling_back_the_first_run_empties_the_thread(client):
    thread_id = client.thread()
    asked = client.outcome("asking", runs(thread_id), input={"text": "x"})

    client.post(
        f"{runs(thread_id)}/{asked['run']['run_id']}/cancel",
        params={"action": "rollback", "wait": "true"},
    ).raise_for_status()

    thread = client.get(f"/threads/{thread_id}").json()
    assert (thread["status"], thread["values"]) == ("idle", {})
    assert client.get(f"/threads/{thread_id}/history").json() == []


def test_runs_are_listed_newest_first_on_their_thread_alone(client):
    thread_id, other = client.thread(), client.thread()
    made = [client.outcome("counting", runs(thread_id))["run"]["run_id"] for _ in range(3)]
    client.outcome("counting", runs(other))

    def listed(**query):
        return [run["run_id"] for run in client.get(runs(thread_id), params=query).json()]

    assert listed() == made[::-1]
    assert listed(limit=1, offset=1) == [made[1]]
    assert client.post("/runs/search", json={}).json() == []


def test_a_run_is_found_only_where_it_was_made(client):
    thread_id, other = client.thread(), client.thread()
    on_thread = client.outcome("counting", runs(thread_id))["run"]["run_id"]
    stateless = client.outcome("counting")["run"]["run_id"]

    assert client.get(f"/runs/{on_thread}").status_code == 404
    assert client.get(f"{runs(other)}/{on_thread}").status_code == 404
    assert client.get(f"{runs(thread_id)}/{stateless}").status_code == 404


def test_the_history_of_a_thread_is_listed_newest_first_and_paged(client):
    thread_id = client.thread()
    for _ in range(2):
        client.outcome("counting", runs(thread_id))

    whole = client.get(f"/threads/{thread_id}/history").json()
    states = [ThreadState.model_validate(each) for each in whole]
    before = {"before": whole[1]["checkpoint"]["checkpoint_id"], "limit": 2}

    assert states[0].values == {"notes": [0, 1]}
    assert client.get(f"/threads/{thread_id}/history", params=before).json() == whole[2:4]


def test_a_copied_thread_goes_its_own_way(client):
    thread_id = client.thread(metadata={"a": 1})
    client.outcome("counting", runs(thread_id))

    copy = client.post(f"/threads/{thread_id}/copy").json()
    on_copy = client.outcome("counting", runs(copy["thread_id"]))
    original = client.get(f"/threads/{thread_id}").json()

    assert (copy["metadata"], copy["values"]) == ({"a": 1}, {"notes": [0]})
    assert notes(on_copy) == [0, 1]
    assert original["values"] == {"notes": [0]}


def test_metadata_is_merged(client):
    thread_id = client.thread(metadata={"a": 1, "b": 1})

    patched = client.patch(f"/threads/{thread_id}", json={"metadata": {"b": 2, "c": 3}}).json()

    assert patched["metadata"] == {"a": 1, "b": 2, "c": 3}


def test_values_are_written_through_the_graphs_reducers(client):
    thread_id = client.thread()
    client.outcome("counting", runs(thread_id))

    patched = client.patch(f"/threads/{thread_id}", json={"values": {"notes": ["mine"]}}).json()

    assert patched["values"] == {"notes": [0, "mine"]}
    assert notes(client.outcome("counting", runs(thread_id))) == [0, "mine", 2]


def test_values_can_be_written_from_an_earlier_checkpoint(client):
    thread_id = client.thread()
    for _ in range(2):
        client.outcome("counting", runs(thread_id))
    history = client.get(f"/threads/{thread_id}/history").json()
    [after_first] = [each for each in history if each["values"] == {"notes": [0]}][:1]

    patched = client.patch(
        f"/threads/{thread_id}",
        json={"values": {"notes": ["b"]}, "checkpoint": after_first["checkpoint"]},
    ).json()

    assert patched["values"] == {"notes": [0, "b"]}


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"values": {"notes": 1}}, 422),
        ({"values": "text"}, 422),
        ({"values": {"notes": []}, "checkpoint": {"checkpoint_id": UNKNOWN}}, 404),
    ],
)
def test_values_that_cannot_be_written_are_refused(client, patch, status):
    thread_id = client.thread()
    client.outcome("counting", runs(thread_id))

    assert client.patch(f"/threads/{thread_id}", json=patch).status_code == status


def test_messages_are_written_to_those_of_the_state(serving):
    graph = one_node(MessagesState, lambda state: {"messages": [AIMessage("hello")]})
    client = serving({"agent": graph})
    thread_id = client.thread()
    client.outcome("agent", runs(thread_id), input={"messages": []})

    patched = client.patch(
        f"/threads/{thread_id}", json={"messages": [{"role": "user", "content": "hi"}]}
    ).json()

    assert [each["content"] for each in patched["values"]["messages"]] == ["hello", "hi"]
    assert patched["values"]["messages"][1]["type"] == "human"


def test_messages_cannot_be_written_where_the_state_has_none(client):
    thread_id = client.thread()
    client.outcome("counting", runs(thread_id))

    answer = client.patch(
        f"/threads/{thread_id}", json={"messages": [{"role": "user", "content": "hi"}]}
    )

    assert (answer.status_code, answer.json()) == (
        422,
        "messages: the state of this thread has none",
    )


def test_a_thread_on_which_nothing_ran_has_no_state_to_write(client):
    answer = client.patch(f"/threads/{client.thread()}", json={"values": {"notes": []}})

    assert answer.status_code == 422


def test_a_thread_is_deleted_with_its_runs_and_checkpoints(client):
    thread_id = client.thread()
    run = client.outcome("counting", runs(thread_id))["run"]["run_id"]

    assert client.delete(f"/threads/{thread_id}").status_code == 204

    assert client.get(f"/threads/{thread_id}").status_code == 404
    assert client.get(f"{runs(thread_id)}/{run}").status_code == 404
    anew = client.outcome("counting", runs(thread_id), if_not_exists="create")
    assert notes(anew) == [0]


def test_a_busy_thread_is_not_deleted(client):
    thread_id = client.thread()
    client.create("held", runs(thread_id), input={"text": "x"})

    assert client.delete(f"/threads/{thread_id}").status_code == 422


def test_threads_are_found_by_status_metadata_and_values(client):
    one, other = client.thread(metadata={"n": 1}), client.thread(metadata={"n": 2})
    client.outcome("asking", runs(other))
    client.outcome("counting", runs(one))

    def found(**query):
        return [each["thread_id"] for each in client.post("/threads/search", json=query).json()]

    assert found() == [other, one]
    assert found(limit=1, offset=1) == [one]
    assert found(status="interrupted") == [other]
    assert found(metadata={"n": 1}) == [one]
    assert found(values={"notes": [0]}) == [one]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/history"),
        ("POST", "/copy"),
        ("GET", "/runs"),
        ("POST", "/runs"),
        ("POST", "/runs/wait"),
        ("POST", "/runs/stream"),
        ("GET", f"/runs/{UNKNOWN}"),
        ("POST", f"/runs/{UNKNOWN}/cancel"),
    ],
)
@pytest.mark.parametrize("thread_id", [UNKNOWN, "no-uuid"])
def test_an_unknown_thread_is_not_found(client, thread_id, method, path):
    answer = client.request(method, f"/threads/{thread_id}{path}", json={})

    assert answer.status_code == 404
    assert isinstance(answer.json(), str)
