"""What people do wrong who are new to this package, and what they are told.

Each case is a sentence about a mistake, the code that makes it, and what the message must hold: who it
is about, what is wrong, and what to do. To add a case, write a function and decorate it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from support.agents import asking, echo
from support.colors import Color
from support.newcomer import HI, Mistake, Newcomer, State, StateModel, deaf_server, tls_server

import acp_langgraph
from acp_langgraph import (
    ACPClient,
    AcpLangGraphError,
    ACPNode,
    APIBridgeAgentNode,
    ApiClientConfiguration,
    AsyncACPClient,
    QuantClient,
    QuantToolNode,
    add_io_mapped_edge,
)
from acp_langgraph.errors import ApiConnectionError, UnprocessableEntityException
from acp_langgraph.server import AgentInterrupt, ServedAgent, serve
from acp_langgraph.testing import (
    Answer,
    FakeACPServer,
    FakeHTTPServer,
    FakeQuant,
    FakeTool,
    Response,
)

THREAD: Any = {"configurable": {"thread_id": "1"}}
KEY = "sk-live-4711"

STRICT = ServedAgent(
    "strict",
    asking("Send it?", exactly=True),
    interrupts=[AgentInterrupt("approval", payload=str, resume=bool)],
)


BUILT: list[Mistake] = []
RUN: list[Mistake] = []


def when_built(sentence: str, *told: str, kind: Any = AcpLangGraphError) -> Any:
    """A mistake that shows when something is made."""
    return lambda make: BUILT.append(Mistake(sentence, told, make, kind))


def when_run(sentence: str, *told: str, kind: Any = AcpLangGraphError) -> Any:
    """A mistake that shows when something runs, in both colors."""
    return lambda make: RUN.append(Mistake(sentence, told, make, kind))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    agents = [ServedAgent("echo", echo()), ServedAgent("asks", asking("Send it?")), STRICT]
    with serve(agents) as server:
        yield server.url


@pytest.fixture
def newcomer(url: str, color: Color) -> Iterator[Newcomer]:
    with ExitStack() as stack:
        yield Newcomer(url, color, stack)


def check(mistake: Mistake, newcomer: Newcomer) -> None:
    with pytest.raises(mistake.kind) as caught:
        mistake.make(newcomer)
    message = str(caught.value)
    missing = [words for words in mistake.told if not re.search(words, message)]
    assert not missing, message
    assert KEY not in message
    assert len(message) < 700


# Where the server is


@when_run("misspells the agent's name", "'reviewer'", "no agent named 'ecko'", "it has 'echo'")
def _(by: Newcomer) -> None:
    by.invoke(by.node("ecko"))


@when_run("gives an id that the server does not know", "'reviewer'", "no agent 6f2b", "by its name")
def _(by: Newcomer) -> None:
    by.invoke(by.node("6f2b7f0e-0d4f-5a36-9a2c-6c1f0c3f7d11"))


@when_run("has not started the server, or names another port", "127.0.0.1:1/", "server running")
def _(by: Newcomer) -> None:
    by.invoke(by.node(where=by.quick("http://127.0.0.1:1")))


@when_run("misspells the host", "no-such-host.invalid", "no host of that name", "spelt right")
def _(by: Newcomer) -> None:
    def unknown(
        *_: Any, **__: Any
    ) -> Any:  # as the operating system says it, without asking anyone
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        by.invoke(by.node(where=by.quick("http://no-such-host.invalid:8000")))


@when_run("writes https for http", "https://127", "speaks no TLS", "http:// instead of https://")
def _(by: Newcomer) -> None:
    with deaf_server() as url:
        by.invoke(by.node(where=by.quick(url.replace("http:", "https:"))))


@when_run("writes http for https", "http://127", "https:// instead of http://")
def _(by: Newcomer) -> None:
    with tls_server() as url:
        by.invoke(by.node(where=by.quick(url)))


@when_run("names a web page", "/agents/search answered 200", "AGNTCY's Agent Connect Protocol")
def _(by: Newcomer) -> None:
    page = Response.text("<html>Hello</html>", content_type="text/html")
    with FakeHTTPServer(lambda _: page) as server:
        by.invoke(by.node(where=by.quick(server.url)))


@when_run(
    "names a server of another ACP", "answered 405", "Zed's and IBM's ACP are other protocols"
)
def _(by: Newcomer) -> None:
    refusal = Response.json({"detail": "Method Not Allowed"}, 405)
    with FakeHTTPServer(lambda _: refusal) as server:
        by.invoke(by.node(where=by.quick(server.url)))


@when_run("names an endpoint instead of the server", "/runs/agents/search answered 404", "a path")
def _(by: Newcomer) -> None:
    by.invoke(by.node(where=by.quick(f"{by.url}/runs")))


@when_built("leaves out http://", "host: ", "such as https://", "http://127.0.0.1:8000")
def _(by: Newcomer) -> None:
    by.node(where="127.0.0.1:8000")


# As whom


@when_run("gives no API key", "answered 401", "API key is missing", "api_key, access_token")
def _(by: Newcomer) -> None:
    with serve({"echo": echo()}, api_key=KEY) as server:
        by.invoke(by.node(where=by.quick(server.url)))


@when_run(
    "gives a wrong API key", "answered 401", "or wrong", "settings of the client configuration"
)
def _(by: Newcomer) -> None:
    with serve({"echo": echo()}, api_key="another") as server:
        by.invoke(by.node(where=by.quick(server.url, api_key=KEY)))


@when_built(
    "puts the API key into the URL", "neither query nor fragment", "api_key or access_token"
)
def _(by: Newcomer) -> None:
    by.node(where=f"{by.url}?api_key={KEY}")


@when_built("misspells a setting", "apikey: there is no such setting", "did you mean 'api_key'")
def _(by: Newcomer) -> None:
    ApiClientConfiguration(by.url, apikey=KEY)


@when_built("passes a header with a line break", "header 'x-user'", "line break", "no header can")
def _(by: Newcomer) -> None:
    by.node(auth_header={"x-user": f"{KEY}\nx-admin: yes"})


@when_built("passes a header that is no text", "header 'x-user' must be text, got int")
def _(by: Newcomer) -> None:
    by.node(auth_header={"x-user": 5})


@when_built("passes a header instead of headers", "headers must be a dict such as .'x-user'", "str")
def _(by: Newcomer) -> None:
    by.node(auth_header=f"Bearer {KEY}")


@when_built("sets no host in the environment", "set the environment variable MAIL_HOST or MAIL_END")
def _(_: Newcomer) -> None:
    ApiClientConfiguration.from_env_prefix("MAIL_")


@when_built("forgets the prefix's underscore", "set the environment", "is the prefix 'REVIEW_'")
def _(by: Newcomer) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REVIEW_HOST", by.url)
        ApiClientConfiguration.from_env_prefix("REVIEW")


@when_built("sets nonsense in the environment", "timeout: .*valid number", "REVIEW_TIMEOUT")
def _(by: Newcomer) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REVIEW_HOST", by.url)
        patch.setenv("REVIEW_TIMEOUT", "soon")
        ApiClientConfiguration.from_env_prefix("REVIEW_")


@when_built("asks for a time-out of nothing", "timeout: .*greater than 0")
def _(by: Newcomer) -> None:
    by.quick(timeout=0)


@when_built("writes a time-out as words", "timeout: .*valid number")
def _(by: Newcomer) -> None:
    by.quick(timeout="soon")


@when_built(
    "gives an awaiting client to a node that blocks", "not httpx.AsyncClient", "async_client="
)
def _(by: Newcomer) -> None:
    by.node(client=httpx.AsyncClient())


@when_built("gives a blocking client to a node that awaits", "not httpx.Client", "as client=")
def _(by: Newcomer) -> None:
    with httpx.Client() as client:
        by.node(async_client=client)


@when_built("gives an awaiting client to ACPClient", "blocks is an httpx.Client, not httpx.AsyncCl")
def _(by: Newcomer) -> None:
    ACPClient(by.url, client=httpx.AsyncClient())


@when_built(
    "gives a blocking client to AsyncACPClient", "awaits is an httpx.AsyncClient, not httpx.Cl"
)
def _(by: Newcomer) -> None:
    with httpx.Client() as client:
        AsyncACPClient(by.url, client=client)


@when_run(
    "gives a client of one color only, and invokes in the other", "only .*client= knows", "both"
)
def _(by: Newcomer) -> None:
    with httpx.Client(base_url=by.url) as client:
        if by.is_async:
            by.invoke(by.node(where=None, client=client))
        by.invoke(by.node(where=None, async_client=httpx.AsyncClient(base_url=by.url)))


# What goes in and comes out


@when_run("misspells input_path", "'reviewer'", "input_path", "qestion", "did you mean 'question'")
def _(by: Newcomer) -> None:
    by.invoke(by.node(input_path="qestion"))


@when_run("misspells output_path", "'reviewer'", "output_path", "no channel 'anwser'", "'answer'")
def _(by: Newcomer) -> None:
    by.invoke(by.node(output_path="anwser"))


@when_run("misspells output_path beside a model", "output_path", "no channel 'anwser'", "'answer'")
def _(by: Newcomer) -> None:
    by.run(by.graph(by.node(output_path="anwser"), StateModel), HI)


@when_run(
    "names no output_path, and no channel fits", "would be lost", "'text'", "answer, question"
)
def _(by: Newcomer) -> None:
    by.invoke(by.node(output_path=None))


@when_run("has an agent that gives nothing", "'agent'", "must be an object.*null", "output_path")
def _(by: Newcomer) -> None:
    with FakeACPServer([Answer(None)]) as server:
        by.invoke(by.keep(ACPNode("agent", server.agent_id, server.url, input_path="question")))


@when_built(
    "asks a fake server that was not started", "before it is started.*with Fake", kind=RuntimeError
)
def _(_: Newcomer) -> None:
    FakeACPServer([]).url  # noqa: B018 - it is what raises


@when_run("misspells a source in a plan", "reviewer.input", "text: ", "qestion", "mean 'question'")
def _(by: Newcomer) -> None:
    by.invoke(by.node(input_path=None, input={"text": "qestion.text"}))


@when_built("misspells a source in a plan beside a state_type", "State has no field", "'question'")
def _(by: Newcomer) -> None:
    by.node(input_path=None, input={"text": "qestion.text"}, state_type=State)


@when_built(
    "gives an object for a type", "'reviewer'", "input_type is a value of type dict", "TypedDict"
)
def _(by: Newcomer) -> None:
    by.node(input_type={"text": "hi"})


@when_built(
    "gives a model's object for its class", "output_type is a value of type StateModel", "class"
)
def _(by: Newcomer) -> None:
    by.node(output_type=StateModel())


@when_built("gives both input and input_path", "'reviewer'", "either input or input_path, not both")
def _(by: Newcomer) -> None:
    by.node(input="question")


@when_run("has what is no JSON in the state", "'question'", r"to\.0 is of type object", "JSON")
def _(by: Newcomer) -> None:
    by.invoke(by.node(), {"question": {"to": [object()]}})


@when_run(
    "has a number in the state that JSON lacks", "'reviewer'", "text is nan", "finite numbers"
)
def _(by: Newcomer) -> None:
    by.invoke(by.node(), {"question": {"text": float("nan")}})


# Settings of a node


@when_built("gives no agent", "'reviewer'", "agent_id is of type NoneType", "name or id as text")
def _(by: Newcomer) -> None:
    by.node(None)


@when_built("gives an agent's record instead of its id", "agent_id is of type Agent", "as text")
def _(by: Newcomer) -> None:
    with ACPClient(by.url) as client:
        by.node(client.search_agents({})[0])


@when_built("gives a run_timeout as text", "run_timeout is a number of seconds above 0", "not '60'")
def _(by: Newcomer) -> None:
    by.node(run_timeout="60")


@when_built("gives the graph's stream_mode to the node", "not 'messages'", "graph's stream_mode")
def _(by: Newcomer) -> None:
    by.node(stream_mode="messages")


@when_built("misspells a choice", "'reviewer'", "on_unknown is 'raise' or 'rerun', not 'retry'")
def _(by: Newcomer) -> None:
    by.node(on_unknown="retry")


@when_built("names a node as LangGraph cannot", "'a:b'", "without ':' and '|'")
def _(by: Newcomer) -> None:
    ACPNode("a:b", "echo", by.url)


@when_built("adds a node twice", "reviewer", "already present", kind=ValueError)
def _(by: Newcomer) -> None:
    StateGraph(State).add_node(by.node()).add_node(by.node())


# Questions


@when_run(
    "has no checkpointer when the agent asks", "asks a question", "checkpointer=InMemorySaver"
)
def _(by: Newcomer) -> None:
    by.invoke(by.node("asks"))


@when_run(
    "invokes a node that asks outside of a graph", "Put the node into a graph", "was cancelled"
)
def _(by: Newcomer) -> None:
    by.run(by.node("asks"), HI)


@when_run("has a checkpointer and gives no thread_id", "thread_id", kind=ValueError)
def _(by: Newcomer) -> None:
    by.invoke(by.node("asks"), checkpointer=InMemorySaver())


@when_run("resumes with what the agent does not take", "must be of type boolean", "resume again")
def _(by: Newcomer) -> None:
    graph = by.graph(by.node("strict"), checkpointer=InMemorySaver())
    by.run(graph, HI, THREAD)
    by.run(graph, Command(resume="perhaps"), THREAD)


@when_run("answers two questions by one word", "multiple pending interrupts", kind=RuntimeError)
def _(by: Newcomer) -> None:
    builder = StateGraph(State)
    for name in ("question", "answer"):
        node = ACPNode(name, "asks", by.url, input_path="question", output_path=name)
        by.keep(node)
        builder.add_node(node).add_edge(START, name)
    graph = builder.compile(checkpointer=InMemorySaver())
    by.run(graph, HI, THREAD)
    by.run(graph, Command(resume="yes"), THREAD)


# Edges, bridges, Quant


@when_built("maps to a node that is not there", "no node 'sender'", "add it before", "'reviewer'")
def _(by: Newcomer) -> None:
    add_io_mapped_edge(StateGraph(State).add_node(by.node()), "reviewer", "sender", {})


@when_built("maps from a field that is not there", "map reviewer to end", "mean 'question'")
def _(by: Newcomer) -> None:
    builder = StateGraph(State).add_node(by.node())
    add_io_mapped_edge(builder, "reviewer", END, {"field_mapping": {"answer": "qestion"}})


@when_built("misspells a key of a mapping", "no 'fieldmapping'", "did you mean 'field_mapping'")
def _(by: Newcomer) -> None:
    builder = StateGraph(State).add_node(by.node())
    add_io_mapped_edge(builder, "reviewer", END, {"fieldmapping": {"answer": "question"}})


@when_built("maps in a graph that is compiled", "before compile", "CompiledStateGraph")
def _(by: Newcomer) -> None:
    add_io_mapped_edge(by.graph(by.node()), "reviewer", END, {})


@when_built("names no service of the bridge", "node 'send'", "needs a service", "e.g. sendgrid")
def _(by: Newcomer) -> None:
    APIBridgeAgentNode("send", by.url, None, "question", "answer")


@when_run("takes an ACP server for a bridge", "/sendgrid/ answered 404", "service's listen path")
def _(by: Newcomer) -> None:
    node = APIBridgeAgentNode("send", by.url, "sendgrid", "question", "answer")
    by.keep(node)
    by.invoke(node, {"question": {"query": "mail it"}})


@when_built("names no organisation of Quant's", "organisation=", "QUANT_ORGANISATION")
def _(_: Newcomer) -> None:
    QuantClient()


@when_run(
    "names a tool that Quant does not have", "node 'draw'", "no tool 'generate_imge'", "it has"
)
def _(by: Newcomer) -> None:
    with FakeQuant([FakeTool("generate_image")]) as server:
        node = QuantToolNode(
            "draw",
            by.quick(server.url),
            model_id="nova",
            tools="generate_imge",
            organisation="acme",
            input_path="question",
            output_path="answer",
        )
        by.keep(node)
        by.invoke(node, {"question": "a cat"})


# Serving


@when_built(
    "serves a graph that is not compiled", "'echo'", r"serve graph.compile\(\)", kind=TypeError
)
def _(_: Newcomer) -> None:
    with serve({"echo": StateGraph(State)}):  # type: ignore[dict-item]  # that is the mistake
        pass


@when_built("serves a graph without a name", "by name", "'mailcomposer': graph", kind=TypeError)
def _(_: Newcomer) -> None:
    with serve(echo()):
        pass


@when_built("serves the name of a file", "'echo'", "acp-langgraph serve my_agents", kind=TypeError)
def _(_: Newcomer) -> None:
    with serve({"echo": "./my_agents.py:graph"}):  # type: ignore[dict-item]  # that is the mistake
        pass


@when_built(
    "serves a name twice", "'echo' in version 1.0.0", "another name, version", kind=ValueError
)
def _(_: Newcomer) -> None:
    with serve([ServedAgent("echo", echo()), ServedAgent("echo", echo())]):
        pass


@when_built("serves at a port that is taken", "in use", "0 takes a free one", kind=OSError)
def _(by: Newcomer) -> None:
    with serve({"echo": echo()}, port=int(by.url.rpartition(":")[2])):
        pass


@when_built(
    "forgets the with of serve", "'url'", r"with serve\(...\) as server", kind=AttributeError
)
def _(_: Newcomer) -> None:
    server: Any = serve({"echo": echo()})
    print(server.url)


# Python itself


@when_built("imports a name of an old version", "no attribute 'AcpNode'", kind=AttributeError)
def _(_: Newcomer) -> None:
    print(acp_langgraph.AcpNode)


@when_run("forgets await", "coroutine", kind=TypeError)
def _(by: Newcomer) -> None:
    result = by.node().ainvoke(HI)
    try:
        print(result["answer"])
    finally:
        result.close()


@pytest.mark.parametrize("color", ["sync"], indirect=True)
@pytest.mark.parametrize("mistake", BUILT, ids=lambda mistake: mistake.sentence)
def test_who_builds_what_cannot_work_is_told(mistake: Mistake, newcomer: Newcomer) -> None:
    check(mistake, newcomer)


@pytest.mark.parametrize("mistake", RUN, ids=lambda mistake: mistake.sentence)
def test_who_runs_what_cannot_work_is_told(mistake: Mistake, newcomer: Newcomer) -> None:
    check(mistake, newcomer)


def test_the_list_of_mistakes_is_long_enough() -> None:
    assert len({each.sentence for each in (*BUILT, *RUN)}) == len(BUILT) + len(RUN) >= 20


def test_an_answer_that_the_agent_refused_can_be_given_anew_by_another_process(
    newcomer: Newcomer, color: Color, tmp_path: Path
) -> None:
    builder = StateGraph(State).add_node(newcomer.node("strict")).add_edge(START, "reviewer")

    def later(value: Any) -> Any:
        with color.graph_over(builder, tmp_path / "graph.sqlite") as graph:
            return color.invoke(graph, value, THREAD)

    later(HI)
    for wrong in ("perhaps", "well"):
        with pytest.raises(UnprocessableEntityException):
            later(Command(resume=wrong))
    assert later(Command(resume=True))["answer"]["answers"] == [True]


def test_entering_again_after_a_refused_answer_asks_again(newcomer: Newcomer) -> None:
    graph = newcomer.graph(newcomer.node("strict"), checkpointer=InMemorySaver())
    (asked,) = newcomer.run(graph, HI, THREAD)["__interrupt__"]
    with pytest.raises(UnprocessableEntityException, match="question still waits"):
        newcomer.run(graph, Command(resume="perhaps"), THREAD)
    (again,) = newcomer.run(graph, None, THREAD)["__interrupt__"]
    assert again.value == asked.value
    assert newcomer.run(graph, Command(resume=False), THREAD)["answer"]["answers"] == [False]


def test_nothing_is_sent_where_the_answer_would_be_lost(newcomer: Newcomer) -> None:
    with serve({"echo": echo()}) as server:
        with pytest.raises(AcpLangGraphError, match="anwser"):
            newcomer.invoke(newcomer.node("echo", server.url, output_path="anwser"))
        assert not server.requests


def test_a_node_in_a_users_own_function_writes_where_it_likes(newcomer: Newcomer) -> None:
    inner = newcomer.node(output_path="elsewhere")

    def reviewer(state: State) -> State:
        return {"answer": inner.invoke(state)["elsewhere"]}

    async def areviewer(state: State) -> State:
        return {"answer": (await inner.ainvoke(state))["elsewhere"]}

    builder = StateGraph(State)
    builder.add_node("reviewer", areviewer if newcomer.is_async else reviewer)
    graph = builder.add_edge(START, "reviewer").compile()
    assert newcomer.run(graph, HI)["answer"] == {"text": "hi"}


def test_a_field_of_an_answer_that_has_no_channel_is_dropped_beside_others(
    newcomer: Newcomer,
) -> None:
    class Partly(TypedDict, total=False):
        question: Any
        text: str

    class Both(TypedDict, total=False):
        text: str
        more: str

    agent = StateGraph(Both).add_node("work", lambda _: {"text": "a", "more": "b"})
    with serve({"both": agent.add_edge(START, "work").compile()}) as server:
        graph = newcomer.graph(newcomer.node("both", server.url, output_path=None), Partly)
        assert newcomer.run(graph, HI)["text"] == "a"


WITHOUT = """
import importlib, sys

