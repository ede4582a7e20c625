"""The mappings of a real application, declared without a model.

A marketing campaign: a composer writes an e-mail with the user, a reviewer corrects it, a bridge
sends it. The application did all five mappings by a model or by a node written by hand.
"""

from __future__ import annotations

import enum
import operator
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import END, START, StateGraph, add_messages
from pydantic import BaseModel
from support.chat import ScriptedChat
from support.mapped import both_colors, run, run_graph

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import coalesce, compile_input, compile_output, compile_plan, from_config
from acp_langgraph.mapping import llm as by_model
from acp_langgraph.mapping.edges import add_io_mapped_conditional_edge, add_io_mapped_edge


class Audience(enum.Enum):
    general = "general"
    technical = "technical"


class ReviewAudience(enum.Enum):
    """The same values in the reviewer's own generated models."""

    general = "general"
    technical = "technical"


class ComposerInput(BaseModel):
    messages: list[AnyMessage]
    is_completed: bool | None = None


class ComposerOutput(BaseModel):
    messages: list[AnyMessage] = []
    is_last_message: bool = False
    final_email: str | None = None


class ReviewerInput(BaseModel):
    email: str
    target_audience: ReviewAudience


class ReviewerOutput(BaseModel):
    correct: bool
    corrected_email: str | None = None


class BridgeInput(BaseModel):
    query: str


class BridgeOutput(BaseModel):
    result: str


class ComposerState(BaseModel):
    input: ComposerInput | None = None
    output: ComposerOutput | None = None


class ReviewerState(BaseModel):
    input: ReviewerInput | None = None
    output: ReviewerOutput | None = None


class BridgeState(BaseModel):
    input: BridgeInput | None = None
    output: BridgeOutput | None = None


class Campaign(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages] = []
    operation_logs: Annotated[list[str], operator.add] = []
    has_composer_completed: bool = False
    target_audience: Audience = Audience.technical
    mailcomposer_state: ComposerState | None = None
    email_reviewer_state: ReviewerState | None = None
    sendgrid_state: BridgeState | None = None


EMAIL = "<html>" + 'Buy now & enjoy "quality".\n' * 50 + "</html>"

COMPOSED: dict[str, Any] = {
    "mailcomposer_state": ComposerState(
        output=ComposerOutput(final_email=EMAIL, is_last_message=True)
    )
}


def best_email(target: str = "sendgrid_state.input.query") -> dict[str, Any]:
    """The corrected e-mail, or the composed one if there was nothing to correct."""
    return {
        target: coalesce(
            "Send to {config:recipient}: {email_reviewer_state.output.corrected_email}",
            "Send to {config:recipient}: {mailcomposer_state.output.final_email}",
        )
    }


def campaign(reviewed: ReviewerOutput) -> Any:
    builder = StateGraph(Campaign)
    builder.add_node("process_inputs", lambda _: {})
    builder.add_node("mailcomposer", lambda _: COMPOSED)
    builder.add_node(
        "email_reviewer",
        lambda state: {
            "email_reviewer_state": state.email_reviewer_state.model_copy(
                update={"output": reviewed}
            )
        },
    )
    builder.add_node(
        "sendgrid",
        lambda state: {
            "sendgrid_state": state.sendgrid_state.model_copy(
                update={"output": BridgeOutput(result="accepted")}
            )
        },
    )
    builder.add_edge(START, "process_inputs")
    # 1. the user's messages, and a rename
    add_io_mapped_edge(
        builder,
        "process_inputs",
        "mailcomposer",
        {
            "output_fields": ["mailcomposer_state.input"],
            "field_mapping": {
                "mailcomposer_state.input.messages": "messages",
                "mailcomposer_state.input.is_completed": "has_composer_completed",
            },
        },
    )
    # 2. the composed e-mail to the reviewer; 3. or back to the user
    add_io_mapped_conditional_edge(
        builder,
        "mailcomposer",
        lambda state: "done" if state.mailcomposer_state.output.final_email else "user",
        {
            "done": {
                "end": "email_reviewer",
                "metadata": {
                    "input_fields": ["mailcomposer_state.output.final_email", "target_audience"],
                    "output_fields": ["email_reviewer_state.input"],
                    "field_mapping": {
                        "email_reviewer_state.input.email": "mailcomposer_state.output.final_email"
                    },
                },
            },
            "user": {"end": END, "metadata": None},
        },
    )
    # 4. a text for the sender
    add_io_mapped_edge(
        builder,
        "email_reviewer",
        "sendgrid",
        {"output_fields": ["sendgrid_state.input"], "field_mapping": best_email()},
    )
    # 5. a line for the log
    add_io_mapped_edge(
        builder,
        "sendgrid",
        END,
        {
            "field_mapping": {
                "operation_logs": "Email Send Operation: {sendgrid_state.output.result}"
            }
        },
    )
    return builder.compile()


