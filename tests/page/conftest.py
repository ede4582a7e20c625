"""A real browser, which fails a test in which the page breaks its own policy or asks another host."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from acp_langgraph.server import RunningServer, serve

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")  # while it is there, the thread has an event loop that runs
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page of a server, in a context of its own."""
    complaints: list[str] = []

    def complain(said: ConsoleMessage) -> None:
        # A refusal of the server's is no fault of the page's.
        if said.type in {"error", "warning"} and "Failed to load resource" not in said.text:
            complaints.append(said.text)

    with ExitStack() as stack:

        def start(
            server: RunningServer, view: str = "", *, complains: bool = True, **options: Any
        ) -> Page:
            context = browser.new_context(**{"reduced_motion": "reduce", **options})
            stack.callback(context.close)
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            page = context.new_page()
            page.set_default_timeout(30_000)
            if complains:
                page.on("console", complain)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            ours = urlsplit(server.url).netloc

            def see(request: Any) -> None:
                if urlsplit(request.url).netloc != ours:
                    complaints.append(f"another host: {request.url}")

            page.on("request", see)
            page.goto(f"{server.url}/{view}")
            return page

        yield start
    assert complaints == []


@pytest.fixture
def serving() -> Iterator[Callable[..., RunningServer]]:
    """Serves agents with the page, for the length of a test."""
    with ExitStack() as stack:

        def start(agents: Any, **settings: Any) -> RunningServer:
            return stack.enter_context(serve(agents, page=True, **settings))

        yield start
