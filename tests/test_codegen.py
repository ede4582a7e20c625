"""Pydantic models of what an agent declares: true, typed, and no code but the generator's."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from pydantic import ValidationError
from support.declaring import declaring_agents, descriptor
from support.imported import imported
from typing_extensions import TypedDict

from acp_langgraph import ACPNode, check_graph, codegen
from acp_langgraph.acp.agents import FoundAgent, find_agent
from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.codegen import model_names, models_of
from acp_langgraph.errors import ModelGenerationError
from acp_langgraph.server import serve
from acp_langgraph.transport import Transport

MAIL = {
    "type": "object",
    "properties": {
        "subject": {"type": "string"},
        "replies": {"type": "array", "items": {"$ref": "#/$defs/Mail"}},
    },
    "required": ["subject"],
}
QUOTES = (
    '""" \'\'\' \\ \\"""\nimport os; os.system(\'true\')\r\x00 {x} %s \N{RIGHT-TO-LEFT OVERRIDE}'
)
NASTY = {
    "type": "object",
    "title": QUOTES,
    "description": QUOTES,
    "x-python-import": {"module": "os", "name": "system"},
    "x-python-type": "os.system",
    "customBasePath": "os.PathLike",
    "properties": {
        "class": {"type": "string", "description": QUOTES, "title": QUOTES},
        "audience": {"enum": ["general", QUOTES], "default": QUOTES},
        "only": {"const": QUOTES, "default": QUOTES},
        "text": {"type": "string", "pattern": "(?=x", "format": "email", "default": QUOTES},
        QUOTES: {"type": "integer", "minimum": -3},
        '");import os#': {"type": "string"},
        "__class__": {"type": "string"},
        "_private": {"type": "string", "customTypePath": "os.system"},
        "BaseModel": {"type": "string"},
        "Field": {"type": "string", "description": "x"},
        "model_config": {"type": "string"},
        "copy": {"type": "string"},
        "input": {"type": "object", "properties": {"output": {"type": "object"}}},
        "str": {"type": "string"},
        "mail": {"$ref": "#/$defs/Mail"},
        "away": {"$ref": "http://127.0.0.1:9/schema.json"},
        "file": {"$ref": "file:///etc/hostname"},
        "near": {"$ref": "other.json#/x"},
        "bad": {"type": "integer", "default": "__import__('os')"},
        "deep": {"type": "object", "default": {"a": QUOTES}},
        "both": {"allOf": [{"$ref": "#/$defs/Mail"}, {"properties": {"n": {"type": "integer"}}}]},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "kinds": {"type": ["string", "integer", "null"], "default": 3},
        "when": {"type": "string", "format": "date-time"},
        "size": {"type": "number", "default": -1.5, "maximum": 1e300},
        "odd": {"type": 5, "enum": "x", "required": "y", "properties": []},
        "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
    },
    "required": ["mail", 5],
    "$defs": {"Mail": MAIL},
}


def found(**specs: Any) -> FoundAgent:
    wire = descriptor(f"mail{QUOTES}", **specs)
    wire["metadata"]["description"] = QUOTES
    return FoundAgent(QUOTES, AgentACPDescriptor.model_validate(wire))


def nasty() -> FoundAgent:
    kinds = ["approve draft", "approve-draft", QUOTES, "", "1st", "class"]
    return found(
        input=NASTY,
        output={"$ref": "#/$defs/Mail", "$defs": {"Mail": MAIL}},
        interrupts=[
            {
                "interrupt_type": kind,
                "interrupt_payload": {"type": "string"},
                "resume_payload": {"enum": ["yes", "no"]},
            }
            for kind in kinds
        ],
    )


@pytest.fixture(scope="module")
def text() -> str:
    return models_of(nasty(), f"http://host/{QUOTES}")


def test_names_are_those_of_the_parts_and_of_the_kinds_of_questions(text):
    names = model_names(text)

    assert {"Input", "Output", "Config", "Mail"} <= set(names)
    for kind in ("ApproveDraft", "Class", "Interrupt1st"):
        assert {f"{kind}Payload", f"{kind}Resume"} <= set(names)
    assert "ApproveDraftPayload2" in names
    assert names.count("Input") == 1


def test_what_a_descriptor_says_is_quoted_and_never_code(text):
    tree = ast.parse(text)

    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {each.id for each in calls if isinstance(each, ast.Name)}
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert called <= {"Field", "Field_aliased", "ConfigDict", "Field_1"}
    assert modules <= {"__future__", "typing", "pydantic"}
    assert "\x00" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text


def test_the_comment_at_the_top_is_a_comment_whatever_the_agent_is_called(text):
    lines = text.splitlines()

    top = lines[: lines.index("from __future__ import annotations")]
    assert all(not line or line.startswith("#") for line in top)
    assert top[0].startswith("# Types of the agent mail")


