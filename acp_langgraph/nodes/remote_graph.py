"""`RemoteGraphNode`: a graph on a server of LangGraph's Agent Protocol, as a node."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

from langchain_core.runnables import RunnableConfig
from typing_extensions import Unpack, override

from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.agent_protocol.assistants import find_assistant
from acp_langgraph.agent_protocol.job import GraphJob
from acp_langgraph.agent_protocol.listening import MODES, GraphCursor
from acp_langgraph.agent_protocol.order import GraphOrder
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.jobs.listening import Listening
from acp_langgraph.nodes.agent import AgentNode, AgentOptions, PlacedOptions, forwarded_metadata
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.identity import Headers
from acp_langgraph.nodes.ports import InputPort, input_of

Mode: TypeAlias = Literal["values", "custom", "messages"]
Strategy: TypeAlias = Literal["reject", "rollback", "interrupt", "enqueue"]

_KEYS: Final = ("LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")


class AssistantOptions(PlacedOptions, total=False):
    """What `RemoteGraphNode` takes beside its name, its assistant and where that is; see there."""

    config_path: str | None
    config_type: Any
    context: Any
    multitask_strategy: Strategy
    stream_mode: Literal["auto"] | Mode | Sequence[Mode] | None


class RemoteGraphNode(AgentNode):
    """Runs a graph on one of LangGraph's own servers as a node: one execution, one piece of remote work.

        reviewer = RemoteGraphNode(
            "reviewer", "email_reviewer", "http://127.0.0.1:2024", "draft", Draft, "review", Review
        )
        builder.add_node(reviewer)

    The server speaks LangGraph's Agent Protocol: LangGraph Server, a LangSmith deployment, `langgraph dev`.
    What `langgraph.pregel.remote.RemoteGraph` does not keep as a node is kept here as by an `ACPNode`: each
    execution has a remote thread of its own, whose id follows from it, so that whoever enters again finds
    the run that there is. What the remote graph asks becomes this graph's interrupt; the answer continues
    the same thread, by the id of the question. Several questions are shown by their ids under `interrupts`
    and answered by a dict of these ids, which may leave some out.

    What it emits appears in this graph's stream, as told for `ACPNode`; pieces of messages in
    `stream_mode="messages"`, and a remote subgraph's output under the node's namespace.

    The answer is the remote graph's state, with all its channels: these servers do not say what its output
    schema leaves of it. A node that is made by `from_assistant` knows, and leaves out the rest.

    Args:
        name: The node's name in the graph.
        assistant_id: An assistant's id on the server, or its graph's name there.
        client_config: Where and as whom to connect. With nothing but a URL, the key in
            `LANGGRAPH_API_KEY`, `LANGSMITH_API_KEY` or `LANGCHAIN_API_KEY` is sent as `x-api-key`, as
            LangGraph's own clients do, unless `headers` or `auth` say who it is.
        input_path: As for `ACPNode`, and so are all those that are not told here.
        input_type: The input's type.
        output_path: Where in the state the answer goes.
        output_type: The answer's type.
        config_path: Where in the state what goes into `configurable` is.
        config_type: Its type.
        auth_header: Headers of every request.
        use_threads: Whether the remote graph runs on a remote thread that remembers, one per thread of the
            graph and place in it. Its runs are then told apart by their metadata; a server that keeps none
            leaves `UnknownOutcomeError` after a crash.
        context: A mapping plan for the remote graph's run-time context, e.g.
            `{"user": "config:user_id"}`. These servers take no `configurable` beside it.
        multitask_strategy: What a busy remote thread does with one more run. Of use with `use_threads`
            only: a thread of an execution's own rejects a second run.
        stream_mode: What is asked to be streamed, if anybody watches: `values`, `custom`, `messages`,
            several in a list; `auto` for all; `None` for nothing.
        **options: By keyword, as for `ACPNode`: `input`, `output`, `llm`, `state_type`, `client`,
            `async_client`, `headers`, `auth`, `run_timeout`, `on_timeout`, `on_unknown`, `on_failure`,
            `on_cancel`.

    Raises:
        NodeConfigurationError: If the node can never work like that.
        ApiValueError: If the configuration is not valid.

    Raises, when it runs:
        RemoteGraphError: If the remote graph failed; says which node, and why, where the server tells.
        AcpLangGraphError: The others are those of `ACPNode`.
    """

    modes: ClassVar[tuple[str, ...]] = tuple(MODES)

    def __init__(
        self,
        name: str,
        assistant_id: str,
        client_config: ApiClientConfiguration | str | None,
        input_path: str | None = None,
        input_type: Any = None,
        output_path: str | None = None,
        output_type: Any = None,
        config_path: str | None = None,
        config_type: Any = None,
        auth_header: Headers | None = None,
        use_threads: bool = False,
        *,
        context: Any = None,
        multitask_strategy: Strategy = "enqueue",
        stream_mode: Literal["auto"] | Mode | Sequence[Mode] | None = "auto",
        **options: Unpack[AgentOptions],
    ) -> None:
        says_who = any((auth_header, options.get("headers"), options.get("auth")))
        super().__init__(
            name,
            assistant_id,
            client_config if says_who else _with_key(client_config),
            input_path,
            input_type,
            output_path,
            output_type,
            config_path,
            config_type,
            auth_header,
            use_threads,
            multitask_strategy=multitask_strategy,
            stream_mode=stream_mode,
            id_name="assistant_id",
            **options,
        )
        if context is not None and config_path is not None:
            raise NodeConfigurationError(
                "give either context or config_path: LangGraph's servers refuse both at once",
                node=name,
            )
        self.context: InputPort | None = None
        if context is not None:
            given = options.get("state_type"), options.get("llm")
            self.context = input_of(name, context, None, None, *given)
            self.context.what = "context"
        self._listening: Listening | None = None

    @classmethod
    def from_assistant(
        cls,
        client_config: ApiClientConfiguration | str | None,
        assistant: str,
        name: str | None = None,
        **options: Unpack[AssistantOptions],
    ) -> Self:
        """A node from what a server says of an assistant.

            reviewer = RemoteGraphNode.from_assistant("http://127.0.0.1:2024", "email_reviewer")

        The assistant is looked up now, once. The JSON Schemas of its graph's input and output are the
        node's types; where the server does not know them, that of the graph's state is.

        Args:
            client_config: Where and as whom to connect; see `RemoteGraphNode`.
            assistant: The assistant's id, its graph's name, or its own name.
            name: The node's name in the graph; by default the assistant's.
            **options: As for `RemoteGraphNode`. Without `input_path` and `input`, the channels that have
                the names of the input's fields are sent; without `output_path` and `output`, the fields
                of the output go to the channels of their names.

        Raises:
            UnknownAgentError: If the server has no such assistant; names what it has.
            NodeConfigurationError: If it takes or gives no fields that could be channels, or the server
                does not know them.
            OpenApiException: If the server cannot be asked.
        """
        return cls._looked_up(cls._configured(client_config, options), assistant, name, options)

    @classmethod
    async def afrom_assistant(
        cls,
        client_config: ApiClientConfiguration | str | None,
        assistant: str,
        name: str | None = None,
        **options: Unpack[AssistantOptions],
    ) -> Self:
        """`from_assistant`, awaiting."""
        configured = cls._configured(client_config, options)
        return await cls._alooked_up(configured, assistant, name, options)

    @override
    @staticmethod
    def finding(agent: str, retries: int) -> Flow[FoundAgent]:
        """Finds an assistant of a server, with its graph's schemas."""
        return find_assistant(agent, retries)

    @override
    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """Read the input, have the remote graph run, write the answer."""
        value = yield from self.input.take(state, config)
        run_config = yield from self._run_config(state, config)
        context = (yield from self.context.take(state, config)) if self.context else None
        listening = self._listen() if execution.sink.is_there else None
        order = GraphOrder(
            key=execution.key,
            assistant_id=self._agent_id or self.agent,
            input=value,
            config=run_config,
            context=context,
            metadata=forwarded_metadata(config),
            shared_thread=self._thread(execution),
            multitask_strategy=self.multitask_strategy,
            node=self.name,
            stream_mode=listening.modes if listening is not None else (),
            wakes=self._wakes(execution),
        )
        job = GraphJob(order, self.policy, listening)
        outcome = yield from self._have_done(job, execution, job.answer_schema)
        return (yield from self.output.put(state, self._declared(outcome["values"]), config))

    @override
    def job_of(self, key: str, thread: str | None) -> Flow[GraphJob]:
        """The remote run of a key."""
        yield from ()
        order = GraphOrder(key, self._agent_id or self.agent, shared_thread=thread, node=self.name)
        return GraphJob(order, self.policy, self._listening)

    def _declared(self, values: Any) -> Any:
        """What the output schema leaves of the remote state, where the node was made from it."""
        if self._made_of is None or self._descriptor is None or not isinstance(values, dict):
            return values
        names = self._descriptor.specs.output.get("properties") or values
        return {name: values[name] for name in values if name in names}

    def _listen(self) -> Listening | None:
        """How to listen to the remote graph's runs, for there is somebody to hear; decided once."""
        if self._listening is None and self.stream_mode:
            wanted = self.modes if self.stream_mode == ("auto",) else self.stream_mode
            modes = tuple(MODES[each] for each in wanted)
            size = self.transport.endpoint.configuration.max_answer_bytes
            self._listening = Listening(self.agent, modes, size, cursor_type=GraphCursor)
        return self._listening

    @staticmethod
    def _configured(
        client_config: ApiClientConfiguration | str | None, options: AssistantOptions
    ) -> ApiClientConfiguration | str | None:
        says_who = any(options.get(each) for each in ("auth_header", "headers", "auth"))
        return client_config if says_who else _with_key(client_config)


def _with_key(
    client_config: ApiClientConfiguration | str | None,
) -> ApiClientConfiguration | str | None:
    """Where to connect, and the key for it that is in the environment, if there is one."""
    if not isinstance(client_config, str):
        return client_config
    found = next(filter(None, (os.environ.get(each, "").strip() for each in _KEYS)), None)
    return client_config if found is None else ApiClientConfiguration(client_config, api_key=found)
