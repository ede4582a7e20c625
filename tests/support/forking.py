"""A process that uses something, forks, and lets its children use it.

It is told in one line of JSON what to use and what to do with it, and prints a line of JSON. It is a
process of its own because a test's has threads, which a fork does not carry along.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import httpx
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.prebuilt import ToolNode

import acp_langgraph
from acp_langgraph import ACPNode, APIBridgeAgentNode, QuantToolNode, TokenAuth
from acp_langgraph.acp.client import ACPClient, AsyncACPClient
from acp_langgraph.bridge.client import AsyncBridgeClient, BridgeClient
from acp_langgraph.quant.client import AsyncQuantClient, QuantClient
from acp_langgraph.quant.polling import Pace

__all__ = ["environment", "forked"]

_TESTS = Path(__file__).parent.parent
_PACKAGE = Path(acp_langgraph.__file__).parent.parent
_PATIENCE = 20  # seconds that a child may take
_QUICK = Pace(0.01, 0.02, 20.0)


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that finds the package, and what tests share."""
    paths = [str(_PACKAGE), str(_TESTS), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def forked(scene: str, until: Callable[[], Any] | None = None, **told: Any) -> Any:
    """Play a scene in a process of its own; what came of it.

    Args:
        scene: One of the functions below.
        until: Returns when the process may fork, if that is for the test to say.
        **told: What the scene is told.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "support.forking", scene, json.dumps(told)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if until is not None:
                until()
            said, problem = process.communicate("\n", timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, problem
    return json.loads(said)


# What is used: each is a function that makes it, and gives what asks it for an answer.

Asks = Callable[[str], Any]
USERS: dict[str, Callable[[Mapping[str, Any]], Asks]] = {}


def user(make: Callable[[Mapping[str, Any]], Asks]) -> Callable[[Mapping[str, Any]], Asks]:
    USERS[make.__name__] = make
    return make


def acp_node(told: Mapping[str, Any], **options: Any) -> ACPNode:
    return ACPNode("n", told["agent"], told["url"], "ask", dict, "answer", None, **options)


def text(answer: Any) -> Any:
    return answer["answer"]["text"]


@user
def node(told: Mapping[str, Any]) -> Asks:
    made = acp_node(told)
    return lambda who: text(made.invoke({"ask": {"text": who}}))


@user
def described_node(told: Mapping[str, Any]) -> Asks:
    made = acp_node(told)
    made.describe()
    return lambda who: text(made.invoke({"ask": {"text": who}}))


@user
def node_from_agent(told: Mapping[str, Any]) -> Asks:
    made = ACPNode.from_agent(told["url"], told["agent"], "n", output_path="answer")
    return lambda who: text(made.invoke({"text": who}))


@user
def node_with_a_token(told: Mapping[str, Any]) -> Asks:
    made = acp_node(told, auth=TokenAuth(lambda: "t"))
    return lambda who: text(made.invoke({"ask": {"text": who}}))


@user
def node_with_an_auth_of_httpx(told: Mapping[str, Any]) -> Asks:
    made = acp_node(told, auth=httpx.BasicAuth("a", "b"))
    return lambda who: text(made.invoke({"ask": {"text": who}}))


@user
def node_in_a_graph(told: Mapping[str, Any]) -> Asks:
    builder = StateGraph(State).add_node(acp_node(told)).add_edge(START, "n")
    graph = builder.compile(checkpointer=InMemorySaver())
    return lambda who: text(
        graph.invoke({"ask": {"text": who}}, {"configurable": {"thread_id": who}})
    )


@user
def tool(told: Mapping[str, Any]) -> Asks:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    made = acp_node(told).as_tool(args_schema=schema)
    return lambda who: json.loads(made.invoke({"text": who}))["text"]


@user
def client(told: Mapping[str, Any]) -> Asks:
    made = ACPClient(told["url"])

    def ask(who: str) -> Any:
        run = {"agent_id": told["agent"], "input": {"text": who}}
        return made.create_and_wait_for_stateless_run_output(run).output.values["text"]

    return ask


@user
def bridge_node(told: Mapping[str, Any]) -> Asks:
    made = APIBridgeAgentNode(
        "n", told["url"], "mail", input_path="ask", output_path="answer", service_api_key="k"
    )
    return lambda who: made.invoke({"ask": {"query": who}}) and who


@user
def bridge_client(told: Mapping[str, Any]) -> Asks:
    made = BridgeClient(told["url"])
    return lambda who: made.query("mail", who) and who


@user
def quant_node(told: Mapping[str, Any]) -> Asks:
    made = QuantToolNode(
        "n",
        told["url"],
        organisation="acme",
        model_id="m",
        tools=[told["tool"]],
        input_path="ask",
        output_path="answer",
        pace=_QUICK,
        orchestration_pace=_QUICK,
    )
    return lambda who: made.invoke({"ask": who}) and who


@user
def quant_client(told: Mapping[str, Any]) -> Asks:
    made = QuantClient(told["url"], organisation="acme")
    return lambda who: made.list_ai_tool_names() and who


@user
def awaiting_node(told: Mapping[str, Any]) -> Asks:
    made = acp_node(told)
    return lambda who: text(asyncio.run(made.ainvoke({"ask": {"text": who}})))


@user
def awaiting_client(told: Mapping[str, Any]) -> Asks:
    made = AsyncACPClient(told["url"])

    async def ask(who: str) -> Any:
        run = {"agent_id": told["agent"], "input": {"text": who}}
        done = await made.create_and_wait_for_stateless_run_output(run)
        return done.output.values["text"]

    return lambda who: asyncio.run(ask(who))


@user
def awaiting_bridge_client(told: Mapping[str, Any]) -> Asks:
    made = AsyncBridgeClient(told["url"])
    return lambda who: asyncio.run(made.query("mail", who)) and who


@user
def awaiting_quant_client(told: Mapping[str, Any]) -> Asks:
    made = AsyncQuantClient(told["url"], organisation="acme")
    return lambda who: asyncio.run(made.list_ai_tool_names()) and who


@user
def node_on_one_loop(told: Mapping[str, Any]) -> Asks:
    """As in a program that makes its event loop when it is imported."""
    made, loop = acp_node(told), asyncio.new_event_loop()
    return lambda who: text(loop.run_until_complete(made.ainvoke({"ask": {"text": who}})))


@user
def node_with_a_client_of_ones_own(told: Mapping[str, Any]) -> Asks:
    made = acp_node(told, client=httpx.Client())
    return lambda who: text(made.invoke({"ask": {"text": who}}))


@user
def node_beside_another_with_the_same_client(told: Mapping[str, Any]) -> Asks:
    """The parent uses one, and its children the other."""
    own, parent = httpx.Client(), os.getpid()
    first, second = (acp_node(told, client=own) for _ in range(2))

    def ask(who: str) -> Any:
        node = first if os.getpid() == parent else second
        return text(node.invoke({"ask": {"text": who}}))

    return ask


@user
def node_with_an_awaiting_client_of_ones_own(told: Mapping[str, Any]) -> Asks:
    made, loop = acp_node(told, async_client=httpx.AsyncClient()), asyncio.new_event_loop()
    return lambda who: text(loop.run_until_complete(made.ainvoke({"ask": {"text": who}})))


# What becomes of a child


class Child:
    """A fork that does something; what came of it."""

    def __init__(self, act: Callable[[], Any]) -> None:
        reading, writing = os.pipe()
        self.process = os.fork()
        if self.process:
            os.close(writing)
            self._told = reading
            return
        signal.alarm(_PATIENCE)  # whose default is to end the process
        try:
            came = act()
        except Exception as error:  # noqa: BLE001 - told to the parent
            came = {"error": type(error).__name__, "message": str(error)}
        with os.fdopen(writing, "w") as told:
            told.write(json.dumps(came))
        os._exit(0)

    def outcome(self) -> Any:
        """What came of it; `None` if it did not end."""
        with os.fdopen(self._told) as told:
            said = told.read()
        os.waitpid(self.process, 0)
        return json.loads(said) if said else None


# Scenes


def one_after_the_other(told: Mapping[str, Any]) -> Any:
    """The parent asks, then each of its children, then the parent again."""
    ask = USERS[told["user"]](told)
    said = [ask("parent")]
    said += [Child(partial(ask, f"child {each}")).outcome() for each in range(told["children"])]
    return [*said, ask("parent again")]


def in_turn(told: Mapping[str, Any]) -> Any:
    """Several users, each of which the parent and its children ask one after the other."""
    return [one_after_the_other(each) for each in told["each"]]


def at_once(told: Mapping[str, Any]) -> Any:
    """The children ask all at once, so many times each; how many answers were not theirs."""
    ask = USERS[told["user"]](told)
    ask("parent")

    def wrong(child: int) -> int:
        return sum(ask(f"{child} {each}") != f"{child} {each}" for each in range(told["times"]))

    children = [Child(partial(wrong, each)) for each in range(told["children"])]
    return [child.outcome() for child in children]


class Held:
    """A thread of the parent that is at work while it forks."""

    def __init__(self) -> None:
        self.entered, self.left = threading.Event(), threading.Event()
        self._parent = os.getpid()

    def hold(self) -> None:
        """Hold whoever calls this in the parent; nobody in a child."""
        if os.getpid() == self._parent and not self.left.is_set():
            self.entered.set()
            self.left.wait(_PATIENCE)

    @contextmanager
    def at_work(self, act: Callable[[], Any]) -> Iterator[None]:
        """A thread that does something and is held in it."""
        thread = threading.Thread(target=act)
        thread.start()
        self.entered.wait(_PATIENCE)
        try:
            yield
        finally:
            self.left.set()
            thread.join()


def while_a_token_is_got(told: Mapping[str, Any]) -> Any:
    """A child asks while a thread of the parent waits for the token."""
    held = Held()

    def token() -> str:
        held.hold()
        return "t"

    made = acp_node(told, auth=TokenAuth(token))

    def ask() -> Any:
        if told["color"] == "sync":
            return text(made.invoke({"ask": {"text": "child"}}))
        return text(asyncio.run(made.ainvoke({"ask": {"text": "child"}})))

    with held.at_work(ask):
        return Child(ask).outcome()


def while_a_tool_is_called(told: Mapping[str, Any]) -> Any:
    """A child enters a graph's task again in which a thread of the parent is calling a tool."""
    held = Held()

    class Holding(httpx.Auth):
        def auth_flow(
            self, request: httpx.Request
        ) -> Generator[httpx.Request, httpx.Response, None]:
            held.hold()
            yield request

    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    tools = ToolNode([acp_node(told, auth=Holding()).as_tool(args_schema=schema)])
    builder = StateGraph(dict).add_node("tools", tools).add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())
    call = AIMessage("", tool_calls=[{"name": "n", "id": "1", "args": {"text": "child"}}])
    thread: Any = {"configurable": {"thread_id": "1"}}

    def enter_again() -> Any:
        return json.loads(graph.invoke(None, thread)["messages"][-1].content)["text"]

    with held.at_work(lambda: graph.invoke({"messages": [call]}, thread)):
        return Child(enter_again).outcome()


