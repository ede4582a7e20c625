"""A web application whose workers gunicorn forks after it was loaded; nobody gets another's answer.

    pip install gunicorn
    python examples/gunicorn_preload.py

The node is made, and has even asked the agent's server, before the workers are there. Each of them makes
connections of its own, so that `--preload` is safe. On your machine it is one command:

    AGENTS=http://127.0.0.1:8000 gunicorn --preload -w 2 gunicorn_preload:app
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypedDict

import httpx
from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode


class Text(TypedDict, total=False):
    """The agent's state, and the graph's."""

    text: str


if "AGENTS" in os.environ:  # in gunicorn
    greeter = ACPNode.from_agent(os.environ["AGENTS"], "greeter")
    graph = StateGraph(Text).add_node(greeter).add_edge(START, "greeter").compile()


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Greet whoever is named in the query, and say which worker did it."""
    answer = graph.invoke({"text": environ["QUERY_STRING"]})["text"]
    start("200 OK", [("content-type", "text/plain"), ("x-worker", str(os.getpid()))])
    return [answer.encode()]


def main() -> None:
    """Serve the agent, and ask the application from many clients at once."""
    from acp_langgraph.server import serve  # noqa: PLC0415 - no business of the application's

    greet = StateGraph(Text).add_node("greet", lambda state: {"text": f"Hello {state['text']}"})
    users = [f"user-{number}" for number in range(40)]
    with (
        serve({"greeter": greet.add_edge(START, "greet").compile()}) as server,
        socket.create_server(("127.0.0.1", 0), backlog=128) as listening,
    ):
        options = ["--preload", "-w", "2", "--no-control-socket", "--log-level", "critical"]
        command = [sys.executable, "-m", "gunicorn", *options, f"{Path(__file__).stem}:app"]
        bind = ["--bind", f"fd://{listening.fileno()}"]
        here = {
            "AGENTS": server.url,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        }
        with subprocess.Popen(
            [*command, *bind], env={**os.environ, **here}, pass_fds=[listening.fileno()]
        ) as workers:
            try:
                url = f"http://127.0.0.1:{listening.getsockname()[1]}"
                with (
                    httpx.Client(base_url=url, timeout=60) as client,
                    ThreadPoolExecutor(8) as threads,
                ):
                    answers = list(threads.map(lambda user: client.get(f"/?{user}"), users))
            finally:
                workers.terminate()
        right = sum(each.text == f"Hello {user}" for each, user in zip(answers, users, strict=True))
        print(f"{right} of {len(users)} users got their own answer")
        print(f"remote runs: {server.count_runs()}")


if __name__ == "__main__":
    main()
