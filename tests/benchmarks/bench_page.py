"""The server's page with many runs: until it can be used, how long a frame takes, how much memory it has.

python tests/benchmarks/bench_page.py --runs 1000
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from playwright.sync_api import Browser, Page, sync_playwright
from typing_extensions import TypedDict

from acp_langgraph.server import serve


class State(TypedDict):
    text: str


def one_node(function: Any) -> Any:
    return StateGraph(State).add_node("work", function).add_edge(START, "work").compile()


AGENTS = {
    "clerk": one_node(lambda _: {"text": interrupt("publish?")}),
    "echo": one_node(lambda state: state),
}

USABLE = """(wanted) => new Promise((resolve) => {
    const look = () => document.querySelectorAll('.run').length >= wanted
        ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
        : requestAnimationFrame(look);
    look();
})"""

SCROLL = """async () => {
    const list = document.querySelector('.master > :last-child');
    const frames = [];
    let before = performance.now();
    for (let step = 0; step < 120; step += 1) {
        list.scrollTop += 400;
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        frames.push(now - before);
        before = now;
    }
    frames.sort((one, other) => one - other);
    return [frames[60], frames[118]];
}"""

LONG_TASKS = """() => {
    window.long = [];
    new PerformanceObserver((list) => {
        for (const each of list.getEntries()) window.long.push(Math.round(each.duration));
    }).observe({ type: 'longtask', buffered: true });
}"""


def memory(page: Page) -> float:
    """MB of JavaScript's heap, after garbage was collected."""
    session: Any = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    (used,) = (each["value"] for each in metrics if each["name"] == "JSHeapUsedSize")
    return float(used / 2**20)


def resident(browser: Browser) -> float:
    """MB that the largest of the browser's renderers has in memory."""
    session: Any = browser.new_browser_cdp_session()
    told = session.send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = [
        Path(f"/proc/{each['id']}/statm").read_text(encoding="ascii").split()[1]
        for each in told
        if each["type"] == "renderer"
    ]
    return max(map(int, sizes)) * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        serve(AGENTS, page=True) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
        sync_playwright() as playwright,
    ):
        agents = list(server.agent_ids.values())
        for number in range(options.runs):
            body = {"agent_id": agents[number % 2], "input": {"text": "x"}}
            last = client.post("/runs", json=body).json()
        client.get(f"/runs/{last['run_id']}/wait")
        flags = ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"]
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{server.url}/")
        page.wait_for_selector(".card")
        empty = memory(page)
        times = []
        for _ in range(5):
            page.goto("about:blank")
            page.goto(f"{server.url}/#/runs", wait_until="commit")
            times.append(page.evaluate(USABLE, options.runs))
        page.evaluate(LONG_TASKS)
        middle, worst = page.evaluate(SCROLL)
        for number in range(20):
            client.post("/runs/wait", json={"agent_id": agents[1], "input": {"text": str(number)}})
            page.wait_for_timeout(100)
        print(
            json.dumps(
                {
                    "runs": options.runs,
                    "ms until all rows are there": [round(each) for each in sorted(times)],
                    "heap MB": [round(empty, 1), round(memory(page), 1)],
                    "resident MB": round(resident(browser)),
                    "elements": page.evaluate("document.querySelectorAll('*').length"),
                    "frame ms while scrolling": [round(middle, 1), round(worst, 1)],
                    "tasks over 50 ms, of scrolling and 20 new runs": page.evaluate("window.long"),
                }
            )
        )
        browser.close()


if __name__ == "__main__":
    main()
