"""Servers that cannot be asked whether something was done, as values: an API Bridge, and Quant's tools.

What they have done is counted. Neither knows a key, neither can be searched, and neither can cancel.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from simulation.process import ModelTransport, Process, Request

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.nodes.bridge import APIBridgeAgentNode
from acp_langgraph.nodes.quant import QuantToolNode
from acp_langgraph.quant.polling import Pace, SharedPolling

__all__ = ["BridgeModel", "QuantModel", "Remembering", "bridge_maker", "quant_maker"]


class Works(NamedTuple):
    """What a server has done.

    Attributes:
        done: Of each piece of work, whether it is over.
    """

    done: tuple[bool, ...] = ()


class OnceModel:
    """A server that does whatever it is told, as often as it is told."""

    empty = Works()
    starts = ""

    def broken(self, server: Works, answers: Mapping[str, str], most_runs: int) -> str | None:
        """Whether something was done twice."""
        if len(server.done) > most_runs:
            return f"it was done {len(server.done)} times"
        return None

    def results(self, server: Works) -> list[Any]:
        """What may have come of it."""
        raise NotImplementedError

    def at_work(self, server: Works) -> list[str]:
        """Nothing that could be ended."""
        return []

    def was_answered(self, server: Works, question: Any) -> bool:
        """It asks nothing."""
        return False

    def changes(self, request: Request) -> bool:
        """Whether a request changes anything on the server."""
        return request.operation == self.starts

    def waits(self, server: Works, request: Request) -> bool:
        """Whether there is nothing to tell yet."""
        return False

    def moves(self, server: Works) -> list[tuple[str, Works]]:
        """What may go on by itself."""
        return []

    def is_stream(self, request: Request) -> bool:
        """It has none."""
        return False


class BridgeModel(OnceModel):
    """An API Bridge: a query is carried out while it is answered."""

    starts = "query_service"

    def results(self, server: Works) -> list[Any]:
        return ["sent" for _ in server.done]

    def respond(self, server: Works, _: Request) -> tuple[Works, int, bytes]:
        return Works((*server.done, True)), 200, b"sent"


class QuantModel(OnceModel):
    """Quant's tools: a chat starts one, which goes on by itself and is looked at."""

    starts = "chat_inference"

    def results(self, server: Works) -> list[Any]:
        return [[f"made by execution-{number + 1}"] for number in range(len(server.done))]

    def waits(self, server: Works, request: Request) -> bool:
        looks = request.operation == "get_ai_tool_execution_status"
        return looks and not server.done[self._number(request)]

    def moves(self, server: Works) -> list[tuple[str, Works]]:
        found = []
        for number, is_over in enumerate(server.done):
            if not is_over:
                over = (*server.done[:number], True, *server.done[number + 1 :])
                found.append((f"execution-{number + 1} is over", Works(over)))
        return found

    def respond(self, server: Works, request: Request) -> tuple[Works, int, bytes]:
        if request.operation == "list_ai_tool_executions":
            shown = [_execution(number, over) for number, over in enumerate(server.done, 1)]
            return server, 200, json.dumps({"executions": shown, "count": len(shown)}).encode()
        if not self.changes(request):
            number = self._number(request)
            return server, 200, json.dumps(_execution(number + 1, server.done[number])).encode()
        server = Works((*server.done, False))
        number = len(server.done)
        use = {"toolUseId": "use", "name": "make", "input": {}, "status": "pending"}
        use["executionId"] = f"execution-{number}"
        said = {"role": "assistant", "content": "", "toolUse": use}
        answer = {"response": said, "requestId": "1", "finishReason": "tool_use", "model": "m"}
        return server, 200, json.dumps(answer).encode()

    @staticmethod
    def _number(request: Request) -> int:
        return int(request.path.rpartition("-")[2]) - 1


def _execution(number: int, is_over: bool) -> dict[str, Any]:
    shown = {"executionId": f"execution-{number}", "toolName": "make", "createdAt": 0}
    if is_over:
        return {**shown, "status": "complete", "result": f"made by execution-{number}"}
    return {**shown, "status": "running"}


class Remembering:
    """What of a node outlives an invocation: nothing."""

    def memory(self) -> Any:
        """Nothing."""
        return ()

    def restore(self, memory: Any) -> None:
        """It is so already."""


class BridgeProcessNode(Remembering, APIBridgeAgentNode):
    """A bridge's node in a process."""


class QuantProcessNode(Remembering, QuantToolNode):
    """A node of Quant's tools in a process; its result is what the tools gave."""

    async def ainvoke(self, *args: Any, **options: Any) -> Any:
        change = await super().ainvoke(*args, **options)
        return {"answer": [each["result"] for each in change["answer"]["tools"]]}


def bridge_maker(**options: Any) -> Any:
    """Makes bridges' nodes for processes, all alike."""
    configuration = ApiClientConfiguration("http://bridge.invalid", retries=2)
    template = BridgeProcessNode(
        "remote", configuration, "mail", "ask", "answer", output_type=str, **options
    )

    def make(process: Process) -> Any:
        node = copy.copy(template)
        node.async_transport = ModelTransport(process, template.transport)  # type: ignore[assignment]
        return node

    return make


def quant_maker(**options: Any) -> Any:
    """Makes nodes of Quant's tools for processes, all alike."""
    tool = {"toolSpec": {"name": "make", "description": "", "inputSchema": {"json": {}}}}
    template = QuantProcessNode(
        "remote",
        ApiClientConfiguration("http://quant.invalid", retries=2),
        organisation="acme",
        model_id="m",
        tools=[tool],
        input_path="ask",
        output_path="answer",
        pace=Pace(1.0, 1.0, None),
        **options,
    )

    def make(process: Process) -> Any:
        node = copy.copy(template)
        node.async_transport = ModelTransport(process, template.transport)  # type: ignore[assignment]
        node.policy = replace(template.policy, clock=lambda: process.now)
        node.sharing = SharedPolling(lambda: process.now)
        node._tools = replace(
            template._tools,
            executions=node.policy,
            orchestrations=node.policy,
            sharing=node.sharing,
        )
        return node

    return make
