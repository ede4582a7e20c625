"""What the page does with keys, with texts that look like markup, and with other hosts: in a real browser."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect
from support.page_agents import HOSTILE, asking

from acp_langgraph.server import ServedAgent

pytestmark = pytest.mark.browser

KEY = "made up"


def test_what_an_agent_writes_is_text_and_never_markup(serving, opened):
    question = {"subject": HOSTILE, "body": HOSTILE, HOSTILE: [{HOSTILE: HOSTILE}, {HOSTILE: 1}]}
    agent = ServedAgent(HOSTILE, asking(question), description=HOSTILE)
    server = serving([agent])
    asked = httpx.post(f"{server.url}/runs/wait", json={"input": {"text": HOSTILE}}).json()["run"]
    views = ["", f"#/agents/{agent.id}", "#/runs", f"#/runs/{asked['run_id']}", "#/inbox"]
    page = opened(server)

    for view in views:
        page.goto(f"{server.url}/{view}")
        shown = page.get_by_text(HOSTILE).and_(page.locator(":not(option)"))
        expect(shown.first).to_be_visible()
    page.get_by_label("Answer", exact=True).fill(HOSTILE)
    page.get_by_role("button", name="Send answer").click()
    expect(page.get_by_text("Nobody asks anything")).to_be_visible()
    page.goto(f"{server.url}/#/runs/{asked['run_id']}")
    expect(page.get_by_role("heading", name="Result")).to_be_visible()

    assert page.evaluate("window.pwned") is None
    assert page.locator("main script, main img, main b").count() == 0


def test_the_browser_itself_refuses_markup_in_this_page(serving, opened):
    page = opened(serving({"clerk": asking("?")}), complains=False)
    expect(page.get_by_role("heading", name="Agents")).to_be_visible()

    refused = page.evaluate(
        """() => {
            try { document.body.innerHTML = '<p>x</p>'; return false; }
            catch (error) { return error instanceof TypeError; }
        }"""
    )

    assert refused


def test_the_key_is_asked_for_once_and_kept_in_the_tab_alone(serving, opened):
    server = serving({"clerk": asking("?")}, api_key=KEY)
    page = opened(server)
    dialog = page.get_by_role("dialog", name="This server wants a key")

    dialog.get_by_label("API key").fill("wrong")
    dialog.get_by_role("button", name="Go on").click()
    expect(dialog.get_by_text("That key was not taken.")).to_be_visible()
    dialog.get_by_label("API key").fill(KEY)
    dialog.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("link", name="clerk")).to_be_visible()
    page.reload()
    page.get_by_role("link", name="clerk").click()
    page.get_by_label("text").fill("x")
    page.get_by_role("button", name="Copy as curl").click()
    curl = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_role("heading", name="It asks")).to_be_visible()

    assert page.evaluate("Object.values(sessionStorage)") == [KEY]
    assert page.evaluate("[document.cookie, localStorage.length]") == ["", 0]
    assert KEY not in curl
    assert "$ACP_LANGGRAPH_API_KEY" in curl
    assert all(KEY not in each.path + each.query for each in server.requests)