def while_others_wait_for_jobs(told: Mapping[str, Any]) -> Any:
    """A child waits for a job of its own while threads of the parent wait for theirs."""
    ask, wait = (USERS["quant_node"]({**told, "tool": tool}) for tool in told["tools"])
    waiting = [threading.Thread(target=wait, args=["parent"], daemon=True) for _ in range(2)]
    for thread in waiting:
        thread.start()
    sys.stdin.readline()  # until one of them is known to ask for the list
    return Child(lambda: ask("child")).outcome()


def while_locks_are_held(told: Mapping[str, Any]) -> Any:
    """A child asks although every lock of the package was held when the parent forked."""
    asks = [USERS[each](told) for each in told["users"]]
    for ask in asks:
        ask("parent")
    locks = list(_locks())
    for lock in locks:
        lock.acquire()
    outcome = Child(lambda: [ask("child") for ask in asks]).outcome()
    for lock in locks:
        lock.release()
    return {"locks": len(locks), "said": outcome}


def _locks() -> Iterator[Any]:
    """Every lock that something of this package has."""
    seen: set[int] = set()
    todo: list[Any] = [
        vars(module) for name, module in list(sys.modules.items()) if name.startswith("acp_lang")
    ]
    todo += [each for each in gc.get_objects() if _is_ours(each)]
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, type(threading.Lock())):
            yield thing
        elif isinstance(thing, dict):
            todo.extend(thing.values())
        elif _is_ours(thing):
            todo.extend(_inside(thing))


def _is_ours(thing: Any) -> bool:
    return str(getattr(type(thing), "__module__", "")).startswith("acp_langgraph.")


def _inside(thing: Any) -> Iterator[Any]:
    for name in getattr(thing, "__dict__", {}):
        yield thing.__dict__[name]
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            yield getattr(thing, name, None)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](json.loads(sys.argv[2]))))
