from __future__ import annotations

import json

import httpx
import pytest
from langgraph.config import get_stream_writer
from support.graphs import Gate, Notes, asking, failing, held, one_node, streaming

from acp_langgraph.acp.models import (
    CustomRunResultUpdate,
    RunOutputStream,
    ValueRunErrorUpdate,
    ValueRunInterruptUpdate,
    ValueRunResultUpdate,
)
from acp_langgraph.server import Limits, serve


def events(lines):
    """The events of a stream, read by the rules for server-sent events."""
    fields = {}
    for line in lines:
        if not line:
            if fields:
                yield RunOutputStream.model_validate({**fields, "data": json.loads(fields["data"])})
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def streamed(client, agent, **body):
    sent = {"agent_id": client.server.agent_ids[agent], **body}
    answer = client.post("/runs/stream", json=sent).raise_for_status()
    assert answer.headers["content-type"].startswith("text/event-stream")
    return list(events(answer.text.split("\n")))


def opened() -> Gate:
    gate = Gate()
    gate.open()
    return gate


def test_values_are_streamed_until_the_final_ones(serving):
    found = streamed(serving({"agent": streaming(opened())}), "agent", input={"text": "hi"})

    assert all(isinstance(each.data, ValueRunResultUpdate) for each in found)
    assert [each.data.values["notes"] for each in found] == [[], [1], [1, 2], [1, 2]]
    assert [each.data.status for each in found] == ["pending"] * 3 + ["success"]


def test_custom_updates_are_streamed_if_asked_for(serving):
    client = serving({"agent": streaming(opened())})

    *updates, end = streamed(client, "agent", stream_mode="custom")

    assert all(isinstance(each.data, CustomRunResultUpdate) for each in updates)
    assert [each.data.update for each in updates] == [
        {"step": 1},
        {"step": 2, "line": "a\u2028b\n"},
    ]
    assert end.data.status == "success"


def test_both_modes_can_be_streamed_at_once(serving):
    client = serving({"agent": streaming(opened())})

    found = streamed(client, "agent", input={"text": "hi"}, stream_mode=["values", "custom"])

    assert [each.data.type for each in found] == [
        "values",
        "custom",
        "values",
        "custom",
        "values",
        "values",
    ]


def test_event_ids_increase_over_streams(serving):
    client = serving({"agent": streaming(opened())})

    ids = [int(each.id) for _ in range(2) for each in streamed(client, "agent")]

    assert ids == sorted(set(ids))


def test_a_question_ends_the_stream(serving):
    *_, end = streamed(serving({"agent": asking({"ok": "?"})}), "agent")

    assert isinstance(end.data, ValueRunInterruptUpdate)
    assert (end.data.interrupt, end.data.status) == ({"ok": "?"}, "interrupted")


def test_an_error_ends_the_stream(serving):
    *_, end = streamed(serving({"agent": failing()}), "agent", input={"text": "x"})

    assert isinstance(end.data, ValueRunErrorUpdate)
    assert (end.data.errcode, end.data.status) == (1, "error")


def test_joining_gives_what_comes_from_then_on(serving):
    gate = Gate()
    client = serving({"agent": streaming(gate)})
    run = client.create("agent", input={"text": "hi"}, stream_mode=["custom"])
    assert gate.entered.acquire(timeout=10)

    with client.stream("GET", f"/runs/{run['run_id']}/stream") as joined:
        lines = joined.iter_lines()
        assert next(lines) == ": stream"
        gate.open()
        found = [each.data.type for each in events(lines)]

    assert found == ["custom", "custom", "values"]


def test_joining_a_finished_run_gives_its_end(serving):
    client = serving({"agent": streaming(opened())})
    run = client.outcome("agent")["run"]

    answer = client.get(f"/runs/{run['run_id']}/stream")

    [end] = events(answer.text.split("\n"))
    assert (end.data.values["notes"], end.data.status) == ([1, 2], "success")


def test_runs_on_threads_are_streamed_too(serving):
    client = serving({"agent": streaming(opened())})
    path = f"/threads/{client.thread()}/runs"

    created = client.post(f"{path}/stream", json={"input": {"text": "hi"}})
    [run] = client.get(path).json()
    joined = client.get(f"{path}/{run['run_id']}/stream")

    assert [each.data.status for each in events(created.text.split("\n"))][-1] == "success"
    assert [each.data.status for each in events(joined.text.split("\n"))] == ["success"]


def test_an_idle_stream_gives_signs_of_life(serving):
    gate = Gate()
    client = serving({"agent": held(gate)}, limits=Limits(keep_alive=0.01))

    with client.stream("POST", "/runs/stream", json={"input": {"text": "hi"}}) as answer:
        lines = answer.iter_lines()
        while next(lines) != ": keep-alive":
            pass
        gate.open()
        *_, end = events(lines)

    assert end.data.status == "success"


