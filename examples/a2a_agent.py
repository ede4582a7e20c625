"""An agent that speaks A2A, asked a question back, over a crash.

    python examples/a2a_agent.py

The agent is a fake one of `acp_langgraph.testing`; any A2A agent would do, by its base URL. The answer to
the message that begins its task gets lost on the way, as when a process dies or a proxy gives up, and still
there is one task: its context was made here, and the server lists tasks by their contexts.
"""

from __future__ import annotations

from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel

from acp_langgraph import A2ANode
from acp_langgraph.testing import Answer, Ask, FakeA2AServer, Fault


class Pie(BaseModel):
    """What the agent gives."""

    kind: str
    size: str


class State(TypedDict, total=False):
    """The state of the graph."""

    order: str
    pie: Pie


def main() -> None:
    """Order a pie, and say how large it should be."""
    baked = Answer(lambda task: {"kind": "apple", "size": task.answers[0]})
    with FakeA2AServer([Ask("Which size?"), baked]) as server:
        server.faults.add(Fault.lose_answer(), on="SendMessage")
        node = A2ANode.from_card(server.url, input_path="order", output_path="pie", output_type=Pie)
        builder = StateGraph(State).add_node(node).add_edge(START, node.name)
        graph = builder.compile(checkpointer=InMemorySaver())
        config: RunnableConfig = {"configurable": {"thread_id": "1"}}
        (question,) = graph.invoke({"order": "an apple pie"}, config)["__interrupt__"]
        print(f"{node.name} asks: {question.value}")
        print(graph.invoke(Command(resume="large"), config)["pie"])
        print(f"tasks begun: {server.created}")


if __name__ == "__main__":
    main()
