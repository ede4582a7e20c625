"""How a node presents itself: in drawings and traces, and to models as a tool."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast
from urllib.parse import urlsplit

from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig
from langchain_core.runnables.retry import RunnableRetry
from langchain_core.runnables.utils import Input, Output
from typing_extensions import override

from acp_langgraph.errors import NodeConfigurationError

if TYPE_CHECKING:
    from langchain_core.runnables.graph import Graph
    from langchain_core.tools import BaseTool

    from acp_langgraph.nodes.tool import ToolSide
    from acp_langgraph.transport import AsyncTransport, Transport

__all__ = ["Presence", "refuse_fallbacks"]


def refuse_fallbacks(node: str) -> NoReturn:
    """Refuse fallbacks, which would lose a question.

    Raises:
        NodeConfigurationError: Always.
    """
    raise NodeConfigurationError(
        "with_fallbacks would take the agent's question for a failure; LangGraph's own "
        "add_node(..., error_handler=...) does not",
        node=node,
    )


class WithoutFallbacks(Runnable[Input, Output]):
    """What refuses fallbacks, and so does whatever it is wrapped in by its own methods."""

    @override
    def with_fallbacks(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: a question of the agent is an exception to LangChain, and would be lost."""
        refuse_fallbacks(self.get_name())

    @override
    def with_config(
        self, config: RunnableConfig | None = None, **options: Any
    ) -> _Bound[Input, Output]:
        """It, with a config."""
        return _Bound(bound=self, config=cast("RunnableConfig", {**(config or {}), **options}))

    @override
    def bind(self, **kwargs: Any) -> _Bound[Input, Output]:
        """It, with arguments."""
        return _Bound(bound=self, kwargs=kwargs, config={})

    @override
    def with_retry(self, **options: Any) -> _Retried[Input, Output]:
        """It, tried again where it fails, as `Runnable.with_retry` says; a question is no failure."""
        return _Retried(**dict(Runnable.with_retry(self, **options)))  # type: ignore[call-overload]  # a model's fields


class _Bound(WithoutFallbacks[Input, Output], RunnableBinding[Input, Output]):  # type: ignore[no-redef]  # the plugin and a field "kwargs"
    """A `RunnableBinding`, but for fallbacks."""


class _Retried(WithoutFallbacks[Input, Output], RunnableRetry[Input, Output]):  # type: ignore[no-redef]  # the plugin and a field "kwargs"
    """A `RunnableRetry`, but for fallbacks."""


class Presence(WithoutFallbacks[Any, dict[str, Any]]):
    """What others get to know of a node.

    Attributes:
        name: The node's name in the graph.
        agent: What does the work, as the node names it.
        is_tool: Whether this is the node as a tool calls it.
        input_type: What the agent takes, if declared.
        output_type: What it gives, if declared.
    """

    name: str
    agent: str = ""
    is_tool: bool = False
    input_type: Any = None
    output_type: Any = None
    transport: Transport
    async_transport: AsyncTransport
    _known_to_one_client: str

    @property
    def metadata(self) -> dict[str, Any]:
        """Who does the work and where, to be drawn and traced: no credentials, and JSON.

        LangGraph wants to be told where a node is added: `add_node(node, metadata=node.metadata)`.
        """
        known = self._known_to_one_client == "async_client"
        transport = self.async_transport if known else self.transport
        parts = urlsplit(transport.endpoint.base_url)
        host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return {"agent": self.agent, "host": host}

    def known(self) -> dict[str, Any]:
        """What is known of the agent without asking it: `metadata`, and what goes in and out.

        Returns:
            Beside `metadata`, as far as the node's types tell, the names of the fields that it
            `takes` and `gives`.
        """
        return {**self.metadata, **self._fields(takes=self.input_type, gives=self.output_type)}

    def _fields(self, **declared: Any) -> dict[str, list[str]]:
        from acp_langgraph.nodes.drawing import fields_of_schema  # noqa: PLC0415 - rarely wanted

        found = {each: fields_of_schema(declared[each]) for each in declared}
        return {each: found[each] for each in found if found[each]}

    @override
    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        """The node by itself as a drawing: what goes in, who does the work, what comes out.

        Nothing is requested. In the drawing of a whole graph see `acp_langgraph.describe_graph`.

        Args:
            config: Not needed.
        """
        from acp_langgraph.nodes.drawing import draw_node  # noqa: PLC0415 - rarely wanted

        return draw_node(self)

    def as_tool(
        self,
        args_schema: Any = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
        config: Any = None,
    ) -> BaseTool:
        """The agent as a LangChain tool, for a model to call.

            mailer = ACPNode("mailer", "mailcomposer", "http://127.0.0.1:8000")
            mailer.describe()  # or await mailer.adescribe(), or give input_type
            builder.add_node("tools", ToolNode([mailer.as_tool()]))

        In a graph with a checkpointer one call is one remote run, whatever dies in between, and what
        the agent asks becomes the graph's interrupt. Outside of a graph, `tool.invoke({...})` calls
        the agent. The arguments are the agent's input, whatever the node's paths and mappings; the
        result is its answer, as text or JSON, with the answer itself as the message's artifact.

        Nothing is requested: what is not given here is taken from the node, and from the agent's
        descriptor if that was read.

        Args:
            args_schema: What a model is to give: a pydantic model, any type, or a JSON Schema.
            name: The tool's name; left out, the node's.
            description: What the model is told that the tool does; left out, what the agent says of
                itself.
            arg_types: Instead of `args_schema`, the types by name.
            config: The agent's configuration for every call, of an `ACPNode`. A tool does not see the
                graph's state, where a node with `config_path` takes it from.

        Raises:
            NodeConfigurationError: If it is not known what the agent takes, its configuration is in
                the graph's state or does not fit, or the node cannot be a tool.
        """
        from acp_langgraph.nodes.tool import make_tool  # noqa: PLC0415 - only for those who want it

        return make_tool(self.tool_side(config), args_schema, name, description, arg_types)

    def tool_side(self, config: Any = None) -> ToolSide:  # noqa: ARG002 - for those that have one
        """What a tool is made from.

        Args:
            config: The agent's configuration, if it has one.

        Raises:
            NodeConfigurationError: If the node cannot be a tool.
        """
        raise NodeConfigurationError(
            f"a {type(self).__name__} cannot be a tool: what it works on is in the graph's state",
            node=self.name,
        )

    def _refuse_configuration(self, config: Any) -> None:
        if config is not None:
            raise NodeConfigurationError(
                f"config is for agents that take a configuration; a {type(self).__name__} has none",
                node=self.name,
            )

    def _as_called(self) -> Self:
        """This node for calls of it as a tool; it shares connections and what was cancelled."""
        twin = copy.copy(self)
        twin.is_tool = True
        return twin
