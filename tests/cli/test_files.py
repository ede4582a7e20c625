"""Agents that a file describes: descriptors, cards, and AGNTCY's manifests and records."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from support.declaring import declaring_agents
from support.imported import imported

from acp_langgraph.core.wire import dump
from acp_langgraph.server.agents import HostedAgent

REVIEWER = HostedAgent(declaring_agents()[0], InMemorySaver(), callbacks=True)
DESCRIPTOR: dict[str, Any] = dump(REVIEWER.descriptor)
CARD = {
    "name": "baker",
    "description": "Bakes what it is told to.",
    "version": "3",
    "capabilities": {"streaming": True},
    "defaultInputModes": ["text/plain"],
    "supportedInterfaces": [
        {"url": "https://baker.example/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    ],
}


def recorded(place: str, name: str, **data: Any) -> dict[str, Any]:
    """A record of AGNTCY's, with something in it."""
    ref = DESCRIPTOR["metadata"]["ref"]
    return {
        "name": ref["name"],
        "version": ref["version"],
        "description": "Corrects mails.",
        "schema_version": "0.3.1",
        "skills": [{"name": "natural_language_processing/text_completion", "id": 10201}],
        "locators": [{"type": "source_code", "url": "https://github.com/example/reviewer"}],
        place: [{"name": "core/something", "data": {}}, {"name": name, "data": data}],
    }


FORMS = {
    "descriptor": DESCRIPTOR,
    "manifest": {**DESCRIPTOR, "deployment": {"deployment_options": [], "env_vars": []}},
    "extension": recorded(
        "extensions",
        "schema.oasf.agntcy.org/features/runtime/manifest",
        acp=DESCRIPTOR["specs"],
        deployment={},
    ),
    "module": recorded("modules", "integration/acp_manifest", acp=DESCRIPTOR["specs"]),
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    def write(content: Any, name: str = "agent.json") -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("form", FORMS)
def test_types_are_written_from_whatever_holds_a_descriptor(run, written, form):
    told = run("types", written(FORMS[form]))

    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith("# Types of the agent reviewer 1.2.0 in agent.json\n")
    models = imported(told.stdout)
    assert models.Input(email="a", audience="general").limit == 3
    assert models.ApproveResume(True).root is True


@pytest.mark.parametrize(
    "form",
    [
        CARD,
        recorded("modules", "integration/a2a", card_data=CARD, card_schema_version="1.0"),
        recorded("modules", "runtime/a2a", card_data=CARD, protocol_version="1.0"),
    ],
    ids=["card", "module", "old module"],
)
def test_a_card_is_shown_wherever_it_is(run, written, form):
    told = run("agents", written(form))

    words = " ".join(told.stdout.split())
    assert told.exit_code == 0, told.stderr
    assert words.startswith("baker 3 Bakes what it is told to.")
    assert "speaks A2A 1.0 JSONRPC at https://baker.example/rpc" in words
    assert "string" in words


def test_of_an_agent_that_speaks_both_the_protocol_says_which_is_meant(run, written):
    record = recorded("modules", "integration/a2a", card_data=CARD)
    record["modules"].append(
        {"name": "integration/acp_manifest", "data": {"acp": DESCRIPTOR["specs"]}}
    )
    both = written(record)

    assert run("agents", both).stdout.startswith("reviewer")
    assert run("agents", both, "--protocol", "a2a").stdout.startswith("baker")
    other = run("agents", written(CARD, "card.json"), "--protocol", "acp")
    assert (other.exit_code, "speaks a2a, not acp" in other.stderr) == (2, True)


def test_a_graph_is_checked_against_files_while_its_agents_are_away(
    run, written, tmp_path, monkeypatch
):
    """By the agent's name, and by what the nodes call it."""
    name = f"away_{tmp_path.name}".replace("-", "_")
    source = """
from typing import TypedDict
from langgraph.graph import START, StateGraph
from acp_langgraph import ACPNode, ApiClientConfiguration

class State(TypedDict, total=False):
    draft: dict

class Draft(TypedDict):
    email: str
    audience: int

AWAY = ApiClientConfiguration("http://127.0.0.1:9", retries=0)

def graph_of(agent):
    node = ACPNode("review", agent, AWAY, "draft", Draft, "draft", None)
    return StateGraph(State).add_node(node).add_edge(START, "review").compile()

named, other = graph_of("reviewer"), graph_of("mail-reviewer")
"""
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = written(FORMS["extension"])

    for target, given in (("named", file), ("other", f"mail-reviewer={file}")):
        told = run("check", f"{name}.py:{target}", given)
        assert told.exit_code == 1
        assert "input.audience" in told.stdout
    assert run("check", f"{name}.py:other", file).exit_code == 2


def test_a_file_is_checked_by_itself(run, written):
    told = run("check", written(FORMS["extension"]), written(CARD, "card.json"))

    assert told.exit_code == 0
    assert "ok reviewer reviewer 1.2.0" in " ".join(told.stdout.split())
    assert "ok baker baker 3" in " ".join(told.stdout.split())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {**DESCRIPTOR, "specs": {**DESCRIPTOR["specs"], "interrupts": None}},
            "interrupts must name at least one",
        ),
        ({**CARD, "supportedInterfaces": []}, "offers no interface"),
        ({**DESCRIPTOR, "specs": {}}, "specs.capabilities"),
    ],
    ids=["contradicts itself", "is nowhere", "is not whole"],
)
def test_what_is_wrong_with_what_an_agent_says_is_told(run, written, content, words):
    told = run("check", written(content))

    assert told.exit_code == 1
    assert words in " ".join((told.stdout + told.stderr).split())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "holds no JSON object"),
        ({"name": "x", "skills": []}, "describes no agent"),
        (recorded("modules", "integration/a2a", card_data={"notes": []}), "integration/a2a"),
        (recorded("modules", "integration/mcp\x1b[2J", servers=[]), "integration/mcp"),
        (" " * 10_000_001, "more than 10 MB"),
    ],
    ids=["broken", "deep", "list", "skills", "no card", "mcp", "large"],
)
def test_what_describes_no_agent_is_told(run, written, content, words):
    told = run("types", written(content))

    assert told.exit_code == 2
    assert words in told.stderr
    assert "\x1b" not in told.stderr


def test_how_files_and_servers_are_named_is_told(run, written):
    assert "there is no file" in run("types", "none.json").stderr
    assert "leave 'reviewer' out" in run("types", written(DESCRIPTOR), "reviewer").stderr
    assert "name one of its agents" in run("types", "http://127.0.0.1:9").stderr
