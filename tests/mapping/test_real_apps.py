"""Mappings of real public applications, as they were brought: each in a chat, three times over.

The applications mapped by a model, by JSONPath, or by a node written by hand between two agents. The
models of the agents are generated, each agent's its own: what is one thing in the state is another
class in each of them.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
from typing import Annotated, Any, NamedTuple

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph, add_messages
from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator
from support.chat import ScriptedChat
from support.declaring import descriptor
from support.imported import imported
from support.mapped import both_colors, run_graph
from typing_extensions import TypedDict

from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.codegen import models_of
from acp_langgraph.mapping import StatePath, call, coalesce, const, copy, each, merge
from acp_langgraph.mapping.edges import add_io_mapped_conditional_edge, add_io_mapped_edge


class Audience(enum.Enum):
    general = "general"
    technical = "technical"


class TargetAudience(enum.Enum):
    """The reviewer's own."""

    general = "general"
    technical = "technical"


class Type(enum.Enum):
    human = "human"
    ai = "ai"


class Message(BaseModel):
    """The composer's own."""

    type: Type
    content: str

    @field_validator("type", mode="before")
    @classmethod
    def assistant_is_ai(cls, value: Any) -> Any:
        return "ai" if value == "assistant" else value


class ComposerInput(BaseModel):
    messages: list[Message]
    is_completed: bool | None = None


class ComposerOutput(BaseModel):
    final_email: str | None = None
    messages: list[Message] = []


class ReviewerInput(BaseModel):
    email: str
    target_audience: TargetAudience | None = None


class ReviewerOutput(BaseModel):
    corrected_email: str | None = None


class Query(BaseModel):
    query: str


class Composer(BaseModel):
    input: ComposerInput | None = None
    output: ComposerOutput | None = None


class Reviewer(BaseModel):
    input: ReviewerInput | None = None
    output: ReviewerOutput | None = None


class Bridge(BaseModel):
    input: Query | None = None
    output: str | None = None


class Verdict(BaseModel):
    intent_analyzer_output: str
    prompt_analyzer_output: str
    is_completed: bool


class Step(BaseModel):
    text: str


class Recipe(BaseModel):
    title: str
    steps: list[Step] = []


class Campaign(TypedDict, total=False):
    name: str
    users: list[dict[str, Any]]
    tags: list[str]


class User(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    name: str
    address: str = Field("", alias="e_mail")


@dataclasses.dataclass
class Settings:
    language: str = "en"
    verdict: Verdict | None = None


class State(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages] = []
    operation_logs: Annotated[list[str], operator.add] = []
    has_composer_completed: bool = False
    target_audience: Audience = Audience.technical
    sender: str = "me@example.com"
    composer: Composer | None = None
    reviewer: Reviewer = Reviewer()
    sendgrid: Bridge | None = Bridge()
    final_intent: dict[str, Any] | None = None
    verdict: Verdict | None = None
    recipe: Recipe | None = None
    campaign: Campaign | None = None
    selected_users: list[User] = []
    settings: Settings = dataclasses.field(default_factory=Settings)
    loose: dict = {}
    anything: Any = None
    box: Annotated[Recipe | None, merge] = None


GIVEN: dict[str, Any] = {
    "messages": [HumanMessage("Sell shoes", id="1"), AIMessage("Which?", id="2")],
    "has_composer_completed": True,
    "composer": Composer(output=ComposerOutput(final_email="Buy")),
    "sendgrid": Bridge(output="sent"),
    "final_intent": {"label": "sell", "score": 3},
    "selected_users": [User(name="Ada", e_mail="ada@example.com"), User(name="Bob")],
    "anything": {"deep": {"er": [1, 2]}},
}
AGAIN = {"sender": "me@example.com"}
BRIEF = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}