CONFIG = {"configurable": {"recipient": "bo@example.org", "sender": "ann@example.org"}}


@pytest.mark.parametrize(
    ("reviewed", "sent"),
    [
        (ReviewerOutput(correct=False, corrected_email="Better"), "Better"),
        (ReviewerOutput(correct=True, corrected_email=None), EMAIL),
    ],
    ids=["corrected", "nothing to correct"],
)
@both_colors
def test_the_five_mappings_of_the_campaign_need_no_model(color, reviewed, sent):
    messages = [HumanMessage("Hello", id="1"), AIMessage("Hi", id="2")]
    result = run_graph(color, campaign(reviewed), {"messages": messages}, CONFIG)
    composer = result["mailcomposer_state"]
    assert composer.output.final_email == EMAIL
    reviewer = result["email_reviewer_state"]
    assert reviewer.input == ReviewerInput(email=EMAIL, target_audience=ReviewAudience.technical)
    assert reviewer.output == reviewed
    assert result["sendgrid_state"].input.query == f"Send to bo@example.org: {sent}"
    assert result["operation_logs"] == ["Email Send Operation: accepted"]
    assert result["messages"] == messages


@both_colors
def test_a_missing_configuration_stops_before_anything_is_sent(color):
    with pytest.raises(MappingError, match=r"sendgrid_state\.input\.query: .*recipient"):
        run_graph(color, campaign(ReviewerOutput(correct=True)), {}, None)


def test_the_wrong_source_field_of_an_early_version_is_found_when_the_edge_is_added():
    with pytest.raises(NodeConfigurationError, match=r"output\.email: .*'?corrected_email"):
        compile_plan(
            {"sendgrid_state.input.query": "email_reviewer_state.output.email"},
            source_schema=Campaign,
            target_schema=Campaign,
            complete=(),
        )


def test_the_wrapper_instead_of_its_input_is_found_when_the_edge_is_added():
    with pytest.raises(NodeConfigurationError, match="str cannot become BridgeState"):
        compile_plan(
            {"sendgrid_state": "Send {mailcomposer_state.output.final_email}"},
            source_schema=Campaign,
            target_schema=Campaign,
            complete=(),
        )


class Flat(BaseModel):
    """The campaign's state without wrappers: the nodes take their plans directly."""

    messages: Annotated[list[AnyMessage], add_messages] = []
    target_audience: Audience = Audience.technical
    final_email: str | None = None
    logs: Annotated[list[str], operator.add] = []


@both_colors
def test_without_wrapper_classes_a_node_takes_its_input_from_several_places(color):
    plan = compile_input({"email": "final_email"}, state=Flat, agent=ReviewerInput)
    value = run(color, "make_value", plan, Flat(final_email="e"))
    assert value == ReviewerInput(email="e", target_audience=ReviewAudience.technical)


@both_colors
def test_without_wrapper_classes_an_answer_falls_back_to_what_the_state_has(color):
    plan = compile_output(
        {
            "final_email": coalesce("corrected_email", "state:final_email"),
            "logs": "reviewed: {correct}",
        },
        state=Flat,
        agent=ReviewerOutput,
    )
    state = Flat(final_email="composed")
    answer = {"correct": True, "corrected_email": None}
    delta = run(color, "make_delta", plan, answer, state=state)
    assert delta == {"final_email": "composed", "logs": ["reviewed: True"]}
    assert state == Flat(final_email="composed")


@both_colors
def test_the_schema_of_a_descriptor_serves_as_well_as_a_class(color):
    plan = compile_input(
        {"email": "final_email"}, state=Flat, agent=ReviewerInput.model_json_schema()
    )
    value = run(color, "make_value", plan, Flat(final_email="e"))
    assert value == {"email": "e", "target_audience": "technical"}
    with pytest.raises(NodeConfigurationError, match=r"email .* is needed.*final_email"):
        compile_input({}, state=Flat, agent=ReviewerInput.model_json_schema())


