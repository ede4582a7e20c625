"""What a node is wrapped in by LangChain: with a config, with arguments, with retries; with no fallbacks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, cast
from urllib.parse import urlsplit

from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig
from langchain_core.runnables.graph import Graph
from langchain_core.runnables.retry import RunnableRetry
from langchain_core.runnables.utils import Input, Output
from langgraph.pregel import Pregel
from typing_extensions import override

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.json_schema.reading import Document, said
from acp_langgraph.mapping import validation

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from acp_langgraph.nodes.tool import ToolSide
    from acp_langgraph.transport import AsyncTransport, Transport


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


_FIELDS_SHOWN: Final = 12
_LONGEST: Final = 60  # characters


def describe_graph(
    graph: Pregel[Any, Any, Any, Any],
    config: RunnableConfig | None = None,
    *,
    xray: int | bool = True,
) -> Graph:
    """`graph.get_graph(xray=True)`, with what is known of the remote agents in it.

        print(describe_graph(graph).draw_mermaid())

    Under each remote node stand its agent and host, and, as far as the node's types or the agent's
    descriptor tell (`node.describe()` reads it), what goes in, what comes out and what it may ask.
    Under a `ToolNode` stand the agents that are called as tools.

    Args:
        graph: The compiled graph.
        config: As for `get_graph`.
        xray: As for `get_graph`: whether, or how deep, to look into subgraphs.
    """
    drawn = graph.get_graph(config, xray=xray)
    for name, node in list(drawn.nodes.items()):
        known = _known_of(node.data)
        if known:
            drawn.nodes[name] = node._replace(metadata={**known, **(node.metadata or {})})
    return drawn


def draw_node(node: Described) -> Graph:
    """A remote node by itself: what goes in, who does the work, what comes out."""
    known = node.known()
    drawn = Graph()
    before = drawn.add_node(None, "input", metadata=_only(known, "takes"))
    agent = drawn.add_node(
        node,
        node.name,
        metadata={each: known[each] for each in known if each not in {"takes", "gives"}},
    )
    after = drawn.add_node(None, "output", metadata=_only(known, "gives"))
    drawn.add_edge(before, agent)
    drawn.add_edge(agent, after)
    return drawn


def fields_of_schema(declared: Any) -> list[str]:
    """The names of what a type or a JSON Schema holds, with a `?` where it may be left out.

    For what is no object, its type; empty where nothing is known.
    """
    schema = validation.json_schema(declared)
    document = Document(schema)
    forms = document.forms(schema)
    properties = forms[0].get("properties") if len(forms) == 1 else None
    if not isinstance(properties, Mapping):
        words = said(schema, document)
        return [] if words in {"object", "anything"} else [words]
    required = forms[0].get("required")
    needed = required if isinstance(required, list) else []
    names = [_short(name) + ("" if name in needed else "?") for name in properties]
    more = len(names) - _FIELDS_SHOWN
    return [*names[:_FIELDS_SHOWN], f"{more} more"] if more > 0 else names


def _known_of(data: Any) -> dict[str, Any]:
    if isinstance(data, Described):
        return data.known()
    tools = getattr(data, "tools_by_name", None)
    if not isinstance(tools, Mapping):
        return {}
    return {
        f"tool {name}": f"{tool.metadata.get('agent')} at {tool.metadata.get('host')}"
        for name, tool in _remote(tools)
    }


def _remote(tools: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    from acp_langgraph.nodes.tool import RemoteTool  # noqa: PLC0415 - only where there are tools

    for name, tool in tools.items():
        if isinstance(tool, RemoteTool):
            yield name, tool


def _only(known: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return {name: known[name]} if name in known else None


def _short(text: Any) -> str:
    flat = " ".join(str(text).split())
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 3]}..."


class Described(WithoutFallbacks[Any, dict[str, Any]]):
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

        found = {each: fields_of_schema(declared[each]) for each in declared}
        return {each: found[each] for each in found if found[each]}

    @override
    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        """The node by itself as a drawing: what goes in, who does the work, what comes out.

        Nothing is requested. In the drawing of a whole graph see `acp_langgraph.describe_graph`.

        Args:
            config: Not needed.
        """
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