# What was mapped, the channel it went to, and what is in there as JSON afterwards.
MAPPINGS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "the chat and a flag, by the agent's own messages": (
        {
            "input_fields": ["messages", "has_composer_completed"],
            "output_fields": ["composer.input"],
            "field_mapping": {
                "composer.input.messages": "messages",
                "composer.input.is_completed": "has_composer_completed",
            },
        },
        "composer.input",
        {
            "messages": [
                {"type": "human", "content": "Sell shoes"},
                {"type": "ai", "content": "Which?"},
            ],
            "is_completed": True,
        },
    ),
    "a mail and an enum of the state's": (
        {
            "output_fields": ["reviewer.input"],
            "field_mapping": {"reviewer.input.email": "composer.output.final_email"},
        },
        "reviewer.input",
        {"email": "Buy", "target_audience": "technical"},
    ),
    "a query, of what there is": (
        {
            "field_mapping": {
                "sendgrid.input.query": coalesce(
                    "Send from {sender}: {reviewer.output.corrected_email}",
                    "Send from {sender}: {composer.output.final_email}",
                )
            }
        },
        "sendgrid.input",
        {"query": "Send from me@example.com: Buy"},
    ),
    "a text into a log": (
        {"field_mapping": {"operation_logs": "{sendgrid.output}!"}},
        "operation_logs",
        ["sent!"],
    ),
    "the last message by its text": (
        {"field_mapping": {"sendgrid.input.query": "messages[-1].text"}},
        "sendgrid.input.query",
        "Which?",
    ),
    "renames, a text of an object, and a constant": (
        {
            "output_fields": ["verdict"],
            "field_mapping": {
                "verdict.intent_analyzer_output": "{final_intent}",
                "verdict.prompt_analyzer_output": copy("composer.output.final_email", default=""),
                "verdict.is_completed": True,
            },
        },
        "verdict",
        {
            "intent_analyzer_output": '{"label": "sell", "score": 3}',
            "prompt_analyzer_output": "Buy",
            "is_completed": True,
        },
    ),
    "the same inside a dataclass": (
        {
            "field_mapping": {
                "settings.verdict": {
                    "intent_analyzer_output": "final_intent.label",
                    "prompt_analyzer_output": call(str, "final_intent.score"),
                    "is_completed": const(value=False),
                },
                "settings.language": const("de"),
            }
        },
        "settings.verdict",
        {"intent_analyzer_output": "sell", "prompt_analyzer_output": "3", "is_completed": False},
    ),
    "JSONPaths": (
        {"field_mapping": {"$.campaign.name": "$.final_intent.label", "loose.x": "$['sender']"}},
        "campaign",
        {"name": "sell"},
    ),
    "every item of a list, by another name": (
        {
            "field_mapping": {
                "campaign.users": each("selected_users", {"to": "address", "name": "name"})
            }
        },
        "campaign.users",
        [{"to": "ada@example.com", "name": "Ada"}, {"to": "", "name": "Bob"}],
    ),
    "one of a list": (
        {"field_mapping": {"loose.user": "selected_users.0.name", "loose.deep.er": "sender"}},
        "loose",
        {"user": "Ada", "deep": {"er": "me@example.com"}},
    ),
    "a path into what is not declared": (
        {"field_mapping": {"anything.other": "anything.deep.er.1"}},
        "anything.other",
        2,
    ),
    "two places of a list that is not there": (
        {
            "field_mapping": {
                "recipe.title": const("Shoes"),
                "recipe.steps.0.text": "final_intent.label",
                "recipe.steps.1.text": "sender",
            }
        },
        "recipe.steps",
        [{"text": "sell"}, {"text": "me@example.com"}],
    ),
    "a part, merged": (
        {"field_mapping": {"box.title": "sender"}},
        "box",
        {"title": "me@example.com", "steps": []},
    ),
    "by a schema from a descriptor, of the field": (
        {
            "output_fields": ["loose"],
            "output_schema": BRIEF,
            "field_mapping": {"loose.query": "{target_audience}"},
        },
        "loose.query",
        "technical",
    ),
    "a dict as a whole": (
        {"input_fields": ["final_intent"], "output_fields": ["loose"], "field_mapping": {"loose": "final_intent"}},
        "loose",
        {"label": "sell", "score": 3},
    ),
    "a message written in short": (
        {"field_mapping": {"messages": call(lambda text: ("user", text), "sender")}},
        "messages[-1].content",
        "me@example.com",
    ),
}  # fmt: skip


def at(state: Any, path: str) -> Any:
    found = StatePath.parse(path).read(state)
    if isinstance(found, BaseModel):
        return found.model_dump(mode="json")
    if isinstance(found, list):
        return [each.model_dump() if isinstance(each, BaseModel) else each for each in found]
    return dataclasses.asdict(found) if dataclasses.is_dataclass(found) else found


@both_colors
@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_of_a_real_application_works_and_works_again(color, name):
    config, path, expected = MAPPINGS[name]
    builder = StateGraph(State)
    builder.add_node("before", lambda _: {})
    builder.add_node("after", lambda _: {})
    builder.add_edge(START, "before")
    add_io_mapped_edge(builder, "before", "after", config)
    graph = builder.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": name}}
    for turn in range(3):
        result = run_graph(color, graph, GIVEN if turn == 0 else AGAIN, thread)
        if path == "operation_logs":
            assert at(result, path) == expected * (turn + 1)
        else:
            assert at(result, path) == expected


