"""Runs in a real browser: started by a form, watched, answered, cancelled."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from support.page_agents import (
    Decision,
    asking,
    asking_many,
    chatting,
    ordering,
    writing,
)

from acp_langgraph.server import Limits

pytestmark = pytest.mark.browser


def start(page: Page, agent: str) -> None:
    """Go to an agent's view."""
    page.get_by_role("link", name=agent).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(agent)


def last_run(server: Any) -> dict[str, Any]:
    return httpx.get(f"{server.url}/page/data/runs?limit=1").json()["runs"][0]


def answers_of(server: Any) -> Any:
    run_id = last_run(server)["run_id"]
    return httpx.get(f"{server.url}/runs/{run_id}/wait").json()["output"]["values"]["answers"]


def test_a_run_is_started_by_a_form_asks_is_answered_and_shows_its_result(serving, opened):
    server = serving({"clerk": asking({"question": "publish?"}, Decision)})
    page = opened(server)
    start(page, "clerk")

    page.get_by_label("text").fill("a draft")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_role("heading", name="It asks")).to_be_visible()
    expect(page.get_by_text("publish?")).to_be_visible()
    page.get_by_role("radiogroup", name="approve").get_by_text("yes", exact=True).click()
    page.get_by_label("note").fill("well done")
    page.get_by_role("button", name="Send answer").click()

    expect(page.get_by_role("heading", name="Result")).to_be_visible()
    expect(page.get_by_role("heading", name="It asks")).to_be_hidden()
    assert answers_of(server) == [{"approve": True, "note": "well done"}]


def test_every_kind_of_field_gives_the_json_that_the_schema_wants(serving, opened, tmp_path):
    server = serving({"shop": ordering()})
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ada")
    page = opened(server)
    start(page, "shop")

    page.get_by_label("title").fill("Lamps")
    page.get_by_role("radiogroup", name="urgent").get_by_text("no", exact=True).click()
    page.get_by_role("radiogroup", name="colour").get_by_text("green", exact=True).click()
    page.get_by_label("due").fill("2030-05-17")
    page.get_by_role("button", name="Add to items").click()
    page.get_by_label("name").fill("lamp")
    page.get_by_label("price").fill("9.5")
    page.get_by_label("street").fill("Rue 1")
    page.get_by_role("button", name="Add gift").click()
    gift = page.get_by_role("group", name="gift")
    gift.get_by_label("street").fill("Rue 2")
    gift.get_by_label("city").fill("Rome")
    page.get_by_label("letter").set_input_files(letter)
    page.get_by_label("extra").fill('{"a": [1, null]}')
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_role("heading", name="What it was given")).to_be_visible()

    run = httpx.get(f"{server.url}/runs/{last_run(server)['run_id']}").json()
    assert run["creation"]["input"] == {
        "title": "Lamps",
        "count": 3,
        "urgent": False,
        "colour": "green",
        "due": "2030-05-17",
        "items": [{"name": "lamp", "price": 9.5}],
        "way": {"street": "Rue 1", "city": "Paris"},
        "gift": {"street": "Rue 2", "city": "Rome"},
        "letter": "RGVhciBBZGE=",
        "extra": {"a": [1, None]},
    }


def test_what_the_server_would_refuse_stands_beside_its_field_and_nothing_is_started(
    serving, opened
):
    server = serving({"shop": ordering()})
    page = opened(server)
    start(page, "shop")

    page.get_by_label("count").fill("12")
    page.get_by_role("radiogroup", name="urgent").get_by_text("yes", exact=True).click()
    page.get_by_label("street").fill("Rue 1")
    page.get_by_role("button", name="Start run").click()

    title, count = page.get_by_label("title"), page.get_by_label("count")
    expect(title).to_have_accessible_description("What it is about is required")
    expect(count).to_have_attribute("aria-invalid", "true")
    expect(title).to_be_focused()
    assert httpx.get(f"{server.url}/page/data/runs").json()["runs"] == []


def test_a_form_is_carried_over_into_json_and_back(serving, opened):
    page = opened(serving({"shop": ordering()}))
    start(page, "shop")
    page.get_by_label("title").fill("Lamps")
    way = page.get_by_role("group", name="Input as")

    way.get_by_text("JSON").click()
    box = page.get_by_label("Input as JSON")
    given = json.loads(box.input_value())
    box.fill(json.dumps({**given, "title": "Chairs", "items": [{"name": "x", "price": 1}]}))
    way.get_by_text("Form").click()

    assert given["count"] == 3
    expect(page.get_by_label("title")).to_have_value("Chairs")
    expect(page.get_by_label("price")).to_have_value("1")


def test_a_text_that_comes_in_pieces_grows_on_the_page(serving, opened):
    gate = threading.Event()
    server = serving({"poet": writing(lambda: gate.wait(30) and None)})
    page = opened(server)
    start(page, "poet")
    page.get_by_label("text").fill("a tale")
    page.get_by_role("button", name="Start run").click()

    expect(page.get_by_text("Once upon a time", exact=True)).to_be_visible()
    gate.set()

    expect(page.get_by_text("Once upon a time, the end.", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Result")).to_be_visible()


def test_a_refused_answer_keeps_what_was_typed(serving, opened):
    server = serving({"clerk": asking("publish?", Decision)})
    httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "x"}})
    page = opened(server, "#/inbox")

    page.get_by_label("note").fill("long " * 10)
    page.get_by_role("button", name="Send answer").click()

    note = page.get_by_label("note")
    expect(note).to_have_attribute("aria-invalid", "true")
    expect(note).to_have_value("long " * 10)
    assert last_run(server)["status"] == "interrupted"
    note.fill("short")
    page.get_by_role("radiogroup", name="approve").get_by_text("no", exact=True).click()
    page.get_by_role("button", name="Send answer").click()
    expect(page.get_by_text("Nobody asks anything")).to_be_visible()
    assert answers_of(server) == [{"approve": False, "note": "short"}]


