"""A task list worked off by two agents.

    python examples/quant_tasks.py            against a fake service, in a few seconds

Ada and Bob run the same graph, made from the list: every task is a node, every dependency an edge.
What one of them has claimed the other skips. A task that was claimed by Carl, who died, is taken over
when its lease is over.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from langchain_core.runnables import RunnableConfig

from acp_langgraph.nodes.quant import report_progress, task_graph
from acp_langgraph.quant.claims import CLAIM
from acp_langgraph.quant.client import AsyncQuantClient
from acp_langgraph.quant.polling import Pace
from acp_langgraph.quant.tasks import load_tasks
from acp_langgraph.testing.quant import FakeQuant

QUICK = Pace(0.05, 0.2, 60.0)


async def agent(name: str, url: str) -> dict[str, Any]:
    """Work off the list; what became of every task."""

    async def work(told: dict[str, Any]) -> dict[str, Any]:
        title = told["task"]["title"]
        print(f"{name}: {title}")
        report_progress(0.5, f"{name} is at it")
        await asyncio.sleep(0.2)
        return {"by": name, "after": [result["by"] for result in told["dependencies"].values()]}

    async with AsyncQuantClient(url, "acme") as client:
        tasks = await client.run(load_tasks("trip"))
    builder = task_graph(
        tasks,
        work,
        url,
        organisation="acme",
        worker=name,
        on_taken="skip",
        pace=QUICK,
        lease=1.0,
        settle=0.05,
    )
    one_at_a_time: RunnableConfig = {"max_concurrency": 1}
    outcomes = await builder.compile().ainvoke({}, one_at_a_time)
    return dict(outcomes["tasks"])


def fill(server: FakeQuant) -> None:
    """A list of six tasks; `pack` was claimed by someone who died a second ago."""
    plan = server.add_task("plan", taskListId="trip")
    book = server.add_task("book", plan, taskListId="trip")
    pack = server.add_task("pack", plan, taskListId="trip")
    server.add_task("sail", book, pack, taskListId="trip")
    server.add_task("write home", book, taskListId="trip")
    server.add_task("water plants", taskListId="trip")
    dead = {"token": "gone", "by": "Carl", "until": time.time() * 1000}
    changes = {"status": "in_progress", "assignedAgentId": "Carl", "metadata": {CLAIM: dead}}
    pack.write(changes, server.clock.now())


async def main() -> None:
    """Run it."""
    with FakeQuant() as server:
        fill(server)
        await asyncio.gather(agent("Ada", server.url), agent("Bob", server.url))
        for task in server.tasks.values():
            print(f"{task.fields['title']:12}  {task.status}  {task.fields['result']}")


if __name__ == "__main__":
    asyncio.run(main())
