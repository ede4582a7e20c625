"""`acp-langgraph check`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

GRAPHS = """
import os
from contextlib import contextmanager
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict
from acp_langgraph import ACPNode, ApiClientConfiguration

class State(TypedDict, total=False):
    text: str
    loud: str
    draft: dict

def graph_of(*nodes):
    builder = StateGraph(State)
    for node in nodes:
        builder.add_node(node)
        builder.add_edge(START, node.name)
    return builder.compile()

class Draft(TypedDict):
    email: str
    audience: int

class Note(TypedDict):
    text: str

HOST = ApiClientConfiguration(os.environ["HOST"], api_key="made up", retries=0)
AWAY = ApiClientConfiguration("http://127.0.0.1:9", retries=0)

good = graph_of(ACPNode("shout", "shout", HOST, input_type=Note, output_path="loud", output_type=None))
bad = graph_of(ACPNode("review", "reviewer", HOST, "draft", Draft, "draft", None))
doubtful = graph_of(ACPNode("ask", "reviewer", HOST, "draft", None, "draft", None, "draft", None))
away = graph_of(ACPNode("far", "shout", AWAY, "text", None, "loud", None))
both = graph_of(*[each.nodes[name].bound for each, name in ((bad, "review"), (away, "far"))])
@contextmanager
def opened():
    yield good

local = StateGraph(State).add_node("n", lambda s: {}).add_edge(START, "n").compile()
"""


@pytest.fixture
def project(tmp_path: Path, declaring: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOST", declaring.url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"graphs_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(GRAPHS)
    return tmp_path / f"{name}.py"


def test_a_graph_that_fits_is_said_to(project, declaring, run):
    told = run("check", f"{project.name}:good")

    assert told.exit_code == 0
    assert f"ok  shout  shout 1.0.0  {declaring.url}" in told.stdout
    assert "compared: input" in told.stdout
    assert told.stdout.endswith("1 node fits\n")


def test_a_graph_whose_database_is_opened_for_it_is_checked_as_it_is_woken(project, run):
    assert run("check", f"{project.name}:opened").stdout.endswith("1 node fits\n")


def test_each_misfit_is_told_with_what_to_do(project, run):
    told = run("check", f"{project.name}:bad")

    assert told.exit_code == 1
    words = " ".join(told.stdout.split())
    assert "!! review reviewer 1.2.0" in words
    assert (
        'error input.audience the node gives integer, and the agent takes "general" or "technical" '
        '-> make audience "general" or "technical" in the input_type'
    ) in words
    assert "error config.tone" in words
    assert "2 errors" in words
    assert max(map(len, told.stdout.splitlines())) <= 80


def test_doubts_do_not_fail_unless_they_are_meant_to(project, run):
    told = run("check", f"{project.name}:doubtful")
    strict = run("check", f"{project.name}:doubtful", "--strict")

    assert (told.exit_code, strict.exit_code) == (0, 1)
    assert "the graph has no checkpointer to wait with" in " ".join(told.stdout.split())


def test_what_could_not_be_told_is_an_exit_code_of_its_own(project, run):
    told = run("check", f"{project.name}:away")
    both = run("check", f"{project.name}:both")

    assert told.exit_code == 2
    assert "1 agent could not be asked" in told.stdout
    assert both.exit_code == 1


def test_who_runs_a_langgraph_json_brings_a_checkpointer(project, run):
    place = f"./{project.name}:doubtful"
    (project.parent / "langgraph.json").write_text(json.dumps({"graphs": {"ask": place}}))

    told = run("check")

    assert told.exit_code == 0
    assert "graph ask" in told.stdout
    assert "checkpointer" not in told.stdout


def test_scripts_get_json(project, run):
    told = run("check", f"{project.name}:bad", "--json")

    (report,) = json.loads(told.stdout).values()
    assert told.exit_code == 1
    assert report["nodes"][0]["version"] == "1.2.0"
    assert {each["path"] for each in report["findings"] if each["level"] == "error"} == {
        "input.audience",
        "config.tone",
    }


def test_a_graph_without_remote_nodes_is_fine(project, run):
    told = run("check", f"{project.name}:local")

    assert told.exit_code == 0
    assert "has no remote node" in told.stdout


@pytest.mark.parametrize(
    ("target", "words"),
    [("none.py:graph", "there is no file"), ("langgraph.json", "there is no langgraph.json")],
)
def test_what_cannot_be_loaded_is_told(project, run, target, words):
    told = run("check", target)

    assert (told.exit_code, told.stdout) == (2, "")
    assert words in told.stderr
    assert project.exists()