@pytest.mark.parametrize(("policy", "status"), [("cancel", "error"), ("continue", "success")])
def test_leaving_the_stream_of_a_new_run_cancels_it_unless_it_said_otherwise(
    serving, policy, status
):
    gate = Gate()
    client = serving({"agent": held(gate)})

    with client.stream(
        "POST", "/runs/stream", json={"input": {"text": "hi"}, "on_disconnect": policy}
    ):
        assert gate.entered.acquire(timeout=10)
    if policy == "cancel":
        assert gate.cancelled.acquire(timeout=10)
    gate.open()
    [run] = client.post("/runs/search", json={}).json()

    assert client.wait(run)["run"]["status"] == status


def test_an_update_that_is_no_object_is_sent_as_the_value_of_one(serving):
    found = streamed(serving({"agent": writing("fine", 1)}), "agent", stream_mode="custom")

    assert [each.data.update for each in found[:-1]] == [{"value": "fine"}, {"value": 1}]


def test_an_update_that_is_no_json_is_left_out(serving):
    client = serving({"agent": writing(object(), {"a": 1})})

    found = streamed(client, "agent", stream_mode="custom")

    assert [each.data.type for each in found] == ["custom", "values"]


def reconnected(client, run, last):
    answer = client.get(f"/runs/{run['run_id']}/stream", headers={"last-event-id": last})
    return list(events(answer.raise_for_status().text.split("\n")))


def test_a_client_that_comes_back_gets_what_it_missed(serving):
    client = serving({"agent": streaming(opened())})
    first, *rest = streamed(client, "agent", stream_mode=["values", "custom"])
    [run] = client.post("/runs/search", json={}).json()

    assert reconnected(client, run, first.id) == rest


def test_a_client_that_had_everything_gets_nothing_more(serving):
    client = serving({"agent": streaming(opened())})
    *_, end = streamed(client, "agent")
    [run] = client.post("/runs/search", json={}).json()

    assert reconnected(client, run, end.id) == []


def test_a_client_that_comes_back_early_gets_the_missed_and_the_new_once_each(serving):
    gate = Gate()
    client = serving({"agent": streaming(gate)})
    run = client.create("agent", input={"text": "hi"}, stream_mode=["values", "custom"])
    path = f"/runs/{run['run_id']}/stream"
    with client.stream("GET", path) as first, client.stream("GET", path) as again:
        assert gate.entered.acquire(timeout=10)
        gate.open()
        seen = list(events(first.iter_lines()))
        late = list(events(again.iter_lines()))

    assert late == seen[-len(late) :]
    assert reconnected(client, run, "0")[-len(seen) :] == seen  # it may have begun before them
    assert reconnected(client, run, seen[0].id) == seen[1:]


def test_what_was_missed_is_told_by_the_next_server_on_the_same_database(serving, tmp_path):
    with serve({"agent": streaming(opened())}, database=tmp_path / "db") as server:
        body = {"stream_mode": ["values", "custom"]}
        text = httpx.post(f"{server.url}/runs/stream", json=body).text
    seen = list(events(text.split("\n")))
    client = serving({"agent": streaming(opened())}, database=tmp_path / "db")
    [run] = client.post("/runs/search", json={}).json()

    later = streamed(client, "agent")

    assert reconnected(client, run, seen[0].id) == seen[1:]
    assert int(later[0].id) > int(seen[-1].id)


def test_an_answered_run_streams_on_and_ends_anew(serving):
    client = serving({"agent": asking("one")})
    *_, asked = streamed(client, "agent")
    [run] = client.post("/runs/search", json={}).json()

    client.resume(run, "yes")
    client.wait(run)
    [end] = reconnected(client, run, "no id of ours")
    missed = reconnected(client, run, asked.id)

    assert (asked.data.type, end.data.status) == ("interrupt", "success")
    assert missed[-1] == end
    assert asked not in missed


def test_a_cancelled_question_is_no_longer_the_end_of_the_stream(serving):
    client = serving({"agent": asking("one")})
    streamed(client, "agent")
    [run] = client.post("/runs/search", json={}).json()

    client.post(f"/runs/{run['run_id']}/cancel").raise_for_status()
    [end] = reconnected(client, run, "no id of ours")

    assert (end.data.type, end.data.errcode) == ("error", 2)


def test_a_last_event_that_is_no_number_is_ignored(serving):
    client = serving({"agent": streaming(opened())})
    run = client.outcome("agent")["run"]

    [end] = reconnected(client, run, "x" * 100)

    assert end.data.status == "success"


def writing(*updates):
    def write(state):
        for update in updates:
            get_stream_writer()(update)
        return {"notes": [1]}

    return one_node(Notes, write)
