"""Your own graph as an ACP server: a client finds it, reads what it takes, runs it and answers it.

    python examples/serving_your_own_graph.py

Runs are kept in a database, so that one that waits for an answer survives a restart of the server, as
here. Outside of a script it is one command: `acp-langgraph serve my_agents.py:graph`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from acp_langgraph import ACPClient
from acp_langgraph.server import AgentInterrupt, ServedAgent, serve


class Trip(TypedDict, total=False):
    """The graph's state: what the agent takes and gives."""

    to: str
    booked: str


def book(state: Trip) -> Trip:
    """Book, once somebody chose a seat."""
    seat = interrupt({"which": "seat", "on": f"the train to {state['to']}"})
    return {"booked": f"seat {seat} to {state['to']}"}


graph = StateGraph(Trip).add_node(book).add_edge(START, "book").compile()
agent = ServedAgent(
    "travel",
    graph,
    description="Books trains",
    interrupts=[AgentInterrupt("seat", payload={"type": "object"}, resume={"type": "string"})],
)


def main() -> None:
    """Serve the graph twice, over one database; be a client of both servers."""
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "runs.sqlite"))
        with serve([agent], database=database) as server, ACPClient(server.url) as client:
            (found,) = client.search_agents({})
            print(f"{found.metadata.ref.name}: {found.metadata.description}")
            descriptor = client.get_acp_descriptor_by_id(found.agent_id)
            print(f"takes {json.dumps(descriptor.specs.input['properties'])}")
            run = client.create_stateless_run({"agent_id": found.agent_id, "input": {"to": "Oslo"}})
            print(client.wait_for_stateless_run_output(run.run_id).output)
        with serve([agent], database=database) as server, ACPClient(server.url) as client:
            client.resume_stateless_run(run.run_id, "12A")
            print(client.wait_for_stateless_run_output(run.run_id).output)


if __name__ == "__main__":
    main()