def test_the_module_is_imported_and_its_models_take_and_refuse(text):
    module = imported(text)

    mail = {"subject": "s", "replies": [{"subject": "t"}]}
    made = module.Input(mail=mail, kinds=None)
    sent = made.model_dump(mode="json", by_alias=True)
    assert sent == {
        "only": sent["only"],
        "audience": sent["audience"],
        "text": sent["text"],
        "mail": mail,
        "either": None,
        "kinds": None,
        "size": -1.5,
    }
    with pytest.raises(ValidationError):
        module.Input(mail={})
    assert module.ApproveDraftResume("yes").root == "yes"
    assert module.Config(anything=1).model_dump() == {"anything": 1}


def test_the_same_descriptor_gives_the_same_text_wherever_it_is_written(
    text, tmp_path, monkeypatch
):
    settings = "[tool.black]\nline-length = 40\n[tool.isort]\nforce_single_line = true\n"
    (tmp_path / "pyproject.toml").write_text(settings)
    monkeypatch.chdir(tmp_path)

    assert models_of(nasty(), f"http://host/{QUOTES}") == text


def test_strict_type_checkers_have_nothing_to_say(text, tmp_path):
    pytest.importorskip("mypy")
    module = tmp_path / "written.py"
    module.write_text(text)
    use = tmp_path / "use.py"
    use.write_text(
        "import written\n"
        "made = written.Input(mail=written.Mail(subject='s'))\n"
        "reveal_type(made.mail.subject)\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            str(tmp_path),
            str(use),
            str(module),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout
    assert re.search(r'Revealed type is "(builtins\.)?str"', done.stdout)


class State(TypedDict, total=False):
    draft: Any
    review: Any
    settings: Any


def test_a_node_with_the_written_types_fits_its_agent_and_runs():
    with serve(declaring_agents()) as server:
        with Transport(server.url) as transport:
            reviewer, shout = (transport.run(find_agent(name, 0)) for name in ("reviewer", "shout"))
        mail, note = (imported(models_of(each, server.url)) for each in (reviewer, shout))
        types = {"input_type": mail.Input, "output_type": mail.Output, "config_type": mail.Config}
        paths = {"input_path": "draft", "output_path": "review", "config_path": "settings"}
        nodes = [
            ACPNode("review", "reviewer", server.url, **types, **paths),
            ACPNode("shout", "shout", server.url, "draft", note.Input, "review", note.Output),
        ]
        for node in nodes:
            graph = StateGraph(State).add_node(node).add_edge(START, node.name)
            assert check_graph(graph.compile(), checkpointer=True).findings == ()

        draft = mail.Input(email="a", audience="general")
        done = nodes[0].invoke({"draft": draft, "settings": {"tone": "kind"}})
        assert done["review"].corrected == "a (general)"
        assert nodes[1].invoke({"draft": note.Input(text="hi")})["review"].loud == "HI"


def test_definitions_of_one_name_that_differ_are_two_models():
    def taking(kind: str) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/X"}},
            "$defs": {"X": {"type": "object", "properties": {"v": {"type": kind}}}},
        }

    module = imported(models_of(found(input=taking("string"), output=taking("integer")), "u"))

    assert module.Input(a={"v": "x"}).a.v == "x"
    assert module.Output(a={"v": 1}).a.v == 1


def test_definitions_that_are_the_same_are_one_model():
    whole = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/Mail"}},
        "$defs": {"Mail": MAIL},
    }
    text = models_of(found(input=whole, output=whole), "u")

    assert [name for name in model_names(text) if name.startswith("Mail")] == ["Mail"]


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from os import system",
        "from . import x",
        "x = print('x')",
        "x = [i for i in range(3)]",
        "x = lambda: 1",
        "x = f'{1}'",
        "x = ().__class__",
        "def f(): pass",
        "class A(metaclass=print('x')): pass",
        "Field = print",
        "class A:\n    x = __import__('os')",
        "@print\nclass A: pass",
        "with open('x'): pass",
        "A.model_rebuild('x')",
        "x = (",
    ],
)
def test_what_would_do_more_than_declare_is_refused(line):
    with pytest.raises(ModelGenerationError):
        codegen._inspect(f"from pydantic import Field\n{line}\n")


@pytest.mark.parametrize(
    ("input_", "words"),
    [
        ({"properties": {f"f{at}": {} for at in range(6000)}}, "more than 5000 schemas"),
        (
            {
                "properties": {f"f{at}": {"$ref": f"#/$defs/d{at}"} for at in range(600)},
                "$defs": {f"d{at}": {"type": "object"} for at in range(600)},
            },
            "more than 500 definitions",
        ),
    ],
)
def test_a_descriptor_that_is_too_large_is_refused(input_, words):
    with pytest.raises(ModelGenerationError, match=words):
        models_of(found(input=input_), "u")


def test_a_choice_that_is_defined_by_itself_is_a_literal_where_it_is_used():
    color = {"enum": ["red", "blue"]}
    input_ = {"properties": {"c": {"$ref": "#/$defs/Color"}}, "$defs": {"Color": color}}
    text = models_of(found(input=input_), "u")

    assert 'c: Literal["red", "blue"] | MISSING = MISSING' in text
    assert "Color" not in model_names(text)


def test_a_schema_that_only_leads_in_circles_may_be_anything():
    circle = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    }

    assert "Input" in model_names(models_of(found(input=circle), "u"))