@both_colors
def test_two_renames_a_text_and_a_constant_from_two_agents(color):
    """What a third party wrote a node for, between each pair of its three agents."""

    class Wanted(BaseModel):
        intent_analyzer_output: str
        prompt_analyzer_output: str
        is_completed: bool
        recipient: str

    plan = compile_input(
        {
            "intent_analyzer_output": "{sendgrid_state.output.result}",
            "prompt_analyzer_output": "mailcomposer_state.output.final_email",
            "is_completed": True,
            "recipient": from_config("recipient"),
        },
        state=Campaign,
        agent=Wanted,
    )
    state = Campaign(
        mailcomposer_state=COMPOSED["mailcomposer_state"],
        sendgrid_state=BridgeState(output=BridgeOutput(result="r")),
    )
    value = run(color, "make_value", plan, state, CONFIG)
    assert value == Wanted(
        intent_analyzer_output="r",
        prompt_analyzer_output=EMAIL,
        is_completed=True,
        recipient="bo@example.org",
    )


class Ingredient(BaseModel):
    name: str
    grams: int


class Recipe(BaseModel):
    title: str
    ingredients: list[Ingredient]
    vegan: bool


class Kitchen(BaseModel):
    text: str = ""
    recipe: Recipe | None = None
    summary: str = ""


RIGHT = {"title": "Soup", "ingredients": [{"name": "leek", "grams": 200}], "vegan": True}

SIX_WRONG = [
    ("prose", "Of course, a recipe!"),
    ("broken", '{"recipe": {"title": "Soup", '),
    ("missing", {"recipe": {"title": "Soup", "vegan": True}}),
    ("wrong type", {"recipe": {**RIGHT, "ingredients": [{"name": "leek", "grams": "many"}]}}),
    ("wrong shape", {"recipe": {**RIGHT, "ingredients": "leek"}}),
    ("wrong key", {"dish": RIGHT}),
]


@pytest.mark.parametrize("pair", [SIX_WRONG[0:2], SIX_WRONG[2:4], SIX_WRONG[4:6]])
@both_colors
def test_free_text_becomes_an_object_although_the_model_is_wrong_in_six_ways(color, pair):
    plan = compile_plan(
        {"recipe": by_model("the recipe in the text", "text"), "summary": "About: {text}"},
        source_schema=Kitchen,
        target_schema=Kitchen,
        complete=(),
        name="cook",
    )
    model = ScriptedChat(script=[answer for _, answer in pair] + [{"recipe": RIGHT}])
    delta = run(color, "make_delta", plan, Kitchen(text="leek soup"), model=model)
    assert delta == {"recipe": Recipe.model_validate(RIGHT), "summary": "About: leek soup"}
    assert len(model.asked) == 3
    assert all("cannot be used" in str(call[-1].text) for call in model.asked[1:])


@both_colors
def test_what_was_right_before_is_kept_when_only_another_field_is_repaired(color):
    plan = compile_plan(
        {"recipe": by_model("the recipe"), "summary": by_model("a summary")},
        source_schema=Kitchen,
        target_schema=Kitchen,
        complete=(),
    )
    model = ScriptedChat(script=[{"summary": "s", "recipe": 5}, {"recipe": RIGHT}])
    delta = run(color, "make_delta", plan, Kitchen(text="x"), model=model)
    assert delta == {"summary": "s", "recipe": Recipe.model_validate(RIGHT)}


@both_colors
def test_a_model_is_asked_only_if_no_rule_gave_a_value(color):
    plan = compile_plan(
        {"summary": coalesce("recipe.title", by_model("a title"))},
        source_schema=Kitchen,
        target_schema=Kitchen,
        complete=(),
    )
    silent = ScriptedChat(script=[])
    known = Kitchen(recipe=Recipe.model_validate(RIGHT))
    assert run(color, "make_delta", plan, known, model=silent) == {"summary": "Soup"}
    asked = ScriptedChat(script=[{"summary": "Stew"}])
    assert run(color, "make_delta", plan, Kitchen(), model=asked) == {"summary": "Stew"}


@both_colors
def test_the_answers_of_a_model_are_json_that_a_step_can_keep(color):
    plan = compile_plan(
        {"recipe": by_model("the recipe")},
        source_schema=Kitchen,
        target_schema=Kitchen,
        complete=(),
    )
    model = ScriptedChat(script=[{"recipe": RIGHT}])
    answers = run(color, "ask", plan, Kitchen(text="x"), model=model, check=plan.delta)
    assert answers == {"recipe": RIGHT}
    assert plan.delta(Kitchen(), answers=answers) == {"recipe": Recipe.model_validate(RIGHT)}


@both_colors
def test_a_plan_that_needs_no_model_asks_none(color):
    plan = compile_plan(
        {"summary": "text"}, source_schema=Kitchen, target_schema=Kitchen, complete=()
    )
    assert run(color, "ask", plan, Kitchen(text="x")) == {}
