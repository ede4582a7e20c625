from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from acp_langgraph.server import AgentInterrupt
from acp_langgraph.server.loading import LoadError, load_agents

GRAPH = '''
    """Says it loud."""
    from typing import TypedDict
    from langgraph.graph import START, StateGraph

    class State(TypedDict):
        text: str

    builder = StateGraph(State)
    builder.add_node("shout", lambda state: {"text": state["text"].upper()})
    builder.add_edge(START, "shout")
    graph = builder.compile()
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return tmp_path


def write(path: str, text: str = GRAPH) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(dedent(text))


def config(**content: Any) -> None:
    Path("langgraph.json").write_text(json.dumps(content))


def result(agent: Any) -> Any:
    return agent.graph.invoke({"text": "hi"})


def test_the_graphs_of_a_langgraph_json_are_loaded_in_order():
    write("one.py")
    write("deep/two.py")
    config(graphs={"first": "./one.py:graph", "second": {"path": "deep/two.py:graph"}})

    agents = load_agents([])

    assert [agent.name for agent in agents] == ["first", "second"]
    assert [result(agent) for agent in agents] == [{"text": "HI"}] * 2


def test_a_langgraph_json_may_begin_with_a_byte_order_mark():
    write("one.py")
    content = json.dumps({"graphs": {"first": "./one.py:graph"}})
    Path("langgraph.json").write_text(content, encoding="utf-8-sig")

    assert [agent.name for agent in load_agents([])] == ["first"]


@pytest.mark.parametrize("target", ["project", "project/langgraph.json"])
def test_a_langgraph_json_is_found_elsewhere_and_names_paths_from_there(folder, target):
    write("project/agent.py")
    Path("project/langgraph.json").write_text(json.dumps({"graphs": {"a": "./agent.py:graph"}}))

    [agent] = load_agents([target])

    assert agent.name == "a"


def test_a_description_is_that_of_the_entry_or_else_the_first_line_of_the_module():
    write("agent.py")
    config(
        graphs={"a": "agent.py:graph", "b": {"path": "agent.py:graph", "description": "Its own."}}
    )

    assert [each.description for each in load_agents([])] == ["Says it loud.", "Its own."]


def test_what_a_module_says_of_several_graphs_describes_none_of_them():
    write("agent.py", GRAPH + "    other = builder.compile()\n")

    assert [each.description for each in load_agents(["agent.py:graph"])] == [""]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("mailer.py:graph", "mailer"),
        ("mailer.py:reviewer", "reviewer"),
        ("other=mailer.py:graph", "other"),
        ("mailer:graph", "mailer"),
    ],
)
def test_a_graph_is_named_on_the_command_line(target, name):
    write("mailer.py", GRAPH + "    reviewer = graph\n")

    [agent] = load_agents([target])

    assert agent.name == name


@pytest.mark.parametrize(
    "factory",
    [
        "def make():\n    return graph",
        "def make(config):\n    config['configurable']\n    return graph",
        "def make(config=None):\n    return graph",
        "async def make():\n    return graph",
        "async def make(config):\n    return graph",
        "def make():\n    return builder",
        "make = builder",
    ],
)
def test_a_graph_may_be_made_by_a_function_or_be_yet_to_compile(factory):
    write("agent.py", dedent(GRAPH) + factory)

    [agent] = load_agents(["agent.py:make"])

    assert result(agent) == {"text": "HI"}


@pytest.mark.parametrize("made", ["@contextmanager\ndef", "@asynccontextmanager\nasync def"])
def test_a_graph_whose_database_would_be_closed_is_looked_at_and_not_served(made):
    write("agent.py", f"{dedent(GRAPH)}from contextlib import *\n{made} make():\n    yield graph\n")

    with pytest.raises(LoadError, match="context manager"):
        load_agents(["agent.py:make"])
    [agent] = load_agents(["agent.py:make"], to_look_at=True)

    assert result(agent) == {"text": "HI"}


def test_an_agent_with_all_that_is_to_be_said_of_it_is_taken_as_it_is():
    write(
        "agent.py",
        dedent(GRAPH)
        + dedent("""
        from acp_langgraph.server import AgentInterrupt, ServedAgent
        served = ServedAgent("shouter", graph, "2.0.0", interrupts=[AgentInterrupt("ask", str)])
        """),
    )

    [agent] = load_agents(["agent.py:served"])

    assert (agent.name, agent.version) == ("shouter", "2.0.0")
    assert agent.interrupts == [AgentInterrupt("ask", str)]


@pytest.mark.parametrize("layout", ["", "src/"])
def test_modules_in_a_folder_among_the_dependencies_can_be_imported(layout):
    write(f"library/{layout}helper_of_ours/graphs.py")
    write("app/agent.py", "from helper_of_ours.graphs import graph")
    config(dependencies=["./library", "langgraph"], graphs={"a": "./app/agent.py:graph"})

    [agent] = load_agents([])

    assert result(agent) == {"text": "HI"}


def test_a_file_in_a_package_may_import_from_it():
    write("package_of_ours/__init__.py", "")
    write("package_of_ours/graphs.py")
    write("package_of_ours/agent.py", "from .graphs import graph, State")

    [agent] = load_agents(["package_of_ours/agent.py:graph"])

    assert result(agent) == {"text": "HI"}
    assert sys.modules["package_of_ours.agent"].State.__module__ == "package_of_ours.graphs"


def test_files_of_the_same_name_are_told_apart():
    write("one/agent.py")
    write("two/agent.py", GRAPH.replace("upper", "title"))

    agents = load_agents(["one=one/agent.py:graph", "two=two/agent.py:graph"])

    assert [result(agent) for agent in agents] == [{"text": "HI"}, {"text": "Hi"}]


@pytest.mark.parametrize("env", [".env", {"OF_OURS": "from config", "TAKEN": "theirs"}])
def test_variables_are_set_unless_the_environment_has_them(monkeypatch, env):
    monkeypatch.setitem(os.environ, "TAKEN", "ours")
    write(".env", "OF_OURS='from config'  # a comment\nTAKEN=theirs\nexport EMPTY")
    write("agent.py", "import os\nsaw = os.environ['OF_OURS']\n" + dedent(GRAPH))
    config(env=env, graphs={"a": "agent.py:graph"})

    load_agents([])

    assert (os.environ["OF_OURS"], os.environ["TAKEN"]) == ("from config", "ours")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("agent.py", "names no graph; write path/to/file.py:name"),
        ("agent.py:", "names no graph"),
        ("none.py:graph", "there is no file"),
        ("no.such.module:graph", "there is no module 'no'"),
        ("agent.py:grpah", "the module has no 'grpah'; it has builder, endless, graph"),
        ("agent.py:State", "not a LangGraph graph or a function"),
        ("agent.py:number", "is a int, not a LangGraph graph"),
        ("broken.py:graph", "ZeroDivisionError: division by zero"),
        ("needy.py:graph", "there is no module 'not_installed_anywhere'; install it"),
        ("agent.py:fails", "LookupError: no"),
        ("agent.py:endless", "does not compile"),
        ("none.json", "there is no none.json; name a graph"),
        ("list.json", "must hold a JSON object"),
        ("bad.json", "bad.json cannot be read"),
        ("empty.json", "names no graph"),
        ("number.json", "graph 'a' must be"),
        ("env.json", "there is no env file"),
    ],
)
def test_what_cannot_be_loaded_is_named(target, words):
    write(
        "agent.py",
        dedent(GRAPH)
        + "number = 1\ndef fails(): raise LookupError('no')\nendless = StateGraph(State)\n",
    )
    write("broken.py", "1 / 0")
    write("needy.py", "import not_installed_anywhere")
    write("list.json", "[]")
    write("bad.json", "{")
    write("empty.json", "{}")
    write("number.json", '{"graphs": {"a": 1}}')
    write("env.json", '{"env": "nothing", "graphs": {"a": "agent.py:graph"}}')

    with pytest.raises(LoadError) as raised:
        load_agents([target])

    assert words in str(raised.value)


def test_two_graphs_of_one_name_are_refused():
    write("agent.py")

    with pytest.raises(LoadError, match="two graphs are called 'agent'"):
        load_agents(["agent.py:graph", "agent.py:graph"])
