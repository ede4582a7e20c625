"""The commands that have the page: `serve`, and the demo whose questions are answered in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

GRAPH = """
from langgraph.graph import START, MessagesState, StateGraph

graph = StateGraph(MessagesState).add_node("work", lambda _: {}).add_edge(START, "work").compile()
"""


@contextmanager
def command(folder: Path, *arguments: str) -> Iterator[tuple[Any, str]]:
    """A command at work, and the URL that it names; its browser notes what it is to open."""
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {folder}/opened\n')
    browser.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "acp_langgraph", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": str(browser), "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            for line in process.stdout:
                told += line
                if "Ctrl-C" in line:
                    break
            yield process, told
        finally:
            process.kill()


def test_serve_names_its_page_and_opens_it(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(GRAPH)
    with command(tmp_path, "serve", "agent.py:graph", "--port", "0", "--open") as (_, told):
        url = re.search(r"answer questions at (http://\S+/)", told)
        assert url, told
        assert "text/html" in httpx.get(url[1]).headers["content-type"]
        assert (tmp_path / "opened").read_text() == url[1]


@pytest.mark.browser
def test_the_demo_is_answered_in_the_browser_also_after_it_was_stopped(opened, tmp_path: Path):
    demo = ("demo", "--page", "--outbox", str(tmp_path / "out"))
    with command(tmp_path, *demo) as (process, told):
        assert "/#/inbox" in told
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert "demo --resume" in rest
        assert "--page" in rest

    with command(tmp_path, *demo, "--resume") as (_, told):
        (url,) = re.findall(r"(http://\S+)/#/inbox", told)
        page = opened(SimpleNamespace(url=url), "#/inbox")
        expect(page.get_by_text("May this mail be sent?")).to_be_visible()
        page.get_by_role("radiogroup", name="approve").get_by_text("yes").click()
        page.get_by_role("button", name="Send answer").click()
        expect(page.get_by_text("Nobody asks anything")).to_be_visible()
        page.get_by_role("link", name="Runs").click()
        page.get_by_role("link", name="campaign done").click()
        expect(page.get_by_text("written to").first).to_be_visible()
        assert len(list((tmp_path / "out").glob("*.eml"))) == 1