@both_colors
def test_free_text_becomes_an_object_by_a_model_each_time(color):
    model = ScriptedChat(
        script=[{"recipe": {"title": f"Mail {n}", "steps": [{"text": "x"}]}} for n in range(3)]
    )
    builder = StateGraph(State)
    builder.add_node("before", lambda _: {})
    builder.add_node("after", lambda _: {})
    builder.add_edge(START, "before")
    mapping = {
        "input_fields": ["messages"],
        "output_fields": [{"json_path": "recipe", "description": "what is to be done"}],
    }
    add_io_mapped_edge(builder, "before", "after", mapping, llm=model)
    graph = builder.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    for turn in range(3):
        result = run_graph(color, graph, GIVEN, thread)
        assert result["recipe"] == Recipe(title=f"Mail {turn}", steps=[Step(text="x")])


class Models(NamedTuple):
    """The state of a campaign, and what two of its agents give."""

    state: type[State]
    composed: type[BaseModel]
    reviewed: type[BaseModel]


def generated() -> Models:
    """The models that `acp-langgraph types` writes of the three agents, each agent's a module of its own."""
    agents = {
        "composer": (ComposerInput.model_json_schema(), ComposerOutput.model_json_schema()),
        "reviewer": (ReviewerInput.model_json_schema(), ReviewerOutput.model_json_schema()),
        "sendgrid": (Query.model_json_schema(), {"type": "string"}),
    }
    outputs: list[Any] = []
    channels: dict[str, Any] = {}
    for name, (takes, gives) in agents.items():
        wire = descriptor(name, input=takes, output=gives)
        agent = FoundAgent(name, AgentACPDescriptor.model_validate(wire))
        module = imported(models_of(agent, "http://host"))
        outputs.append(str if name == "sendgrid" else module.Output)
        own = create_model(
            name, input=(module.Input | None, None), output=(outputs[-1] | None, None)
        )
        channels[name] = (own, own())
    return Models(create_model("Generated", __base__=State, **channels), outputs[0], outputs[1])


BY_HAND = Models(State, ComposerOutput, ReviewerOutput)


def campaign(models: Models) -> Any:
    """Composer, reviewer and bridge, each reading the input that is mapped for it."""

    def compose(state: Any) -> Any:
        assert state.composer is not None
        assert state.composer.input is not None
        said = [message.content for message in state.composer.input.messages]
        done = said[-1].endswith("please")
        output = models.composed(final_email=f"Mail of {said[-1]}" if done else None)
        answer = AIMessage("Done" if done else "What else?")
        return {
            "composer": state.composer.model_copy(update={"output": output}),
            "has_composer_completed": done,
            "messages": [answer],
        }

    def review(state: Any) -> Any:
        assert state.reviewer.input is not None
        audience = state.reviewer.input.target_audience
        assert audience in {TargetAudience.technical, TargetAudience.technical.value}
        better = state.reviewer.input.email.upper() if "2" in state.reviewer.input.email else None
        output = models.reviewed(corrected_email=better)
        return {"reviewer": state.reviewer.model_copy(update={"output": output})}

    def send(state: Any) -> Any:
        assert state.sendgrid is not None
        assert state.sendgrid.input is not None
        output = f"sent {state.sendgrid.input.query}"
        return {"sendgrid": state.sendgrid.model_copy(update={"output": output})}

    builder = StateGraph(models.state)
    builder.add_node("process_inputs", lambda _: {})
    builder.add_node("mailcomposer", compose)
    builder.add_node("email_reviewer", review)
    builder.add_node("sendgrid", send)
    builder.add_edge(START, "process_inputs")
    chat, mail, _ = list(MAPPINGS.values())[:3]
    add_io_mapped_edge(builder, "process_inputs", "mailcomposer", chat[0])
    add_io_mapped_conditional_edge(
        builder,
        "mailcomposer",
        lambda state: "done" if state.has_composer_completed else "user",
        {
            "done": {"end": "email_reviewer", "metadata": mail[0]},
            "user": {"end": END, "metadata": None},
        },
    )
    query = list(MAPPINGS.values())[2]
    add_io_mapped_edge(builder, "email_reviewer", "sendgrid", query[0])
    log = list(MAPPINGS.values())[3]
    add_io_mapped_edge(builder, "sendgrid", END, log[0])
    return builder


@pytest.mark.parametrize("models", [BY_HAND, generated()], ids=["written by hand", "generated"])
@both_colors
def test_a_campaign_is_a_chat_of_five_mails_in_one_thread(color, models):
    graph = campaign(models).compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "chat"}}
    for turn in range(1, 6):
        asked = run_graph(color, graph, {"messages": [("user", f"mail {turn}")]}, thread)
        assert asked["messages"][-1].content == "What else?"
        assert len(asked["operation_logs"]) == turn - 1
        done = run_graph(color, graph, {"messages": [("user", f"mail {turn}, please")]}, thread)
        mail = f"Mail of mail {turn}, please"
        expected = mail.upper() if turn == 2 else mail
        assert done["operation_logs"][-1] == f"sent Send from me@example.com: {expected}!"
        assert len(done["operation_logs"]) == turn
