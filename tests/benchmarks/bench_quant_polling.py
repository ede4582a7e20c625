"""How many requests a hundred waiting nodes make, polling together and each for itself.

    python tests/benchmarks/bench_quant_polling.py [--scale 0.1] [--nodes 100]

A hundred `QuantToolNode`s wait at once for executions that take 12 s, looking every 2 s; `--scale 0.1`
makes a second 0.1 s long. "Together" is what nodes of one organisation do by themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from acp_langgraph.nodes.quant import QuantToolNode
from acp_langgraph.quant.polling import Pace, SharedPolling
from acp_langgraph.testing.quant import FakeQuant, FakeTool

INTERVAL, DURATION = 2.0, 12.0


@dataclass(frozen=True)
class Result:
    color: str
    together: bool
    nodes: int
    lists: int
    singles: int
    seconds: float

    @property
    def singles_each(self) -> float:
        return self.singles / self.nodes

    def __str__(self) -> str:
        how = "together" if self.together else "alone"
        return (
            f"{self.color:5}  {how:8}  {self.lists:5}  {self.singles:7}  {self.singles_each:9.2f}"
            f"  {self.seconds:7.1f}"
        )


def measure(color: str, *, together: bool, nodes: int, scale: float) -> Result:
    tool = FakeTool("draw", result={"ok": True}, states=(("running", DURATION),))
    pace = Pace(INTERVAL * scale, INTERVAL * scale, 300.0)
    with FakeQuant([tool], scale=scale) as server:
        made = [node(server.url, pace, number) for number in range(nodes)]
        if not together:
            for each in made:
                each._tools = replace(each._tools, sharing=SharedPolling())
        states = [{"id": server.start_execution(tool).execution_id} for _ in range(nodes)]
        began = time.monotonic()
        if color == "sync":
            with ThreadPoolExecutor(nodes) as pool:
                answers = list(pool.map(QuantToolNode.invoke, made, states))
        else:
            answers = asyncio.run(gathered(made, states))
        seconds = time.monotonic() - began
        assert all(answer["result"] == {"ok": True} for answer in answers)
        for each in made:
            each.close()
        count = server.requests.count
        return Result(
            color,
            together,
            nodes,
            count("list_ai_tool_executions"),
            count("get_ai_tool_execution_status"),
            seconds / scale,
        )


def node(url: str, pace: Pace, number: int) -> QuantToolNode:
    return QuantToolNode(f"wait{number}", url, organisation="acme", execution_path="id", pace=pace)


async def gathered(nodes: list[QuantToolNode], states: list[Any]) -> list[Any]:
    answers = await asyncio.gather(*map(QuantToolNode.ainvoke, nodes, states))
    for each in nodes:
        await each.aclose()
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="world seconds per second")
    parser.add_argument("--nodes", type=int, default=100)
    options = parser.parse_args()
    print(f"{options.nodes} nodes, {DURATION:.0f} s, every {INTERVAL:.0f} s")
    print("color  polling   lists  singles  each node  seconds")
    for color in ("sync", "async"):
        for together in (True, False):
            print(measure(color, together=together, nodes=options.nodes, scale=options.scale))


if __name__ == "__main__":
    main()
