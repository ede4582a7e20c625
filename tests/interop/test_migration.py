"""A program written against `agntcy_acp.langgraph` runs with only its import lines changed.

Here they lead into the package itself; into its face for `agntcy_acp` in `test_agntcy_programs.py`.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NotRequired, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph, add_messages
from langgraph.types import Command
from support.chat import ScriptedChat
from support.colors import Color

from acp_langgraph import (
    ACPNode,
    APIBridgeAgentNode,
    add_io_mapped_conditional_edge,
    add_io_mapped_edge,
)
from acp_langgraph.server import serve
from acp_langgraph.testing import Answer, Ask, BridgeQuery, FakeACPServer, FakeBridge

MOVED = {
    # what it was imported by: what it is imported by
    "from agntcy_acp import ApiClientConfiguration": "from acp_langgraph import ApiClientConfiguration",
    "from agntcy_acp.langgraph.acp_node import ACPNode": "from acp_langgraph import ACPNode",
    "from agntcy_acp.langgraph.api_bridge import": "from acp_langgraph import",
    "from agntcy_acp.langgraph.io_mapper import": "from acp_langgraph import",
    "from agntcy_iomapper import": "from acp_langgraph import",
}

PROGRAM = """
import enum
import operator
import os
from typing import Annotated

from agntcy_acp import ApiClientConfiguration
from agntcy_acp.langgraph.acp_node import ACPNode
from agntcy_acp.langgraph.api_bridge import APIBridgeAgentNode, APIBridgeInput, APIBridgeOutput
from agntcy_acp.langgraph.io_mapper import add_io_mapped_conditional_edge, add_io_mapped_edge
from agntcy_iomapper import FieldMetadata, IOMappingAgentMetadata
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph, add_messages
from pydantic import BaseModel


class Audience(enum.Enum):
    general = "general"
    technical = "technical"


class ComposerInput(BaseModel):
    messages: list[AnyMessage]
    is_completed: bool | None = None


class ComposerOutput(BaseModel):
    messages: list[AnyMessage] = []
    final_email: str | None = None


class ReviewerInput(BaseModel):
    email: str
    target_audience: Audience


class ReviewerOutput(BaseModel):
    correct: bool
    corrected_email: str | None = None


class ComposerState(BaseModel):
    input: ComposerInput | None = None
    output: ComposerOutput | None = None


class ReviewerState(BaseModel):
    input: ReviewerInput | None = None
    output: ReviewerOutput | None = None


class SendGridState(BaseModel):
    input: APIBridgeInput | None = None
    output: APIBridgeOutput | None = None


class Overall(BaseModel):
    messages: list[AnyMessage] = []
    operation_logs: Annotated[list[str], operator.add] = []
    has_composer_completed: bool = False
    recipient: str = ""
    target_audience: Audience = Audience.technical
    mailcomposer_state: ComposerState | None = None
    email_reviewer_state: ReviewerState | None = None
    sendgrid_state: SendGridState | None = None


def process_inputs(state: Overall, config: RunnableConfig) -> Overall:
    configurable = config.get("configurable", {})
    state.recipient = configurable["recipient"]
    last = state.messages[-1].content
    state.has_composer_completed = "OK" in last
    state.mailcomposer_state = ComposerState(
        input=ComposerInput(
            messages=list(state.messages), is_completed=state.has_composer_completed
        )
    )
    return state


def check_final_email(state: Overall) -> str:
    output = state.mailcomposer_state.output if state.mailcomposer_state else None
    return "done" if output and output.final_email else "user"


def prepare_output(state: Overall, config: RunnableConfig) -> dict:
    sent = state.sendgrid_state and state.sendgrid_state.output
    if sent:
        return {"operation_logs": [f"Email Send Operation: {sent.result}"]}
    return {"messages": state.mailcomposer_state.output.messages}


