"""What a graph gives that is no JSON is its run's failure, with the place; and no run is lost to it."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel, SecretBytes, SecretStr
from support.graphs import one_node

MASK = "**********"
HALF = "half of a pair: \ud800"


class State(TypedDict, total=False):
    given: Any
    note: str


class Login(BaseModel):
    user: str = "ada"
    password: SecretStr = SecretStr("hunter2")


def giving(value: Any) -> Any:
    """Gives a value."""
    return one_node(State, lambda _: {"given": value})


def asking(value: Any) -> Any:
    """Asks with a value, and gives the answer."""
    return one_node(State, lambda _: {"given": interrupt(value)})


NO_JSON = {
    "half of a surrogate pair": ({"a": [{"b": HALF}]}, r"given.a.0.b", "surrogate"),
    "no number": ({"a": [float("nan")]}, "given.a.0", "nan"),
    "infinity": ({"a": float("-inf")}, "given.a", "inf"),
    "a secret": ({"a": SecretStr("hunter2")}, "given.a", "SecretStr"),
    "a secret of bytes": ([SecretBytes(b"hunter2")], "given.0", "SecretBytes"),
    "a model's secret": ({"a": Login()}, "given.a.password", "SecretStr"),
}
every_kind = pytest.mark.parametrize("kind", NO_JSON)


def is_told(output: dict[str, Any], place: str, says: str) -> bool:
    """Whether an output is an error that tells the place, and not the value."""
    said = output.get("description", "")
    shown = any(value in said for value in ("hunter2", "half of a pair", MASK))
    return output["type"] == "error" and place in said and says in said and not shown


@every_kind
def test_a_result_that_is_no_json_fails_the_run_with_its_place(serving, kind):
    value, place, says = NO_JSON[kind]
    client = serving({"giving": giving(value)})

    outcome = client.outcome("giving", input={})
    again = client.wait(outcome["run"])

    assert outcome["run"]["status"] == "error"
    assert is_told(outcome["output"], place, says)
    assert again == outcome


@every_kind
def test_a_question_that_is_no_json_fails_the_run_with_its_place(serving, kind):
    value, place, says = NO_JSON[kind]
    client = serving({"asking": asking({"given": value})})

    outcome = client.outcome("asking", input={})

    assert is_told(outcome["output"], place, says)


@every_kind
def test_a_stream_ends_with_the_same_error_and_shows_no_mask(serving, kind):
    value, place, says = NO_JSON[kind]
    client = serving({"giving": giving(value)})
    body = {"agent_id": client.server.agent_ids["giving"], "input": {}, "stream_mode": "values"}

    with client.stream("POST", "/runs/stream", json=body) as answer:
        text = answer.read().decode()

    updates = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert is_told(updates[-1], place, says)
    assert MASK not in text
    assert "hunter2" not in text


@pytest.mark.parametrize("path", ["", "/history"])
@pytest.mark.parametrize("value", [SecretStr("hunter2"), {"login": Login()}, [SecretBytes(b"x")]])
def test_a_thread_shows_no_mask_for_a_secret_in_its_state(serving, value, path):
    client = serving({"giving": giving(value)})
    thread = client.thread()
    client.outcome("giving", f"/threads/{thread}/runs", input={"note": "kept"})

    shown = client.get(f"/threads/{thread}{path}")

    assert shown.status_code == 200
    assert "kept" in shown.text
    assert MASK not in shown.text
    assert "hunter2" not in shown.text


def test_a_state_with_a_secret_that_is_no_output_is_served_as_ever(serving):
    class Input(BaseModel):
        password: SecretStr
        text: str = ""

    class Output(BaseModel):
        text: str

    def work(state: Input) -> dict[str, Any]:
        return {"text": f"{len(state.password.get_secret_value())} letters"}

    builder = StateGraph(Input, output_schema=Output)
    graph = builder.add_node("work", work).add_edge(START, "work").compile()
    client = serving({"keeper": graph})

    outcome = client.outcome("keeper", input={"password": "hunter2"})

    assert outcome["output"] == {"type": "result", "values": {"text": "7 letters"}}


@pytest.mark.parametrize("half", ["\ud800", "\udc00 and more", "x" * 5000 + "\ud800"])
def test_an_error_whose_words_cannot_be_written_ends_its_run_all_the_same(serving, half):
    def fail(_: State) -> State:
        raise ValueError(f"no ink {half}")

    client = serving({"failing": one_node(State, fail)})

    outcome = client.outcome("failing", input={})
    found = client.post("/runs/search", json={"status": "error"}).json()

    assert outcome["output"]["type"] == "error"
    assert outcome["output"]["description"].startswith("ValueError: no ink")
    assert [each["run_id"] for each in found] == [outcome["run"]["run_id"]]
    assert client.wait(outcome["run"]) == outcome


@pytest.mark.parametrize("place", ["input", "metadata", "configurable"])
@pytest.mark.parametrize("wire", [rb'"\ud800"', b'"\xed\xa0\x80"', b"NaN", b"-Infinity"])
def test_a_body_that_is_no_json_is_refused_and_nothing_begins(serving, place, wire):
    client = serving({"giving": giving(1)})
    data = {
        "input": {"input": {"given": "HERE"}},
        "metadata": {"metadata": {"given": "HERE"}},
        "configurable": {"config": {"configurable": {"given": "HERE"}}},
    }[place]

    answer = client.post("/runs", content=json.dumps(data).encode().replace(b'"HERE"', wire))

    assert answer.status_code == 422
    assert client.post("/runs/search", json={}).json() == []


@pytest.mark.parametrize("wire", [rb'"\ud800"', b'"\xed\xa0\x80"', b"NaN", b"-Infinity"])
def test_an_answer_that_is_no_json_is_refused_and_its_question_still_waits(serving, wire):
    client = serving({"asking": asking("well?")})
    run = client.outcome("asking", input={})["run"]

    refused = client.post(f"/runs/{run['run_id']}", content=b'{"a": %s}' % wire)
    client.resume(run, "yes")

    assert refused.status_code == 422
    assert client.wait(run)["output"]["values"] == {"given": "yes"}
