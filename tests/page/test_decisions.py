"""Questions about what tools may do, answered in a real browser: of LangChain's middleware and Agent Inbox."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from support.page_agents import inbox, with_middleware

pytestmark = pytest.mark.browser

ASK = {"input": {"messages": [{"role": "user", "content": "go"}]}}


def asked(server: Any, body: dict[str, Any]) -> dict[str, Any]:
    done = httpx.post(f"{server.url}/runs/wait", json=body, timeout=30).json()
    assert done["run"]["status"] == "interrupted", done
    return done["run"]


def decide(page: Page, action: str, word: str) -> Locator:
    part = page.get_by_role("region", name=action)
    part.get_by_text(word, exact=True).click()
    return part


def values_of(server: Any, run: dict[str, Any]) -> Any:
    return httpx.get(f"{server.url}/runs/{run['run_id']}/wait").json()["output"]["values"]


def send(page: Page) -> None:
    page.get_by_role("button", name="Send answer").click()
    expect(page.get_by_text("Nobody asks anything")).to_be_visible()


@pytest.mark.parametrize("mode", ["batched", "per_call"])
def test_tool_calls_are_approved_edited_rejected_and_answered(serving, opened, mode):
    server = serving({"agent": with_middleware(mode=mode)})
    page = opened(server, "#/inbox")
    sent = {}

    for word in ("Approve", "Edit", "Reject"):
        run = asked(server, ASK)
        part = decide(page, "send_mail", word)
        if word == "Edit":
            part.get_by_label("to", exact=True).fill("bob@example.org")
        if word == "Reject":
            part.get_by_label("Reason").fill("not today")
        decide(page, "ask_user", "Respond").get_by_label("Response").fill("the blue one")
        send(page)
        said = {each.get("name"): each["content"] for each in values_of(server, run)["messages"]}
        sent[word] = said["send_mail"]
        assert "the blue one" in said["ask_user"]

    assert sent["Approve"] == "sent to ann@example.org: hi"
    assert sent["Edit"].endswith("sent to bob@example.org: hi")
    assert "not today" in sent["Reject"]


def test_only_what_is_allowed_can_be_chosen_and_all_must_be_decided(serving, opened):
    server = serving({"agent": with_middleware()})
    run = asked(server, ASK)
    page = opened(server, "#/inbox")

    part = page.get_by_role("region", name="ask_user")
    expect(part.get_by_role("radio")).to_have_count(1)
    decide(page, "send_mail", "Approve")
    page.get_by_role("button", name="Send answer").click()

    expect(part.get_by_text("choose what is to be done")).to_be_visible()
    status = httpx.get(f"{server.url}/runs/{run['run_id']}").json()["status"]
    assert status == "interrupted"


def test_a_request_of_agent_inbox_gets_a_response_of_its_shape(serving, opened):
    server = serving({"agent": inbox()})
    page = opened(server, "#/inbox")
    given = {}

    for word in ("Accept", "Edit", "Respond", "Ignore"):
        run = asked(server, {"input": {"text": "x"}})
        part = decide(page, "run_command", word)
        if word == "Edit":
            part.get_by_label("command").fill("ls -l")
        if word == "Respond":
            part.get_by_label("Response").fill("better not")
        send(page)
        (given[word],) = values_of(server, run)["answers"]

    changed = {"action": "run_command", "args": {"command": "ls -l", "times": 1}}
    assert given == {
        "Accept": {"type": "accept", "args": None},
        "Edit": {"type": "edit", "args": changed},
        "Respond": {"type": "response", "args": "better not"},
        "Ignore": {"type": "ignore", "args": None},
    }


def test_an_edit_that_the_server_refuses_is_told_beside_the_field(serving, opened):
    server = serving({"agent": with_middleware(mode="per_call")})
    asked(server, ASK)
    page = opened(server, "#/inbox")

    box = page.get_by_role("group", name="Answer as").first
    decide(page, "send_mail", "Edit")
    box.get_by_text("JSON").click()
    text = page.get_by_label("Answer as JSON")
    text.fill('{"type": "edit", "edited_action": {"name": "send_mail", "args": {"to": 5}}}')
    decide(page, "ask_user", "Respond").get_by_label("Response").fill("blue")
    page.get_by_role("button", name="Send answer").click()

    expect(text).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Nothing was sent")).to_be_visible()
