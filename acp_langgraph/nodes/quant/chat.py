"""`QuantChatNode`: a durable chat of Quant's, as a node."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.errors import GraphBubbleUp
from typing_extensions import override

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Ask, Flow, Step, Work
from acp_langgraph.core.wire import UnsendableError, plain
from acp_langgraph.errors import CheckpointerRequiredError, NodeConfigurationError, NodeInputError
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.ports import InputPort, OutputPort
from acp_langgraph.nodes.quant.base import QuantNode, QuantOptions, current_config
from acp_langgraph.quant.chat import ChatOrder, PendingTools, converse
from acp_langgraph.quant.polling import CHAT, Pace

if TYPE_CHECKING:
    from acp_langgraph.nodes.tool import ToolSide


class QuantChatNode(QuantNode):
    """Has a chat that may take a quarter of an hour, with tools that run on this side.

        chat = QuantChatNode(
            "chat",
            organisation="acme",
            model_id="amazon.nova-pro-v1:0",
            input_path="question",
            output_path="answer",
            tools=[look_up],
        )

    What the model wants of `tools` is run here, each tool once, and sent back. What it wants of other
    tools becomes the graph's interrupt, `{"tools": [{"name", "toolUseId", "input"}]}`,
    to be answered with the result, or for several tools with a dict of results by `toolUseId`.

    The answer is `{"text", "requestId", "sessionId", "usage", "toolExecutions"}`.

    Args:
        name: The node's name in the graph.
        configuration: The API's host, or all there is to say of it.
        model_id: The model, e.g. `amazon.nova-pro-v1:0`; or
        agent_id: the agent, which runs all of its tools by itself.
        input_path: Where in the state the message is: text, or (for a model) a list of messages.
        output_path: Where in the state the answer goes; empty to take its fields for channels.
        input_type: The input's type, if it is to be checked.
        output_type: The answer's type, if it is to be checked.
        state_type: The type of the graph's state, where a dict of it does not tell.
        tools: LangChain tools, or functions, that are run here.
        declared: Entries of more tools that the model may ask for, whose results come by interrupt,
            or which Quant runs if `request` allows it.
        on_tool_error: Whether a tool that fails here is told to the model (`report`), or ends the
            node (`raise`).
        request: More fields of the chat, e.g. `{"systemPrompt": "...", "sessionId": "..."}`.
        pace: How often to look, and when to give up, anew after every callback: from 1 to 30 s, for
            15 minutes.
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
        agent_id: str | None = None,
        input_path: str = "",
        output_path: str = "",
        input_type: Any = None,
        output_type: Any = None,
        state_type: Any = None,
        tools: Sequence[BaseTool | Callable[..., Any]] = (),
        declared: Sequence[Mapping[str, Any]] = (),
        on_tool_error: Literal["report", "raise"] = "report",
        request: Mapping[str, Any] | None = None,
        pace: Pace = CHAT,
        **options: Unpack[QuantOptions],
    ) -> None:
        super().__init__(name, configuration, pace=pace, **options)
        if bool(model_id) == bool(agent_id):
            raise NodeConfigurationError("give either model_id or agent_id", node=name)
        if agent_id and (tools or declared):
            raise NodeConfigurationError("an agent brings its own tools", node=name)
        made = [each if isinstance(each, BaseTool) else tool(each) for each in tools]
        self._runs = {each.name: each for each in made}
        self._agent_id = agent_id
        self.agent = str(agent_id or model_id)
        self._on_tool_error = on_tool_error
        self._request = dict(request or {})
        if model_id:
            self._request["modelId"] = model_id
        entries = [*map(_entry, made), *map(dict, declared)]
        if entries:
            self._request["toolConfig"] = {
                "autoExecute": False,
                **self._request.get("toolConfig", {}),
                "tools": entries,
            }
        self.input_type, self.output_type = input_type, output_type
        self._input = InputPort("input", input_path, input_type, name)
        self.output = OutputPort(output_path, output_type, state_type, name)

    @override
    def tool_side(self, config: Any = None) -> ToolSide:
        """What a tool is made from: it takes a message, and gives the chat's answer."""
        return self._told_by_a_model(config, f"Has {self.agent} answer the message.")

    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """Start the chat, run what it wants run, wait for what it says."""
        order = ChatOrder(
            execution.key,
            {**self._request, **self._said(self._input.read(state))},
            self.base_url,
            self._agent_id,
            self.keeper,
            self.name,
            self._suspension_in(execution),
        )
        answer = partial(self._results, execution, config)
        outcome = yield from converse(
            order, self.policy, execution.trace, answer, execution.failures
        )
        del outcome["status"]
        return self.output.write(state, outcome)

    def _said(self, said: Any) -> dict[str, Any]:
        if isinstance(said, str):
            if self._agent_id:
                return {"message": said}
            return {"messages": [{"role": "user", "content": said}]}
        if isinstance(said, list) and said and not self._agent_id:
            return {"messages": said}
        wanted = "text" if self._agent_id else "text or a list of messages"
        raise NodeInputError(
            f"the input must be {wanted}, got {type(said).__name__}", node=self.name
        )

    def _results(
        self, execution: Execution, config: RunnableConfig, pending: PendingTools
    ) -> Flow[dict[str, Any]]:
        """The results of all pending tools, by tool use: from tools here, or from the graph's user."""
        results: dict[str, Any] = {}
        asked = []
        for each in pending:
            if each["name"] in self._runs:
                body = partial(self._run, each, config)
                results[each["toolUseId"]] = yield from Step(f"tool_{each['name']}", body)
            else:
                asked.append(each)
        if asked:
            if not execution.remembered:
                names = ", ".join(str(each["name"]) for each in asked)
                raise CheckpointerRequiredError(
                    f"the chat waits for the results of {names}, and the graph cannot wait for them. "
                    f"Give the tools to the node, or let the graph remember. {execution.how_to_remember()}",
                    node=self.name,
                )
            results |= yield from self._answered(asked)
        return results

    def _answered(self, asked: list[Mapping[str, Any]]) -> Flow[dict[str, Any]]:
        """What somebody says that tools came to; asked again until it can be told which is whose."""
        question: dict[str, Any] = {"tools": [dict(each) for each in asked]}
        uses = [each["toolUseId"] for each in asked]
        for tries in itertools.count():
            answer = yield from Ask(question, about=f"{' '.join(uses)} {tries}", again=tries > 0)
            found = self._sorted_out(answer, uses)
            if found is not None:
                return found
            question["problem"] = "answer with an object of all the tools' results by toolUseId"
        raise AssertionError("there is always another try")  # pragma: no cover

    def _run(self, pending: Mapping[str, Any], config: RunnableConfig) -> Flow[Any]:
        runs = self._runs[pending["name"]]
        argument = pending["input"] if pending["input"] is not None else {}
        try:
            result = yield from Work(
                lambda: runs.invoke(argument, current_config(config)),
                lambda: runs.ainvoke(argument, current_config(config)),
            )
        except GraphBubbleUp:
            raise
        except Exception as error:
            if self._on_tool_error == "raise":
                raise
            return {"error": f"{type(error).__name__}: {error}"}
        try:
            return plain(result, fallback=str)
        except UnsendableError as error:
            problem = f"what the tool {pending['name']!r} gave cannot be sent: {error}"
            raise NodeInputError(problem, node=self.name) from None

    @staticmethod
    def _sorted_out(answer: Any, uses: list[str]) -> dict[str, Any] | None:
        """Which part of an answer belongs to which tool; `None` if it does not tell."""
        if isinstance(answer, dict) and set(uses) <= set(answer):
            return {use: answer[use] for use in uses}
        if len(uses) == 1:
            return {uses[0]: answer}
        return None


def _entry(runs: BaseTool) -> dict[str, Any]:
    """How the model is told of a tool."""
    function = convert_to_openai_tool(runs)["function"]
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    spec = {"name": function["name"], "description": function.get("description", "")}
    return {"toolSpec": {**spec, "inputSchema": {"json": schema}}}
