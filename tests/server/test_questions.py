"""An answer that a graph could not use is refused before the graph is given it."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt
from pydantic import BaseModel
from support.graphs import Notes, asking, one_node


def review(name: str, *allowed: str) -> dict[str, Any]:
    return {"action_name": name, "allowed_decisions": list(allowed)}


# As LangChain 1's HumanInTheLoopMiddleware asks.
BATCH = {
    "action_requests": [
        {"name": "send_mail", "args": {"to": "ann@example.org"}, "description": "Look first"},
        {"name": "ask_user", "args": {"question": "which?"}, "description": "..."},
    ],
    "review_configs": [
        review("send_mail", "approve", "edit", "reject"),
        review("ask_user", "respond"),
    ],
}
EDIT = {"type": "edit", "edited_action": {"name": "send_mail", "args": {"to": "bob@example.org"}}}
RESPOND = {"type": "respond", "message": "the blue one"}


@pytest.mark.parametrize(
    "answer",
    [
        {"decisions": [EDIT]},
        {"decisions": [EDIT, RESPOND, RESPOND]},
        {"decisions": [RESPOND, EDIT]},
        {"decisions": [EDIT, {"type": "approve"}]},
        {"decisions": [{"type": "edit"}, RESPOND]},
        {"decisions": [EDIT, {"type": "respond"}]},
        {"decisions": []},
        {},
        "approve",
    ],
)
def test_decisions_of_another_number_or_kind_are_refused_and_the_question_stays(serving, answer):
    client = serving({"agent": asking(BATCH)})
    asked = client.outcome("agent", input={})

    refused = client.post(f"/runs/{asked['run']['run_id']}", json=answer)
    client.resume(asked["run"], {"decisions": [EDIT, RESPOND]})

    assert refused.status_code == 422
    assert refused.json().startswith("resume")
    assert client.wait(asked["run"])["run"]["status"] == "success"


@pytest.mark.parametrize("decision", [{"type": "approve"}, EDIT, {"type": "reject"}])
def test_every_decision_that_is_allowed_is_taken(serving, decision):
    client = serving({"agent": asking(BATCH)})
    asked = client.outcome("agent", input={})

    client.resume(asked["run"], {"decisions": [decision, RESPOND]})

    assert client.wait(asked["run"])["run"]["status"] == "success"


class Approval(BaseModel):
    approve: bool


def fan_out(done: list[str]) -> Any:
    class State(TypedDict):
        notes: Annotated[list[Any], operator.add]

    def ask(item: str) -> dict[str, Any]:
        interrupt({"item": item}, response_schema=Approval)
        done.append(item)
        return {"notes": [item]}

    builder = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_conditional_edges(START, lambda _: [Send("ask", each) for each in ("a", "b")])
    return builder.compile()


def test_a_good_answer_is_not_handed_on_beside_a_bad_one(serving):
    done: list[str] = []
    client = serving({"agent": fan_out(done)})
    asked = client.outcome("agent", input={"notes": []})
    first, second = asked["output"]["interrupt"]["interrupts"]

    refused = client.post(
        f"/runs/{asked['run']['run_id']}", json={first: {"approve": True}, second: {"approve": "?"}}
    )
    done_before = list(done)
    client.resume(asked["run"], {first: {"approve": True}, second: {"approve": False}})

    assert (refused.status_code, done_before) == (422, [])
    assert client.wait(asked["run"])["run"]["status"] == "success"
    assert sorted(done) == ["a", "b"]


def test_whoever_asks_for_a_run_is_told_what_fits_its_question(serving):
    def ask(state: Notes) -> dict[str, Any]:
        return {"notes": [interrupt("publish?", response_schema=Approval).approve]}

    done: list[str] = []
    graphs = {"one": one_node(Notes, ask), "many": fan_out(done), "plain": asking("?")}
    client = serving(graphs)

    one, many, plain = (
        client.outcome(name, input={})["output"] for name in ("one", "many", "plain")
    )

    assert one["response_schema"]["properties"]["approve"]["type"] == "boolean"
    assert many["response_schema"]["required"] == list(many["interrupt"]["interrupts"])
    assert plain == {"type": "interrupt", "interrupt": "?"}


def request(**allowed: bool) -> dict[str, Any]:
    return {
        "action_request": {"action": "run", "args": {"command": "ls"}},
        "config": {f"allow_{name}": value for name, value in allowed.items()},
        "description": "Look first",
    }


INBOX = [request(accept=True, edit=True, respond=False, ignore=True)]
CHANGED = {"type": "edit", "args": {"action": "run", "args": {"command": "ls -l"}}}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [{"type": "response", "args": "no"}],
        [{"type": "edit", "args": {"action": "run"}}],
        [{"type": "accept"}, {"type": "accept"}],
        {"type": "accept", "args": None},
        "yes",
    ],
)
def test_a_response_that_agent_inbox_would_not_send_is_refused(serving, answer):
    client = serving({"agent": asking(INBOX)})
    asked = client.outcome("agent", input={})

    refused = client.post(f"/runs/{asked['run']['run_id']}", json=answer)

    assert refused.status_code == 422
    assert client.get(f"/runs/{asked['run']['run_id']}").json()["status"] == "interrupted"


@pytest.mark.parametrize("question", [INBOX, INBOX[0]])
@pytest.mark.parametrize("response", [{"type": "accept", "args": None}, CHANGED])
def test_a_response_of_agent_inbox_is_taken(serving, question, response):
    client = serving({"agent": asking(question)})
    asked = client.outcome("agent", input={})

    client.resume(asked["run"], [response])

    assert client.wait(asked["run"])["run"]["status"] == "success"