def build_graph(llm):
    mailcomposer = ACPNode(
        name="mailcomposer",
        agent_id=os.environ["MAILCOMPOSER_ID"],
        client_config=ApiClientConfiguration.fromEnvPrefix("MAILCOMPOSER_"),
        input_path="mailcomposer_state.input",
        input_type=ComposerInput,
        output_path="mailcomposer_state.output",
        output_type=ComposerOutput,
    )
    email_reviewer = ACPNode(
        name="email_reviewer",
        agent_id=os.environ["EMAIL_REVIEWER_ID"],
        client_config=ApiClientConfiguration(host=os.environ["EMAIL_REVIEWER_HOST"]),
        input_path="email_reviewer_state.input",
        input_type=ReviewerInput,
        output_path="email_reviewer_state.output",
        output_type=ReviewerOutput,
    )
    sendgrid = APIBridgeAgentNode(
        name="sendgrid",
        input_path="sendgrid_state.input",
        output_path="sendgrid_state.output",
        service_api_key=os.environ["SENDGRID_API_KEY"],
        hostname=os.environ["SENDGRID_HOST"],
        service_name="sendgrid",
    )

    graph = StateGraph(Overall)
    graph.add_node(process_inputs)
    graph.add_node(mailcomposer)
    graph.add_node(email_reviewer)
    graph.add_node(sendgrid)
    graph.add_node(prepare_output)

    graph.add_edge(START, "process_inputs")
    graph.add_edge("process_inputs", mailcomposer.get_name())
    add_io_mapped_conditional_edge(
        graph,
        start=mailcomposer,
        path=check_final_email,
        iomapper_config_map={
            "done": {
                "end": email_reviewer,
                "metadata": {
                    "input_fields": ["mailcomposer_state.output.final_email", "target_audience"]
                },
            },
            "user": {"end": "prepare_output", "metadata": None},
        },
        llm=llm,
    )
    add_io_mapped_edge(
        graph,
        start=email_reviewer.get_name(),
        end=sendgrid.get_name(),
        iomapper_config=IOMappingAgentMetadata(
            input_fields=[
                FieldMetadata(json_path="recipient", description="who gets the mail"),
                FieldMetadata(
                    json_path="email_reviewer_state.output.corrected_email",
                    description="the body of the mail",
                ),
            ],
            output_fields=[
                FieldMetadata(
                    json_path="sendgrid_state.input",
                    description="the request to send the mail, in words",
                    examples=["Please send a mail to bo@example.org with the body: Hello"],
                )
            ],
        ),
        llm=llm,
    )
    graph.add_edge(sendgrid.get_name(), "prepare_output")
    graph.add_edge("prepare_output", END)
    return graph.compile()
"""

DRAFT = "<p>Our new thing is here. Teh price is 5.</p>"
REVIEWED = DRAFT.replace("Teh", "The")
REQUEST = f"Please send a mail to bo@example.org with the body: {REVIEWED}"


class Composing(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    is_completed: bool | None
    final_email: NotRequired[str]


class Reviewing(TypedDict):
    email: str
    target_audience: str
    correct: NotRequired[bool]
    corrected_email: NotRequired[str | None]


class Asked(TypedDict, total=False):
    ask: Any
    answer: Any


def compose(state: Composing) -> dict[str, Any]:
    if state["is_completed"]:
        return {"messages": [AIMessage("Here it is.")], "final_email": DRAFT}
    return {"messages": [AIMessage("Say OK, and it goes out.")]}


def review(state: Reviewing) -> dict[str, Any]:
    corrected = state["email"].replace("Teh", "The")
    assert state["target_audience"] == "technical"
    return {"correct": corrected == state["email"], "corrected_email": corrected}


def agent(state: Any, work: Any) -> Any:
    return StateGraph(state).add_node("work", work).add_edge(START, "work").compile()


def migrated(text: str) -> str:
    """The text with its import lines changed by the table, and nothing else."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        for old, new in MOVED.items():
            if line.startswith(old):
                lines[number] = line.replace(old, new)
    return "".join(lines)


@pytest.fixture
def program() -> Iterator[ModuleType]:
    module = ModuleType("campaign_program")
    sys.modules[module.__name__] = module  # pydantic and LangGraph look annotations up there
    exec(compile(migrated(PROGRAM), module.__name__, "exec"), module.__dict__)  # noqa: S102 - that is the test
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBridge]:
    """The two agents and a bridge, told to the program by its environment."""
    with ExitStack() as stack:
        served = {
            "mailcomposer": agent(Composing, compose),
            "email_reviewer": agent(Reviewing, review),
        }
        server = stack.enter_context(serve(served))
        bridge = stack.enter_context(FakeBridge({"sendgrid": lambda _: "accepted"}))
        for name in served:
            monkeypatch.setenv(f"{name.upper()}_HOST", server.url)
            monkeypatch.setenv(f"{name.upper()}_ID", server.agent_ids[name])
        monkeypatch.setenv("SENDGRID_HOST", bridge.url)
        monkeypatch.setenv("SENDGRID_API_KEY", "SG.4711")
        yield bridge


CONFIG = {"configurable": {"recipient": "bo@example.org"}}


