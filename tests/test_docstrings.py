"""The examples in docstrings run: what `help` shows can be copied."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import textwrap
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from starlette.applications import Starlette
from support.agents import echo

import acp_langgraph
from acp_langgraph.core.webhooks import new_secret
from acp_langgraph.server import create_app, serve

DOCUMENTED = [
    *(getattr(acp_langgraph, name) for name in acp_langgraph.__all__),
    serve,
    create_app,
]


def example(found: Any) -> str:
    """The first indented block of a docstring, before its sections."""
    words = (inspect.getdoc(found) or "").partition("\nArgs:")[0].partition("\nAttributes:")[0]
    block = re.search(r"^ {4}.*\n(?:(?: {4}.*)?\n)*", f"{words}\n", re.MULTILINE)
    return textwrap.dedent(block[0]).strip() if block else ""


EXAMPLES = [found for found in DOCUMENTED if example(found)]


class Draft(BaseModel):
    body: str = ""


class Review(BaseModel):
    email: str = ""
    audience: str = ""


class Campaign(BaseModel):
    audience: str = ""
    draft: Draft = Draft()
    review: Review = Review()


def waiting() -> Any:
    """A graph whose checkpointer has no thread that waits."""
    builder = StateGraph(Campaign).add_node("nothing", lambda _: {}).add_edge(START, "nothing")
    return builder.compile(checkpointer=InMemorySaver())


@pytest.mark.parametrize("found", EXAMPLES, ids=lambda found: found.__name__)
def test_the_example_of_a_docstring_runs(
    found: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.4711")
    builder = StateGraph(Campaign)
    builder.add_node("compose", lambda _: {}).add_node("review", lambda _: {})
    builder.add_edge(START, "compose").add_edge("review", END)
    names = {
        **{name: getattr(acp_langgraph, name) for name in acp_langgraph.__all__},
        "os": os,
        "serve": serve,
        "END": END,
        "Draft": Draft,
        "Review": Review,
        "builder": builder,
        "graph": waiting() if found.__name__ in {"Sweeper", "WakeApp"} else echo(),
        "FastAPI": Starlette,
        "secret": new_secret(),
        "value": {"text": "Hello"},
        "config": {"configurable": {"thread_id": "1"}},
        "ask": str,
        "look_up": str.upper,
        "reviewer": echo(),
    }
    with serve({"mailcomposer": echo()}) as server:
        code = example(found).replace("http://127.0.0.1:8000", server.url)
        if "async with" in code:
            indented = textwrap.indent(code, "    ")
            exec(f"async def main():\n{indented}", names)  # noqa: S102 - that is the test
            asyncio.run(names["main"]())
        else:
            exec(code, names)  # noqa: S102 - that is the test
        for made in names.values():
            if isinstance(made, acp_langgraph.ACPNode):
                made.close()
    if "print(" in code:
        assert ("graph TD" if "draw_mermaid" in code else "Hello") in capsys.readouterr().out


def test_what_most_people_look_up_has_an_example() -> None:
    names = {found.__name__ for found in EXAMPLES}
    assert names >= {
        "ACPClient",
        "ACPNode",
        "APIBridgeAgentNode",
        "ApiClientConfiguration",
        "AsyncACPClient",
        "QuantChatNode",
        "QuantOrchestrationNode",
        "QuantTaskNode",
        "QuantToolNode",
        "add_io_mapped_conditional_edge",
        "add_io_mapped_edge",
        "serve",
    }
