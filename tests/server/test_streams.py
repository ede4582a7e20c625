from __future__ import annotations

import json

import pytest
from support.graphs import Gate, asking, failing, held, streaming

from acp_langgraph.acp.models import (
    CustomRunResultUpdate,
    RunOutputStream,
    ValueRunErrorUpdate,
    ValueRunInterruptUpdate,
    ValueRunResultUpdate,
)


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
    client = serving({"agent": held(gate)}, keep_alive=0.01)

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


def test_an_update_that_is_no_json_is_left_out(serving):
    from langgraph.config import get_stream_writer  # noqa: PLC0415 - beside its use
    from support.graphs import Notes, one_node  # noqa: PLC0415 - beside its use

    def write(state):
        get_stream_writer()(object())
        get_stream_writer()("fine")
        return {"notes": [1]}

    client = serving({"agent": one_node(Notes, write)})

    found = streamed(client, "agent", stream_mode="custom")

    assert [each.data.type for each in found] == ["custom", "values"]
