"""`QuantToolNode` and `QuantOrchestrationNode`: asynchronous tools of Quant's, and several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Unpack

from langchain_core.runnables import RunnableConfig
from typing_extensions import override

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow, Progress
from acp_langgraph.core.retry import with_retries
from acp_langgraph.core.wire import dump
from acp_langgraph.errors import NodeConfigurationError, NodeInputError
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.ports import InputPort, OutputPort
from acp_langgraph.nodes.quant.base import QuantNode, QuantOptions, since
from acp_langgraph.quant import calls
from acp_langgraph.quant.models import ToolEntry
from acp_langgraph.quant.polling import IMAGES, ORCHESTRATION, TOOLS, Pace
from acp_langgraph.quant.reading import polled_id
from acp_langgraph.quant.tools import (
    ToolOrder,
    Tools,
    await_orchestration,
    use_tools,
    wait_for_executions,
)

if TYPE_CHECKING:
    from acp_langgraph.nodes.tool import ToolSide


_IMAGES = frozenset({"generate_image"})


class QuantToolNode(QuantNode):
    """Has Quant run asynchronous tools, and waits for what they give.

        draw = QuantToolNode(
            "draw",
            organisation="acme",
            model_id="amazon.nova-pro-v1:0",
            tools=["generate_image"],
            input_path="brief",
            output_path="picture",
            save_to="pictures",
        )

    A model is told what is wanted and which tools it may use; Quant runs what it asks for. There is
    no other way of starting a tool, and the model may decline: then there are no `tools` in the
    answer. With `execution_path` nothing is started, and the node waits for executions whose ids are
    in the state.

    The answer is `{"text", "tools", "orchestrationId"}`, each tool with `name`, `toolUseId`,
    `executionId`, `status`, `input`, `result`, `error`. Waiting for ids, it is the tool's outcome,
    or a list of them for a list of ids.

    Nodes of one organisation that wait at the same time share their polling.

    Args:
        name: The node's name in the graph.
        configuration: The API's host, or all there is to say of it.
        model_id: The model, e.g. `amazon.nova-pro-v1:0`.
        tools: What the model may use: names, which are looked up, or whole entries.
        input_path: Where in the state the message to the model is: text, or a list of messages.
        output_path: Where in the state the answer goes; empty to take its fields for channels.
        input_type: The input's type, if it is to be checked.
        output_type: The answer's type, if it is to be checked.
        state_type: The type of the graph's state, where a dict of it does not tell.
        execution_path: Where in the state the id of an execution is, or a list of them.
        answer: Whether the results go back to the model, for the final text.
        on_error: Whether a tool that failed is an error (`raise`), or told with the others (`keep`).
        request: More fields of the chat, e.g. `{"systemPrompt": "...", "temperature": 0}`.
        pace: How often to look at executions, and when to give up; left out, as documented: every
            2 to 3 s for images, 1 to 5 s for others, for 5 minutes.
        orchestration_pace: The same for orchestrations: every 2 s for 10 minutes.
        **options: What every node of Quant's takes: `organisation`, `spelling`, `prefix`, `headers`,
            `client`, `async_client`, `auth`, `on_unknown`, `save_to`, `wait` and `after`; see
            `QuantNode`.

    Raises:
        NodeConfigurationError: If the node can never work like that.
        ApiValueError: If the configuration is not valid.
    """

    def __init__(
        self,
        name: str,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        model_id: str | None = None,
        tools: Sequence[str | Mapping[str, Any] | ToolEntry] = (),
        input_path: str = "",
        output_path: str = "",
        input_type: Any = None,
        output_type: Any = None,
        state_type: Any = None,
        execution_path: str | None = None,
        answer: bool = False,
        on_error: Literal["raise", "keep"] = "raise",
        request: Mapping[str, Any] | None = None,
        pace: Pace | None = None,
        orchestration_pace: Pace = ORCHESTRATION,
        **options: Unpack[QuantOptions],
    ) -> None:
        if isinstance(tools, str):
            tools = [tools]
        names = {_name(tool) for tool in tools}
        if pace is None:
            pace = IMAGES if names and names <= _IMAGES else TOOLS
        super().__init__(name, configuration, pace=pace, **options)
        self.agent = ", ".join(sorted(names)) or name
        if execution_path is None and not (model_id and tools):
            raise NodeConfigurationError(
                "give model_id and tools, to have tools started; or execution_path, to wait for "
                "executions that were",
                node=name,
            )
        self._wanted = list(tools)
        self._entries: list[dict[str, Any]] | None = None
        self._request = {**(request or {}), "modelId": model_id}
        self._answer = answer
        self.input_type, self.output_type = input_type, output_type
        self._input = InputPort("input", input_path, input_type, name)
        self.output = OutputPort(output_path, output_type, state_type, name)
        self._ids = None
        if execution_path is not None:
            self._ids = InputPort("execution", execution_path, str | list[str], name)
        self._tools = Tools(
            self.policy,
            replace(self.policy, pace=orchestration_pace),
            on_error,
            self.keeper,
            self.sharing,
            name,
        )

    @override
    def tool_side(self, config: Any = None) -> ToolSide:
        """What a tool is made from: it takes a message, and gives what the node's answer is."""
        if self._ids is not None:
            return super().tool_side(config)
        return self._told_by_a_model(
            config, f"Has {self.agent} used for what the message asks for."
        )

    def flow(
        self,
        state: Any,
        execution: Execution,
        config: RunnableConfig,  # noqa: ARG002 - the base's
    ) -> Flow[dict[str, Any]]:
        """Start the tools and wait for them, or only wait."""
        tools = replace(self._tools, suspension=self._suspension_in(execution))
        if self._ids is not None:
            ids = self._ids.read(state)
            many = [ids] if isinstance(ids, str) else ids
            found = yield from wait_for_executions(many, tools, (yield from since(self.policy)))
            return self.output.write(state, found[0] if isinstance(ids, str) else found)
        entries = yield from self._look_up()
        request = {
            **self._request,
            "messages": self._messages(self._input.read(state)),
            "toolConfig": {
                "tools": entries,
                "autoExecute": True,
                "allowedTools": [entry["toolSpec"]["name"] for entry in entries],
            },
        }
        order = ToolOrder(execution.key, request, self.base_url, self._answer)
        outcome = yield from use_tools(order, tools, execution.trace, execution.failures)
        return self.output.write(state, outcome)

    def _messages(self, said: Any) -> list[Any]:
        if isinstance(said, str):
            return [{"role": "user", "content": said}]
        if isinstance(said, list) and said:
            return said
        raise NodeInputError(
            f"the input must be text or a list of messages, got {type(said).__name__}",
            node=self.name,
        )

    def _look_up(self) -> Flow[list[dict[str, Any]]]:
        """The tools' entries; asked for once, as far as they were only named."""
        if self._entries is None:
            known: dict[str, dict[str, Any]] = {}
            if any(isinstance(tool, str) for tool in self._wanted):
                listed = yield from with_retries(calls.list_ai_tools(), self.policy.retries)
                known = {entry.tool_spec.name: dump(entry) for entry in listed.tools}
            self._entries = list(self._resolved(known))
        return self._entries

    def _resolved(self, known: Mapping[str, dict[str, Any]]) -> Iterable[dict[str, Any]]:
        for tool in self._wanted:
            if isinstance(tool, ToolEntry):
                yield dump(tool)
            elif not isinstance(tool, str):
                yield dict(tool)
            elif tool in known:
                yield known[tool]
            else:
                raise NodeConfigurationError(
                    f"the organisation has no tool {tool!r}; it has "
                    + (", ".join(sorted(known)) or "none"),
                    node=self.name,
                )