def test_every_import_of_the_old_packages_is_in_the_table() -> None:
    assert "agntcy" not in migrated(PROGRAM)
    changed = [
        (old, new)
        for old, new in zip(PROGRAM.splitlines(), migrated(PROGRAM).splitlines(), strict=True)
        if old != new
    ]
    assert len(changed) == len(MOVED)
    assert all(old.startswith("from agntcy") for old, _ in changed)


@pytest.mark.parametrize(
    ("module", "name", "ours"),
    [
        ("acp_node", "ACPNode", ACPNode),
        ("api_bridge", "APIBridgeAgentNode", APIBridgeAgentNode),
        ("io_mapper", "add_io_mapped_edge", add_io_mapped_edge),
        ("io_mapper", "add_io_mapped_conditional_edge", add_io_mapped_conditional_edge),
    ],
)
def test_what_the_old_package_takes_is_taken_in_the_same_order(
    module: str, name: str, ours: Any
) -> None:
    package = pytest.importorskip("agntcy_acp", reason="AGNTCY's own package, which CI installs")
    # It is read and not imported, for that takes half a gigabyte of other packages.
    source = Path(package.__file__).parent / "langgraph" / f"{module}.py"
    (defined,) = (
        node
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if getattr(node, "name", None) == name
    )
    if isinstance(defined, ast.ClassDef):
        (defined,) = (each for each in defined.body if getattr(each, "name", "") == "__init__")
    assert isinstance(defined, ast.FunctionDef)
    old = [each.arg for each in defined.args.args if each.arg != "self"]
    assert list(inspect.signature(ours).parameters)[: len(old)] == old


def test_a_campaign_is_sent_when_the_user_is_content(
    program: ModuleType, bridge: FakeBridge, color: Color
) -> None:
    model = ScriptedChat(
        script=[
            {"email_reviewer_state": {"input": {"email": DRAFT}}},
            {"sendgrid_state": {"input": {"query": REQUEST}}},
        ]
    )
    graph = program.build_graph(model)
    result = color.invoke(graph, {"messages": [HumanMessage("Write it. OK")]}, CONFIG)
    assert result["operation_logs"] == ["Email Send Operation: accepted"]
    assert result["email_reviewer_state"].output.corrected_email == REVIEWED
    assert sent(bridge.queries) == [(REQUEST, "Bearer SG.4711")]
    assert len(model.asked) == 2


def test_a_campaign_goes_back_to_the_user_who_is_not(
    program: ModuleType, bridge: FakeBridge, color: Color
) -> None:
    model = ScriptedChat(script=[])
    graph = program.build_graph(model)
    result = color.invoke(graph, {"messages": [HumanMessage("Write something.")]}, CONFIG)
    assert [each.content for each in result["messages"]][-1] == "Say OK, and it goes out."
    assert not result["operation_logs"]
    assert not bridge.queries
    assert not model.asked


@pytest.mark.parametrize(
    ("style", "payload", "value", "theirs"),
    [
        ("named", {"question": "ok?"}, {"confirm": {"question": "ok?"}}, {"question": "ok?"}),
        ("named", "ok?", {"confirm": "ok?"}, "ok?"),
        ("payload", {"question": "ok?", "draft": "hi"}, {"question": "ok?", "draft": "hi"}, "ok?"),
    ],
)
def test_an_interrupt_shows_all_that_the_agent_asks_and_not_only_its_first_field(
    color: Color, style: Any, payload: Any, value: Any, theirs: Any
) -> None:
    """`theirs` is what `agntcy_acp` shows: what stands under the first key of an object."""
    script = [Ask(payload, name="confirm"), Answer(lambda run: {"answers": run.answers})]
    with FakeACPServer(script, interrupt_style=style) as server:
        node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
        graph: Any = StateGraph(Asked).add_node(node).add_edge(START, "remote")
        graph = graph.compile(checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": "1"}}
        (question,) = color.invoke(graph, {"ask": 1}, config)["__interrupt__"]
        assert question.value == value
        assert next(iter(question.value.values())) == theirs
        done = color.invoke(graph, Command(resume={"answer": "ok"}), config)
        assert done["answer"] == {"answers": [{"answer": "ok"}]}


@pytest.mark.parametrize(
    "subject", ["interrupt", "first key", "config_path", "use_threads", "stream", "auth_header"]
)
def test_the_documentation_says_what_differs(subject: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "migrate" / "agntcy-acp.md"
    text = page.read_text(encoding="utf-8")
    (differs,) = re.findall(r"\n## What differs\n(.*?)\n## ", text, re.DOTALL)
    assert subject in differs


def sent(queries: list[BridgeQuery]) -> list[tuple[str, str]]:
    return [(each.text, each.headers["authorization"]) for each in queries]
