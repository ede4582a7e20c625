"""One node, many remote runs at once, each asking a question of its own.

python examples/fan_out.py
"""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from acp_langgraph import ACPNode
from acp_langgraph.server import serve


class City(TypedDict, total=False):
    """The agent's state."""

    city: str
    weather: str


class State(TypedDict, total=False):
    """The state of the graph that uses the agent."""

    city: City
    reports: Annotated[list[City], operator.add]


def look(state: City) -> City:
    """Ask somebody who is there."""
    return {"weather": interrupt(f"How is the weather in {state['city']}?")}


def to_every_city(_: State) -> list[Send]:
    """One execution of the node for each."""
    return [Send("reporter", {"city": {"city": city}}) for city in ("Bergen", "Quito", "Perth")]


async def main() -> None:
    """Ask three times at once, and answer each question by its id."""
    agent = StateGraph(City).add_node(look).add_edge(START, "look").compile()
    with serve({"reporter": agent}) as server:
        node = ACPNode(
            "reporter",
            "reporter",
            server.url,
            input_path="city",
            input_type=City,
            output={"reports": lambda report: [report]},
        )
        builder = StateGraph(State).add_node(node).add_conditional_edges(START, to_every_city)
        graph: Any = builder.compile(checkpointer=InMemorySaver())
        config: RunnableConfig = {"configurable": {"thread_id": "1"}}
        paused = await graph.ainvoke({}, config)
        answers = {}
        for question in paused["__interrupt__"]:
            print(question.value)
            answers[question.id] = "rain" if "Bergen" in question.value else "sun"
        done = await graph.ainvoke(Command(resume=answers), config)
        for report in done["reports"]:
            print(f"{report['city']}: {report['weather']}")


if __name__ == "__main__":
    asyncio.run(main())
