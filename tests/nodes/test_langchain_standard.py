"""LangChain's own tests of what a tool must be, unchanged, over nodes as tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from langchain_core.tools import BaseTool

from acp_langgraph import A2ANode, ACPNode, APIBridgeAgentNode, RemoteGraphNode
from acp_langgraph.testing import (
    Answer,
    FakeA2AServer,
    FakeACPServer,
    FakeBridge,
    FakeLangGraphServer,
)

standard = pytest.importorskip(
    "langchain_tests.integration_tests", reason="pip install langchain-tests"
)
unit = pytest.importorskip("langchain_tests.unit_tests")

PLAIN: Any = {"input_type": str, "output_type": None}


def acp(stack: ExitStack) -> Any:
    server = stack.enter_context(FakeACPServer([Answer("done")]))
    return ACPNode("remote", server.agent_id, server.url, "ask", output_path="answer", **PLAIN)


def a2a(stack: ExitStack) -> Any:
    server = stack.enter_context(FakeA2AServer([Answer("done")]))
    return A2ANode("remote", server.url, "ask", output_path="answer", **PLAIN)


def remote_graph(stack: ExitStack) -> Any:
    server = stack.enter_context(FakeLangGraphServer([Answer({"done": True})]))
    return RemoteGraphNode(
        "remote", server.assistant_id, server.url, "ask", output_path="answer", **PLAIN
    )


def bridge(stack: ExitStack) -> Any:
    server = stack.enter_context(FakeBridge({"mail": lambda _: "sent"}))
    return APIBridgeAgentNode("remote", server.url, "mail", "ask", "answer", "sesame", **PLAIN)


class OverNodes:
    """What the tests are about."""

    _tool: BaseTool

    @pytest.fixture(autouse=True, params=[acp, a2a, remote_graph, bridge])
    def _served(self, request: pytest.FixtureRequest) -> Iterator[None]:
        make: Callable[[ExitStack], Any] = request.param
        with ExitStack() as stack:
            self._tool = make(stack).as_tool(description="Does what it is asked to.")
            yield

    @property
    def tool_constructor(self) -> BaseTool:
        return self._tool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return dict.fromkeys(self._tool.args, "hi")


class TestAsTheyAreMade(OverNodes, unit.ToolsUnitTests):
    """None of them is called."""


class TestAsTheyAreCalled(OverNodes, standard.ToolsIntegrationTests):
    """Over HTTP, blocking and awaiting."""
