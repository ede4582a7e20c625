"""What `docs/application.md` says of two workers holds: one is killed at work, the other finishes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.graph import START, StateGraph
from test_docs import DOCS, blocks_of, run

from acp_langgraph import ACPClient
from acp_langgraph.server import serve

pytestmark = pytest.mark.postgres


class Story(TypedDict, total=False):
    subject: str
    story: str


@contextmanager
def worker(folder: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`uvicorn app:app`, and where it is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app:app", "--port", "0"],
        cwd=folder,
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                break
        else:
            pytest.fail("".join(told))
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def test_a_worker_that_is_killed_at_work_is_finished_for_by_the_other(
    tmp_path: Path, postgres: str
) -> None:
    for title, code in blocks_of(DOCS / "application.md"):
        if title:
            (tmp_path / title).write_text(code, encoding="utf-8")
    (agents_file,) = (code for title, code in blocks_of(DOCS / "start.md") if title == "agents.py")
    agents: dict[str, Any] = {"__name__": "agents"}
    run("agents.py", agents_file, agents)

    at_work, go_on = threading.Event(), threading.Event()

    def tell(state: Story) -> Story:
        at_work.set()
        assert go_on.wait(30)
        return {"story": f"Once there was a {state['subject']}."}

    teller = StateGraph(Story).add_node(tell).add_edge(START, "tell").compile()
    served = {"editor": agents["editor"], "baker": agents["baker"], "teller": teller}
    with (
        serve(served) as server,
        worker(tmp_path, DATABASE=postgres, AGENTS=server.url) as (one, at_one),
        worker(tmp_path, DATABASE=postgres, AGENTS=server.url) as (two, at_two),
        httpx.Client(timeout=30) as client,
        ThreadPoolExecutor() as pool,
    ):
        post = client.post
        asked = post(f"{at_one}/parties/ada", params={"pizza": "Funghi"}).json()
        assert asked["asks"] == ["Which size should the Funghi have?"]
        broken = pool.submit(post, f"{at_one}/parties/ada/answer", params={"size": "large"})
        assert at_work.wait(30)
        one.kill()
        assert isinstance(broken.exception(), httpx.TransportError)
        again = pool.submit(post, f"{at_two}/parties/ada/answer", params={"size": "large"})
        go_on.set()
        done = again.result().json()
        text = "At the party: Once there was a large Funghi."
        assert done == {"asks": [], "text": text, "worker": two.pid}
        with ACPClient(server.url) as acp:
            names = {each.agent_id: each.metadata.ref.name for each in acp.search_agents({})}
            runs = Counter(names[each.agent_id] for each in acp.search_stateless_runs({}))
        assert runs == {"baker": 1, "teller": 1, "editor": 1}
