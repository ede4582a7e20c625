"""What a server says of its assistants: a node of it alone, checked, a tool, drawn, on the command line."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from support.colors import Color
from typer.testing import CliRunner, Result
from typing_extensions import TypedDict

from acp_langgraph import (
    NodeConfigurationError,
    RemoteGraphNode,
    UnknownAgentError,
    check_graph,
    describe_graph,
)
from acp_langgraph.cli import app
from acp_langgraph.testing import (
    Answer,
    Ask,
    FakeA2AServer,
    FakeACPServer,
    FakeHTTPServer,
    FakeLangGraphServer,
    Fault,
)
from acp_langgraph.testing.runs import FakeAgent


def fields(**kinds: str) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in kinds.items()}
    return {"type": "object", "properties": properties, "required": list(kinds)}


SHOUTER = FakeAgent(
    "shouter",
    [Answer(lambda run: {"loud": run.input["text"].upper(), "private": "x"})],
    description="Shouts.",
    input=fields(text="string"),
    output=fields(loud="string"),
)
ASKER = FakeAgent("asker", [Ask("Send it?"), Answer({})])


class State(TypedDict, total=False):
    text: str
    loud: str
    private: str


@pytest.fixture
def server() -> Iterator[FakeLangGraphServer]:
    with FakeLangGraphServer(graphs=[SHOUTER, ASKER]) as server:
        yield server


def made(color: Color, *arguments: Any, **options: Any) -> RemoteGraphNode:
    if color.name == "sync":
        return RemoteGraphNode.from_assistant(*arguments, **options)
    return asyncio.run(RemoteGraphNode.afrom_assistant(*arguments, **options))


def graph_of(node: Any) -> Any:
    builder = StateGraph(State).add_node(node).add_edge(START, node.name)
    return builder.compile(checkpointer=InMemorySaver())


def test_host_and_name_are_enough(color: Color, server: FakeLangGraphServer) -> None:
    node = made(color, server.url, "shouter")
    config: Any = {"configurable": {"thread_id": "1"}}
    state = color.invoke(graph_of(node), {"text": "hi", "private": "mine"}, config)
    assert state == {"text": "hi", "loud": "HI", "private": "mine"}
    assert server.run.input == {"text": "hi"}
    assert server.requests.matching("start")[0].json["assistant_id"] == SHOUTER.agent_id


@pytest.mark.parametrize("named", ["shouter", SHOUTER.agent_id])
def test_an_assistant_is_found_by_its_id_and_by_its_graphs_name(
    color: Color, server: FakeLangGraphServer, named: str
) -> None:
    node = made(color, server.url, named)
    assert (node.name, node.agent_id) == ("shouter", SHOUTER.agent_id)


def test_an_assistant_that_is_not_there_is_told_with_those_that_are(
    color: Color, server: FakeLangGraphServer
) -> None:
    with pytest.raises(UnknownAgentError, match="no assistant 'shout'; it has 'shouter'"):
        made(color, server.url, "shout")


def test_a_server_that_cannot_tell_a_schema_needs_paths(
    color: Color, server: FakeLangGraphServer
) -> None:
    server.faults.add(Fault.status(500), on="get_schemas", times=None)
    with pytest.raises(NodeConfigurationError, match="input_path="):
        made(color, server.url, "shouter")
    node = made(color, server.url, "shouter", input_path="", output_path="loud")
    assert color.invoke(node, {"text": "hi"})["loud"]["loud"] == "HI"


def test_another_kind_of_server_is_told_for_what_it_is_not(color: Color) -> None:
    with FakeACPServer() as acp, pytest.raises(Exception, match="LangGraph's Agent Protocol"):
        made(color, acp.url, "agent")


def test_a_node_of_an_assistant_can_be_copied_elsewhere(server: FakeLangGraphServer) -> None:
    made_here = RemoteGraphNode.from_assistant(server.url, "shouter")
    node = pickle.loads(pickle.dumps(made_here))  # noqa: S301 - of our own making
    assert node.invoke({"text": "hi"}) == {"loud": "HI"}


def test_a_model_calls_it_as_a_tool(color: Color, server: FakeLangGraphServer) -> None:
    tool = made(color, server.url, "shouter").as_tool()
    assert (tool.name, tool.description) == ("shouter", "Shouts.")
    assert list(tool.args) == ["text"]
    assert color.invoke(tool, {"text": "hi"}) == '{"loud": "HI"}'


def test_a_drawing_shows_what_goes_in_and_out(server: FakeLangGraphServer) -> None:
    node = RemoteGraphNode("shout", "shouter", server.url)
    assert node.describe().metadata.ref.name == "shouter"
    drawn = describe_graph(graph_of(node)).nodes["shout"].metadata
    assert drawn is not None
    assert (drawn["takes"], drawn["gives"]) == (["text"], ["loud"])


def test_a_graph_is_checked_against_what_the_remote_graph_takes(
    server: FakeLangGraphServer,
) -> None:
    class Wrong(TypedDict):
        words: int

    node = RemoteGraphNode("shout", "shouter", server.url, input_type=Wrong, output_path="lout")
    report = check_graph(graph_of(node))
    assert {each.path for each in report.errors} == {"input.text", "output_path"}
    assert check_graph(graph_of(RemoteGraphNode.from_assistant(server.url, "shouter"))).errors == ()
    missing = RemoteGraphNode("shout", "nobody", server.url)
    assert [each.path for each in check_graph(graph_of(missing)).errors] == ["agent"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "80")
    for each in ("ACP_LANGGRAPH_API_KEY", "ACP_LANGGRAPH_TOKEN"):
        monkeypatch.delenv(each, raising=False)
    return lambda *arguments: CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.mark.parametrize("said", [(), ("--protocol", "langgraph")], ids=["asked", "said"])
def test_the_commands_find_out_what_a_host_speaks(
    server: FakeLangGraphServer, run: Callable[..., Result], said: tuple[str, ...]
) -> None:
    listed = run("agents", server.url, *said).stdout
    assert "2 agents" in listed
    assert "Shouts." in listed
    assert "loud  string" in run("agents", server.url, "shouter", *said).stdout
    assert "class Output(BaseModel):" in run("types", server.url, "shouter", *said).stdout
    asked_for_acp = [each for each in server.requests if each.path == "/agents/search"]
    assert bool(asked_for_acp) == (not said)


def test_an_agent_that_is_not_there_ends_the_command(
    server: FakeLangGraphServer, run: Callable[..., Result]
) -> None:
    told = run("agents", server.url, "nobody")
    assert told.exit_code == 1
    assert "no assistant 'nobody'; it has 'asker', 'shouter'" in told.stderr.replace("\n", " ")


@pytest.mark.parametrize("said", [(), ("--protocol", "a2a")], ids=["asked", "said"])
def test_the_commands_show_a_card_as_well(
    run: Callable[..., Result], said: tuple[str, ...]
) -> None:
    with FakeA2AServer([Answer("done")]) as server:
        listed = run("agents", server.url, *said)
        assert (listed.exit_code, "1 agent at" in listed.stdout) == (0, True)
        shown = run("agents", server.url, "any", *said)
        assert (shown.exit_code, "Takes" in shown.stdout) == (0, True)


def test_a_server_of_neither_protocol_is_told_as_before(run: Callable[..., Result]) -> None:
    with FakeHTTPServer() as server:
        told = run("agents", server.url)
    assert told.exit_code == 1
    assert "there is no ACP server" in told.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--protocol", "langgraph"), "name it by --agents"),
        (("--protocol", "a2a"), "name it by --agents"),
    ],
)
def test_the_demo_says_what_it_cannot_take(
    run: Callable[..., Result], options: tuple[str, ...], problem: str
) -> None:
    told = run("demo", *options)
    assert (told.exit_code, problem in told.stderr) == (2, True)
