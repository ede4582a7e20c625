"""`RemoteGraphNode` beside LangGraph's `RemoteGraph`, as nodes, in one run against `langgraph dev`.

    python -m venv .langgraph-dev && .langgraph-dev/bin/pip install -e ".[server]" "langgraph-cli[inmem]"
    python tests/interop/beside_remote_graph.py

Prints a table: what was done, how often the remote graph did its work, and what came of it here. `--kills 40`
kills the process at that many points.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.test_kill import count_ticks, job_for, jobs, until_done
from interop.test_remote_graph import Served, langgraph_dev
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command, RetryPolicy
from support.zygote import Zygote

from acp_langgraph import RemoteGraphNode
from acp_langgraph.testing import Fault, FaultyProxy

NODES: dict[str, Callable[..., Any]] = {
    "RemoteGraphNode": lambda assistant, url: RemoteGraphNode("remote", assistant, url),
    "RemoteGraph": lambda assistant, url: RemoteGraph(assistant, url=url, name="remote"),
}


class State(TypedDict, total=False):
    text: str
    answers: list[Any]
    answer: str


def graph_of(node: Any, **options: Any) -> Any:
    builder = StateGraph(State).add_node("remote", node, **options).add_edge(START, "remote")
    return builder.compile(checkpointer=InMemorySaver())


def on_a_thread() -> Any:
    return {"configurable": {"thread_id": str(uuid.uuid4())}}


async def invoked(graph: Any, given: Any, config: Any) -> Any:
    """What a graph gives, or the error that it raises."""
    try:
        async with asyncio.timeout(20):
            return await graph.ainvoke(given, config)
    except Exception as error:  # noqa: BLE001 - what comes of it is shown
        return type(error).__name__


async def question(make: Any, dev: Served, text: str) -> str:
    graph, config = graph_of(make("asker", dev.url)), on_a_thread()
    state = await invoked(graph, {"text": text}, config)
    for answer in ("blue", "rice"):
        if "__interrupt__" in state:
            state = await invoked(graph, Command(resume=answer), config)
    return f"answers {state.get('answers')}" if isinstance(state, dict) else state


async def lost_answer(make: Any, dev: Served, text: str) -> str:
    again = RetryPolicy(retry_on=Exception, initial_interval=0.1)
    with FaultyProxy(dev.url) as proxy:
        proxy.faults.add(Fault.lose_answer(), on=lambda request: "/runs" in request.path)
        graph = graph_of(make("echo", proxy.url), retry_policy=again)
        return _text(await invoked(graph, {"text": text}, on_a_thread()))


async def cut_stream(make: Any, dev: Served, text: str) -> str:
    with FaultyProxy(dev.url) as proxy:
        proxy.faults.add(Fault.drop_after(400), on=lambda request: request.path.endswith("/stream"))
        graph = graph_of(make("slow", proxy.url))
        try:
            items = [
                item
                async for item in graph.astream(
                    {"text": text}, on_a_thread(), stream_mode=["custom", "values"]
                )
            ]
        except Exception as error:  # noqa: BLE001 - what comes of it is shown
            return type(error).__name__
        return _text(items[-1][1])


async def two_nodes(make: Any, dev: Served, text: str) -> str:
    builder = StateGraph(State).add_node("one", make("counter", dev.url))
    builder.add_node("two", make("counter", dev.url)).add_edge(START, "one")
    graph = builder.add_edge("one", "two").compile(checkpointer=InMemorySaver())
    await invoked(graph, {"text": text}, on_a_thread())
    runs = await asyncio.to_thread(dev.runs, text)
    return "a remote thread each" if len(runs) == 1 else "one remote thread for both"


async def cancelled(make: Any, dev: Served, text: str) -> str:
    graph = graph_of(make("slow", dev.url))
    job = asyncio.create_task(graph.ainvoke({"text": text}, on_a_thread()))
    await asyncio.sleep(2)
    job.cancel()
    await asyncio.wait({job})
    await asyncio.sleep(4)
    statuses = [run["status"] for run in await asyncio.to_thread(dev.runs, text)]
    return f"the remote run is {', '.join(statuses) or 'not known'}"


async def messages(make: Any, dev: Served, text: str) -> str:
    graph = graph_of(make("talker", dev.url))
    said = [
        message.content
        async for message, _ in graph.astream({"text": text}, on_a_thread(), stream_mode="messages")
    ]
    return f"{len(said)} pieces" if said else "none"


def build(job: dict[str, Any]) -> Any:
    """A graph whose process is killed, for `support.victim`."""
    node = NODES[job["agent_id"]]("slow", job["url"])
    builder = StateGraph(State).add_node("remote", node).add_edge(START, "remote")
    builder.add_node("last", lambda state: {"answer": state["text"]})
    return builder.add_edge("remote", "last")


def killed(name: str, dev: Served, points: int, folder: Path) -> str:
    """Kill the process wherever it is, and start it again until the graph has ended."""
    make_job = job_for(dev, name, "sync", "async", folder)

    def make() -> dict[str, Any]:
        text = str(uuid.uuid4())  # RemoteGraph takes the thread's id for its own
        module = "interop.beside_remote_graph"
        return {**make_job(), "module": module, "thread": text, "input": {"text": text}}

    ended: Counter[str] = Counter()
    with Zygote() as zygote:
        for kills in jobs(points, count_ticks(zygote, make)):
            job = make()
            told = until_done(zygote, job, kills)
            runs = [run for run in dev.runs(job["thread"]) if run["kwargs"].get("input")]
            became = told.get("error") or f"answer {told['values']}"
            times = f"{len(runs)} started, {dev.executions(job['thread'])} done"
            ended[f"{became}; {times}"] += 1
    return ", ".join(f"{count} x ({what})" for what, count in ended.most_common())


def _text(state: Any) -> str:
    return state.get("text", "no answer") if isinstance(state, dict) else str(state)


SITUATIONS: dict[str, Callable[..., Any]] = {
    "two questions, answered": question,
    "the answer to the start is lost, with a retry policy": lost_answer,
    "the stream is cut": cut_stream,
    "two nodes in a graph": two_nodes,
    "the graph is cancelled": cancelled,
    "message pieces in the graph's stream": messages,
}


async def main(points: int) -> None:
    with tempfile.TemporaryDirectory() as folder, langgraph_dev(Path(folder)) as dev:
        print("| what is done | " + " | ".join(NODES) + " |\n|---|---|---|")
        for what, situation in SITUATIONS.items():
            cells = []
            for make in NODES.values():
                text = uuid.uuid4().hex[:8]
                told = (await situation(make, dev, text)).replace(text.upper(), "right answer")
                runs = await asyncio.to_thread(dev.runs, text)
                starts = sum(bool(run["kwargs"].get("input")) for run in runs)
                cells.append(f"{told}; {starts} started, {dev.executions(text)} done")
            print(f"| {what} | " + " | ".join(cells) + " |", flush=True)
        cells = []
        for number, name in enumerate(NODES):
            databases = Path(folder) / str(number)
            databases.mkdir()
            cells.append(await asyncio.to_thread(killed, name, dev, points, databases))
        print(f"| killed at {points} points | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10, help="at how many points to kill")
    asyncio.run(main(parser.parse_args().kills))
