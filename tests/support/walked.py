"""Serves a graph whose runs note a text, with an answer where they are told to ask for one.

`python -m support.walked` forks a server for every line on its standard input, which names a database,
and writes the server's process and URL, so that one that is killed is soon there again.
"""

from __future__ import annotations

import operator
import os
import signal
import sys
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from acp_langgraph.server import run_server

__all__ = ["graph"]


class Walked(TypedDict, total=False):
    text: str
    asks: bool
    notes: Annotated[list[str], operator.add]


def graph() -> Any:
    def first(state: Walked) -> dict[str, Any]:
        return {"notes": [state["text"]]} if not state["asks"] else {}

    def then(state: Walked) -> dict[str, Any]:
        return {"notes": [state["text"], interrupt("?")]} if state["asks"] else {}

    builder = StateGraph(Walked)
    builder.add_sequence([first, then])
    builder.add_edge(START, "first")
    return builder.compile()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who are killed
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run_server(
                {"agent": graph()},
                database=line.strip(),
                on_ready=lambda url: print(os.getpid(), url, flush=True),
            )
            os._exit(0)


if __name__ == "__main__":
    main()
