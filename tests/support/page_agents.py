"""Agents for the page: they ask in every form, stream, fail, and write what looks like markup."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send, interrupt
from pydantic import Base64Bytes, BaseModel, Field

HOSTILE = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'><b>bold</b>"


class Item(BaseModel):
    """A line of an order."""

    name: str
    price: float = Field(gt=0)


class Address(BaseModel):
    """Where something goes."""

    street: str
    city: str = "Paris"


class Pickup(BaseModel):
    """Somebody comes for it."""

    at: datetime


class Order(BaseModel):
    """Something of every kind that a form has a field for."""

    title: str = Field(description="What it is about")
    count: int = Field(default=3, ge=1, le=9)
    urgent: bool
    colour: Literal["red", "green"] = "red"
    due: date | None = None
    items: list[Item] = []
    way: Address | Pickup
    gift: Address | None = None
    letter: Base64Bytes | None = None
    extra: dict[str, Any] = {}


class Answered(TypedDict):
    text: str
    answers: NotRequired[Annotated[list[Any], operator.add]]


class Decision(BaseModel):
    """What to do with a draft."""

    approve: bool
    note: str = Field(default="", max_length=40)


def ordering() -> Any:
    """Gives back what it was ordered."""
    builder = StateGraph(Order)
    builder.add_node("take", lambda _: {})
    builder.add_edge(START, "take")
    return builder.compile()


def asking(question: Any, schema: Any = None) -> Any:
    """Asks one question; gives back the answer."""

    def ask(_: Answered) -> dict[str, Any]:
        answer = interrupt(question, response_schema=schema) if schema else interrupt(question)
        return {"answers": [answer.model_dump() if isinstance(answer, BaseModel) else answer]}

    builder = StateGraph(Answered)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    return builder.compile()


def asking_many() -> Any:
    """Asks two questions at once."""

    def ask(item: str) -> dict[str, Any]:
        return {"answers": [f"{item}: {interrupt(f'What about {item}?')}"]}

    builder = StateGraph(Answered)
    builder.add_node("ask", ask)
    builder.add_conditional_edges(START, lambda _: [Send("ask", each) for each in ("tea", "milk")])
    return builder.compile()


def writing(wait: Callable[[], None]) -> Any:
    """Writes a text piece by piece, and waits in the middle of it."""

    def write(_: Answered) -> dict[str, Any]:
        put = get_stream_writer()
        for piece in ("Once ", "upon ", "a time"):
            put({"text": piece})
        wait()
        put({"text": ", the end."})
        put({"progress": 100})
        return {"text": "written"}

    builder = StateGraph(Answered)
    builder.add_node("write", write)
    builder.add_edge(START, "write")
    return builder.compile()


def chatting() -> Any:
    """Answers in a chat."""

    def reply(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"You said: {state['messages'][-1].text}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("reply", reply)
    builder.add_edge(START, "reply")
    return builder.compile()


def branching() -> Any:
    """A graph that forks, joins, loops and chooses."""
    builder = StateGraph(Answered)
    for name in ("plan", "search", "read", "write", "review", "publish"):
        builder.add_node(name, lambda _: {})
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "search")
    builder.add_edge("plan", "read")
    builder.add_edge(["search", "read"], "write")
    builder.add_edge("write", "review")
    paths = {"again": "write", "more sources": "plan", "good": "publish"}
    builder.add_conditional_edges("review", lambda _: "good", paths)
    builder.add_edge("publish", END)
    return builder.compile()


def inbox(*, respond: bool = True) -> Any:
    """Asks as Agent Inbox shows it; gives back the response."""
    request = {
        "action_request": {"action": "run_command", "args": {"command": "ls", "times": 1}},
        "config": {
            "allow_accept": True,
            "allow_edit": True,
            "allow_respond": respond,
            "allow_ignore": True,
        },
        "description": "## Look first\n\nIt runs **now**:\n\n- `ls` in the home folder\n- nothing else",
    }

    def ask(_: Answered) -> dict[str, Any]:
        return {"answers": [interrupt([request])[0]]}

    builder = StateGraph(Answered)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    return builder.compile()


@tool
def send_mail(to: str, body: str) -> str:
    """Send a mail."""
    return f"sent to {to}: {body}"


@tool
def ask_user(question: str) -> str:
    """Ask the user."""
    raise AssertionError("a human answers in its place")


def with_middleware(*, mode: str = "batched") -> Any:
    """LangChain's agent with its human-in-the-loop middleware: two calls, both to be decided on."""
    calls = [
        {"name": "send_mail", "args": {"to": "ann@example.org", "body": "hi"}, "id": "c1"},
        {"name": "ask_user", "args": {"question": "which colour?"}, "id": "c2"},
    ]

    def said() -> Iterator[AnyMessage]:
        while True:
            yield AIMessage("", tool_calls=calls)
            yield AIMessage("all done")

    class Model(GenericFakeChatModel):
        def bind_tools(self, *_: Any, **__: Any) -> Any:
            return self

    rules: Any = {
        "send_mail": {"allowed_decisions": ["approve", "edit", "reject"]},
        "ask_user": {"allowed_decisions": ["respond"]},
    }
    middleware = HumanInTheLoopMiddleware(interrupt_on=rules, interrupt_mode=mode)
    return create_agent(
        Model(messages=said()),
        tools=[send_mail, ask_user],
        middleware=[middleware],
        checkpointer=InMemorySaver(),
    )
