"""See what a graph waits for, and since when.

    python examples/progress.py

In a terminal a line for each remote agent moves while it works; in a pipe or a file there is a line
whenever something begins or ends. The same `progress` events are there for everyone who watches
`stream_mode="custom"`.
"""

from __future__ import annotations

import time
from typing import Any, TypedDict

from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode
from acp_langgraph.server import serve
from acp_langgraph.terminal import Waiting


class Text(TypedDict, total=False):
    """The agents' state."""

    text: str


class State(TypedDict, total=False):
    """The state of the graph that uses the agents."""

    article: Text
    summary: Text
    headline: Text


def writer(seconds: float, text: str) -> Any:
    """An agent that takes its time."""

    def write(state: Text) -> Text:
        time.sleep(seconds)
        return {"text": f"{text} ({len(state['text'])} letters read)"}

    return StateGraph(Text).add_node(write).add_edge(START, "write").compile()


def main() -> None:
    """Have two agents work at the same time."""
    agents = {"summarizer": writer(1.0, "It rained."), "editor": writer(0.7, "Rain!")}
    with serve(agents) as server, Waiting() as waiting:
        summary = ACPNode("summary", "summarizer", server.url, "article", Text, "summary", Text)
        headline = ACPNode("headline", "editor", server.url, "article", Text, "headline", Text)
        builder = StateGraph(State).add_node(summary, metadata=summary.metadata)
        builder.add_node(headline, metadata=headline.metadata)
        graph = builder.add_edge(START, "summary").add_edge(START, "headline").compile()
        given: State = {"article": {"text": "A long article about the weather."}}
        for mode, event in graph.stream(given, stream_mode=["custom", "updates"]):
            waiting.show(event)
            if mode == "updates":
                print(event)


if __name__ == "__main__":
    main()