def _name(tool: str | Mapping[str, Any] | ToolEntry) -> str:
    if isinstance(tool, str):
        return tool
    if isinstance(tool, ToolEntry):
        return tool.tool_spec.name
    return str(tool.get("toolSpec", {}).get("name", ""))


class QuantOrchestrationNode(QuantNode):
    """Waits for an orchestration that was started elsewhere.

        gather = QuantOrchestrationNode("gather", organisation="acme", input_path="orchestration",
                                        output_path="answer")

    The answer is `{"text", "tools", "orchestrationId"}`: what the model wrote, and what became of
    each tool. `QuantToolNode` starts orchestrations, and waits for them as well.

    Args:
        name: The node's name in the graph.
        configuration: The API's host, or all there is to say of it.
        input_path: Where in the state the orchestration's id is, or the URL to poll it by.
        output_path: Where in the state the answer goes; empty to take its fields for channels.
        output_type: The answer's type, if it is to be checked.
        state_type: The type of the graph's state, where a dict of it does not tell.
        on_error: Whether a tool that failed is an error (`raise`), or told with the others (`keep`).
            An orchestration that failed always is.
        pace: How often to look, and when to give up: every 2 s for 10 minutes.
        **options: What every node of Quant's takes: `organisation`, `spelling`, `prefix`, `headers`,
            `client`, `async_client`, `auth`, `on_unknown`, `save_to`, `wait` and `after`; see
            `QuantNode`.

    Raises:
        NodeConfigurationError: If the node can never work like that.
        ApiValueError: If the configuration is not valid.
    """

    def __init__(
        self,
        name: str,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        input_path: str,
        output_path: str = "",
        output_type: Any = None,
        state_type: Any = None,
        on_error: Literal["raise", "keep"] = "raise",
        pace: Pace = ORCHESTRATION,
        **options: Unpack[QuantOptions],
    ) -> None:
        super().__init__(name, configuration, pace=pace, **options)
        self._input = InputPort("input", input_path, str, name)
        self.output_type = output_type
        self.output = OutputPort(output_path, output_type, state_type, name)
        self._tools = replace(
            Tools(on_error=on_error, keeper=self.keeper, node=name), orchestrations=self.policy
        )

    def flow(
        self,
        state: Any,
        execution: Execution,
        config: RunnableConfig,  # noqa: ARG002 - the base's
    ) -> Flow[dict[str, Any]]:
        """Wait for the orchestration."""
        identifier = self._identifier(self._input.read(state))
        begun = yield from since(self.policy)
        yield from Progress("waiting", identifier)
        tools = replace(self._tools, suspension=self._suspension_in(execution))
        found = yield from await_orchestration(identifier, tools, begun)
        return self.output.write(state, found)

    def _identifier(self, said: str) -> str:
        if "/" not in said:
            return said
        kind, identifier = polled_id(said, self.base_url)
        if kind != "tools/orchestrations":
            raise NodeInputError(
                "the input is neither an orchestration's id nor the URL of one on the configured host",
                node=self.name,
            )
        return identifier
