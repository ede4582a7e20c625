"""The page for everybody: by keyboard, for a screen reader, on a phone, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from support.page_agents import (
    Decision,
    asking,
    branching,
    chatting,
    inbox,
    ordering,
    with_middleware,
)

from acp_langgraph.server import RunningServer, serve

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
MANY = 200  # `tests/benchmarks/bench_page.py` has a thousand
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def peopled() -> Iterator[tuple[RunningServer, list[str]]]:
    """A server on which something happened, and its views."""
    agents = {
        "clerk": asking({"subject": "An offer", "body": "Dear Ada", "to": "a@b.example"}, Decision),
        "shop": ordering(),
        "friend": chatting(),
        "writer": branching(),
        "inbox": inbox(),
        "agent": with_middleware(),
    }
    with serve(agents, page=True) as server:
        with httpx.Client(base_url=server.url, timeout=30) as client:

            def run(agent: str, given: dict, path: str = "/runs") -> str:
                body = {"agent_id": server.agent_ids[agent], "input": given}
                return client.post(f"{path}/wait", json=body).json()["run"]["run_id"]

            thread = client.post("/threads", json={}).json()["thread_id"]
            says = {"messages": [{"role": "user", "content": "hello"}]}
            chat = run("friend", says, f"/threads/{thread}/runs")
            asks = run("clerk", {"text": "x"})
            run("inbox", {"text": "x"})
            run("agent", says)
            run("writer", {"text": "x"})
        ids = server.agent_ids
        yield (
            server,
            [
                "#/",
                *(f"#/agents/{ids[each]}" for each in ("shop", "writer")),
                "#/runs",
                f"#/runs/{asks}",
                f"#/runs/{chat}",
                "#/inbox",
                "#/threads",
                f"#/threads/{thread}",
                "#/runs/00000000-0000-0000-0000-000000000000",
            ],
        )


def visit(page: Page, server: RunningServer, view: str) -> None:
    page.goto("about:blank")
    page.goto(f"{server.url}/{view}")
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    for waiting in ("Drawing…", "Nothing yet."):
        expect(page.get_by_text(waiting).and_(page.locator(":visible"))).to_have_count(0)


def faults(page: Page, view: str, **options: Any) -> list[Any]:
    found = Axe().run(page, options=options).response["violations"]
    return [
        (view, each["id"], [node["html"][:200] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in SERIOUS
    ]


def test_a_checker_of_accessibility_finds_nothing_serious(peopled, opened):
    server, views = peopled
    page = opened(server, viewport=WIDE, color_scheme="light")
    found = []
    for view in views:
        visit(page, server, view)
        found += faults(page, view)
    page.emulate_media(color_scheme="dark")  # in which the colours alone are others
    for view in ("#/", "#/runs", "#/inbox"):
        visit(page, server, view)
        found += faults(page, view, runOnly=["color-contrast"])
    assert found == []


def test_on_a_phone_nothing_is_wider_than_the_screen(peopled, opened):
    server, views = peopled
    page = opened(server, viewport=PHONE, has_touch=True, is_mobile=True)
    wide = []
    for view in views:
        visit(page, server, view)
        if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
            wide.append(view)
    assert wide == []


def test_a_run_is_started_and_answered_by_keyboard_alone(serving, opened):
    server = serving({"clerk": asking("send?", Decision)})
    page = opened(server)
    press = page.keyboard.press

    def go_to(name: str) -> None:
        """Tab until something has the focus; it shows that it has."""
        for _ in range(30):
            press("Tab")
            words = page.evaluate(
                """() => {
                    const at = document.activeElement;
                    const label = at.labels?.[0]?.innerText ?? at.innerText;
                    return [label.trim(), getComputedStyle(at).outlineStyle];
                }"""
            )
            if words[0].startswith(name):
                assert words[1] != "none"
                return
        raise AssertionError(f"{name} cannot be reached")

    expect(page.get_by_role("link", name="clerk")).to_be_visible()
    go_to("clerk")
    press("Enter")
    expect(page.get_by_role("heading", level=1, name="clerk")).to_be_focused()
    go_to("text")
    page.keyboard.type("a draft")
    go_to("Start run")
    press("Enter")
    expect(page.get_by_role("heading", name="It asks")).to_be_visible()
    go_to("yes")
    press("Space")
    go_to("note")
    page.keyboard.type("fine")
    press("Control+Enter")

    expect(page.get_by_role("heading", name="Result")).to_be_visible()


def test_what_changes_is_said_to_whoever_does_not_look(serving, opened):
    server = serving({"clerk": asking("?")})
    run = httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "x"}}).json()["run"]
    page = opened(server, f"#/runs/{run['run_id']}")
    expect(page.get_by_role("heading", name="It asks")).to_be_visible()

    httpx.post(f"{server.url}/runs/{run['run_id']}", json="yes")

    expect(page.locator("[aria-live]")).to_have_text("The run of clerk: done")


def test_of_many_runs_only_the_row_that_changed_is_made_anew(serving, opened):
    server = serving({"clerk": asking("?")})
    with httpx.Client(base_url=server.url, timeout=60) as client:
        runs = [client.post("/runs", json={"input": {"text": "x"}}).json() for _ in range(MANY)]
        client.get(f"/runs/{runs[-1]['run_id']}/wait")
        page = opened(server, "#/runs", viewport=WIDE)
        expect(page.locator(".run")).to_have_count(MANY)
        expect(page.locator(".badge[data-status=interrupted]")).to_have_count(MANY)
        page.evaluate("document.querySelectorAll('.run').forEach((each) => { each.seen = 1; })")

        client.post(f"/runs/{runs[MANY // 2]['run_id']}", json="yes")

        expect(page.locator(".badge[data-status=success]")).to_have_count(1)
    assert (
        page.evaluate("[...document.querySelectorAll('.run')].filter((e) => e.seen).length")
        == MANY - 1
    )