def test_a_question_that_is_new_does_not_touch_what_is_typed_for_another(serving, opened):
    server = serving({"clerk": asking("your name?")})
    httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "x"}})
    page = opened(server, "#/inbox")
    page.get_by_label("Answer", exact=True).fill("Ada")

    httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "y"}})

    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_label("Answer", exact=True).first).to_have_value("Ada")
    expect(page.get_by_label("2 runs ask")).to_be_visible()


def test_yes_and_no_are_buttons(serving, opened):
    server = serving({"clerk": asking("send?", {"type": "boolean"})})
    page = opened(server, "#/inbox")

    for word, answer in (("Yes", True), ("No", False)):
        httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "x"}})
        page.get_by_role("button", name=word, exact=True).click()
        expect(page.get_by_text("Nobody asks anything")).to_be_visible()
        assert answers_of(server) == [answer]


def test_several_questions_at_once_get_each_its_own_answer(serving, opened):
    server = serving({"cook": asking_many()})
    httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "x"}})
    page = opened(server, "#/inbox")

    for text, answer in (("tea", "black"), ("milk", "none")):
        part = page.locator(".question", has_text=f"What about {text}?")
        part.get_by_label("Answer", exact=True).fill(answer)
    page.get_by_role("button", name="Send answer").click()

    expect(page.get_by_text("Nobody asks anything")).to_be_visible()
    assert sorted(answers_of(server)) == ["milk: none", "tea: black"]


def test_a_run_is_cancelled_and_deleted(serving, opened):
    server = serving({"clerk": asking("publish?")})
    run = httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "x"}}).json()["run"]
    page = opened(server, f"#/runs/{run['run_id']}")

    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("the run was cancelled")).to_be_visible()
    page.get_by_role("button", name="Delete").click()

    expect(page.get_by_text("No runs yet")).to_be_visible()
    assert httpx.get(f"{server.url}/runs/{run['run_id']}").status_code == 404


def test_a_chat_goes_on_on_a_thread_whose_history_is_told_step_by_step(serving, opened):
    page = opened(serving({"friend": chatting()}))
    start(page, "friend")
    page.get_by_label("Message", exact=True).fill("hello")
    page.get_by_label("On", exact=True).select_option("new")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_text("You said: hello").first).to_be_visible()

    page.get_by_role("link", name="its thread").click()
    page.get_by_role("link", name="Run friend on this thread").click()
    page.get_by_label("Message", exact=True).fill("again")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_text("You said: again").first).to_be_visible()
    page.get_by_role("link", name="Threads").click()
    expect(page.get_by_role("heading", name="Threads")).to_be_visible()
    page.locator(".run").click()

    expect(page.get_by_text("You said: hello").first).to_be_visible()
    step = page.locator(".steps > li").first
    step.locator("summary").click()
    expect(step.get_by_text("You said: again")).to_be_visible()
    expect(step.get_by_text("You said: hello")).to_have_count(0)
    expect(page.get_by_role("link", name="friend done")).to_have_count(2)


def test_what_is_copied_does_the_same_elsewhere(serving, opened):
    server = serving({"friend": chatting()})
    page = opened(server)
    start(page, "friend")
    page.get_by_label("Message", exact=True).fill('it\'s "quoted" $HOME \\ \u2028 😀')
    page.get_by_label("On", exact=True).select_option("new")

    page.get_by_role("button", name="Copy as curl").click()
    curl = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Copy as Python").click()
    python = page.evaluate("navigator.clipboard.readText()")

    for command in (["bash", "-c", curl], [sys.executable, "-c", python]):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "You said: it" in done.stdout
    runs = httpx.get(f"{server.url}/page/data/runs").json()["runs"]
    sent = [
        httpx.get(f"{server.url}/page/data/runs/{each['run_id']}").json()["run"]["creation"]
        for each in runs
    ]
    assert sent[0]["input"] == sent[1]["input"]
    assert sent[0]["input"]["messages"][0]["content"].endswith("\\ \u2028 😀")


def test_threads_that_are_too_large_for_one_list_come_a_few_at_a_time(serving, opened):
    server = serving({"friend": chatting()}, limits=Limits(answer=3000))
    for number in range(4):
        thread = httpx.post(f"{server.url}/threads", json={}).json()["thread_id"]
        said = {"messages": [{"role": "user", "content": f"{number}" * 500}]}
        httpx.post(f"{server.url}/threads/{thread}/runs/wait", json={"input": said})
    page = opened(server, "#/threads")
    expect(page.locator(".run").first).to_be_visible()
    assert page.locator(".run").count() < 4

    more = page.get_by_role("button", name="Show more")
    for _ in range(4):
        before = page.locator(".run").count()
        if before == 4:
            break
        more.click()
        expect(page.locator(".run")).not_to_have_count(before)

    expect(page.locator(".run")).to_have_count(4)