class Missing:
    def __init__(self, names): self.names = names
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing({"typer", "starlette", "uvicorn", "jsonschema"}))

def told(module):
    try:
        importlib.import_module(module)
    except ImportError as error:
        print(error)

told("acp_langgraph.server")
sys.argv = ["acp-langgraph", "serve"]
try:
    importlib.import_module("acp_langgraph.__main__").main()
except SystemExit as error:
    print(error)
import langgraph.errors
del langgraph.errors.GraphDrained
told("acp_langgraph.nodes.acp")
"""


def test_a_missing_extra_and_an_old_langgraph_are_named_with_the_command_that_helps() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert not done.stderr
    server, command, old = done.stdout.splitlines()
    assert 'pip install "acp-langgraph[server]"' in server
    assert 'pip install "acp-langgraph[cli]"' in command
    assert re.search(
        r'needs langgraph 1\.2 or newer, and 1\.\S+ is installed: pip.*"langgraph>', old
    )


def test_a_broken_connection_says_whether_the_request_may_have_arrived() -> None:
    with tls_server() as url, pytest.raises(ApiConnectionError) as caught:
        asyncio.run(search(ApiClientConfiguration(url, retries=0)))
    assert caught.value.sent


async def search(configuration: ApiClientConfiguration) -> None:
    async with AsyncACPClient(configuration) as client:
        await client.search_agents({})
