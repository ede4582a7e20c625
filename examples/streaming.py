"""Watching a remote agent work, while it works.

    python examples/streaming.py

`stream_mode="custom"` brings everything that the agent emits, each with the node, the agent and the run
that it comes from; `stream_mode="messages"` brings what it says, as message objects, piece by piece.
Nothing is streamed if nobody watches.
"""

from __future__ import annotations

import time
from typing import TypedDict

from langchain_core.messages import AIMessageChunk
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode
from acp_langgraph.server import serve


class Story(TypedDict, total=False):
    """The agent's state, and the graph's."""

    subject: str
    text: str


def tell(state: Story) -> Story:
    """Report progress, then say it word by word, as a chat model would."""
    emit = get_stream_writer()
    emit({"doing": "thinking of something"})
    words = f"Once upon a time there was a {state['subject']}.".split()
    for word in words:
        time.sleep(0.05)
        emit(AIMessageChunk(content=f"{word} ", id="story"))
    return {"text": " ".join(words)}


def main() -> None:
    """Watch both, at the same time."""
    agent = StateGraph(Story).add_node(tell).add_edge(START, "tell").compile()
    with serve({"teller": agent}) as server:
        node = ACPNode("teller", "teller", server.url, "", Story, "", Story)
        graph = StateGraph(Story).add_node(node).add_edge(START, "teller").compile()
        for mode, seen in graph.stream({"subject": "node"}, stream_mode=["custom", "messages"]):
            match mode, seen:
                case "custom", {"kind": "custom", "node": name, "payload": {"doing": doing}}:
                    print(f"{name} is {doing}")
                case "messages", (message, _):
                    print(message.text, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
