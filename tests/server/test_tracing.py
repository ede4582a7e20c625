"""Runs in the traces of their clients."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from langsmith import run_helpers
from opentelemetry import trace
from support.graphs import Text, one_node

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RUN = "20260101T000000000000Z0af76519-16cd-43dd-8448-eb211c80319c"


LET_GO = threading.Event()


def where(state: Text) -> dict[str, str]:
    """Says where in a trace it runs."""
    if state["text"] == "wait":
        LET_GO.wait(30)
    span = trace.get_current_span().get_span_context()
    run = run_helpers.get_current_run_tree()
    return {"text": f"{span.span_id:x} {'' if run is None else run.dotted_order}"}


def said(client: Any, **headers: str) -> str:
    sent = {"agent_id": client.server.agent_ids["where"], "input": {"text": ""}}
    answer = client.post("/runs/wait", json=sent, headers=headers).raise_for_status().json()
    return answer["output"]["values"]["text"]


def served(serving: Any, **settings: Any) -> Any:
    return serving({"where": one_node(Text, where)}, **settings)


def test_a_run_is_a_child_of_the_clients_span(serving):
    client = served(serving, trace=True)

    assert said(client, traceparent=PARENT).split() == ["b7ad6b7169203331"]
    assert said(client).split() == ["0"]


def test_a_run_is_a_child_of_the_clients_run_in_langsmith(serving, monkeypatch):
    monkeypatch.setattr("langsmith.utils.tracing_is_enabled", lambda: True)
    client = served(serving, trace=True)

    assert said(client, **{"langsmith-trace": RUN}).split()[1].startswith(RUN)
    assert said(client).split() == ["0"]


@pytest.mark.parametrize("nonsense", ["", "x", "20260101T00Z.", RUN[:-1], "." * 5000, RUN * 200])
def test_nonsense_about_a_trace_does_no_harm(serving, monkeypatch, nonsense):
    monkeypatch.setattr("langsmith.utils.tracing_is_enabled", lambda: True)
    client = served(serving, trace=True)

    assert said(client, traceparent=nonsense, **{"langsmith-trace": nonsense}).split() == ["0"]


def test_a_server_takes_over_no_trace_unless_told_to(serving, monkeypatch):
    monkeypatch.setattr("langsmith.utils.tracing_is_enabled", lambda: True)
    client = served(serving)

    assert said(client, traceparent=PARENT, **{"langsmith-trace": RUN}).split() == ["0"]


def test_a_run_that_waited_for_its_thread_keeps_its_own_place(serving):
    other = PARENT.replace("b7ad6b7169203331", "00000000000000ff")
    client = served(serving, trace=True)
    thread = client.thread()

    LET_GO.clear()
    runs = [
        client.post(
            f"/threads/{thread}/runs",
            json={
                "agent_id": client.server.agent_ids["where"],
                "input": {"text": text},
                "multitask_strategy": "enqueue",
            },
            headers={"traceparent": parent},
        ).json()
        for parent, text in ((PARENT, "wait"), (other, ""))
    ]
    LET_GO.set()

    told = [client.wait(run, f"/threads/{thread}/runs")["output"]["values"] for run in runs]
    assert [each["text"].split()[0] for each in told] == ["b7ad6b7169203331", "ff"]
