"""`ACPNode`: a run on a server that speaks AGNTCY's Agent Connect Protocol, as a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

import httpx
from langchain_core.runnables import RunnableConfig
from typing_extensions import Unpack, override

from acp_langgraph.acp.agents import (
    FoundAgent,
    describe_agent,
    find_agent,
    is_uuid,
    resolve_agent,
    resume_schema,
)
from acp_langgraph.acp.job import ACPJob
from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.acp.order import RunOrder, ServerHabits, habits_of
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.wake_urls import WakeURL
from acp_langgraph.jobs.listening import Listening
from acp_langgraph.nodes.agent import AgentNode, forwarded_metadata
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.identity import Auth, Headers

if TYPE_CHECKING:
    from acp_langgraph.nodes.from_agent import Mode, NodeOptions


T = TypeVar("T")

_MODES: Final = frozenset({"values", "custom"})


class ACPNode(AgentNode):
    """Runs a remote agent as a node of a graph: one execution of the node, one remote run.

        reviewer = ACPNode(
            "reviewer",
            "email_reviewer",
            "http://127.0.0.1:8000",
            input_path="draft",
            input_type=Draft,
            output_path="review",
            output_type=Review,
        )
        builder.add_node(reviewer)

    `from_agent` makes one from what the server says of the agent, and `acp_langgraph.check_graph`
    tells whether the nodes of a graph fit their agents.

    What the agent asks becomes the graph's interrupt; the answer, given with
    `Command(resume=...)`, goes to the same remote run, from whichever process. That needs a
    checkpointer. Where an agent asks several things at once, the interrupt's value shows them by their
    ids under `interrupts`; the answer is a dict of these ids, `Command(resume={id: answer, ...})`, and
    may leave some out, which are asked for again. The answers of several nodes go into one such dict.

    What the agent emits while it works appears in the graph's stream, as it happens:

    * `stream_mode="custom"`: everything, as a `RemoteEvent`: a dict with `node`, `agent`, `run_id`,
      `kind` and `payload`. The kind is `custom` for an update of the agent's own, `values` for the
      output so far, `gap` where the connection was lost and some may be missing, and `progress` for
      what becomes of the run: the payload's `state` is `created`, `waiting`, `asked`, `suspended`, `resumed`,
      `finished` or `failed`, and its `since` tells when the run began to work.
    * `stream_mode="messages"`: what the agent says, as message objects with the node's metadata.
      Updates that are messages, or pieces of one (`AIMessageChunk`), and new entries of a list
      `messages` in the output.
    * `stream_mode="values"` with `subgraphs=True`: the output so far, under the node's namespace.
    * `astream_events`: every event as `on_custom_event` named `remote_event`, messages as a chat
      model's.

    Questions, errors and the result are the graph's own, and the same with a stream as without. If
    nobody watches, nothing is streamed and no request is made for it. On its own, `node.stream()`
    yields the events, and last what `invoke` returns.

    Args:
        name: The node's name in the graph.
        agent_id: The agent's id on the server, or its name there.
        client_config: Where and as whom to connect; a URL will do. `None` takes the `base_url` of
            `client` and `async_client`, or else `http://localhost`.
        input_path: Where in the state the agent's input is, e.g. `mail.draft` or `docs.0`; empty
            or left out for the whole state.
        input_type: The input's type: a pydantic model, a TypedDict, a dataclass, or any type that
            pydantic can check. `None` for any JSON.
        output_path: Where in the state the agent's answer goes; empty or left out to take the
            answer's fields for channels. Parents that are missing are made, siblings are kept.
        output_type: The answer's type, as `input_type`.
        config_path: Where in the state the agent's configuration is.
        config_type: The configuration's type, as `input_type`.
        auth_header: Headers that this node adds to every request; see `headers`.
        use_threads: Whether the agent runs on a remote thread, one per thread of the graph and
            place in it, so that it remembers from one execution to the next.
        input: Instead of a path, a mapping plan: rules by field of the input, or one rule for all of
            it, e.g. `{"email": coalesce("review.corrected", "draft"), "to": "config:recipient"}` or
            `"Please send {mail.subject} to {recipient}"`. See `acp_langgraph.mapping`.
        output: Instead of a path, a mapping plan: rules by path in the state, which read the answer,
            e.g. `{"final": "corrected_email"}`.
        llm: A chat model, or the key in `config["configurable"]` that holds one, for fields of the
            plans that only a model can tell.
        state_type: The type of the graph's state. With it, plans are checked when the node is made;
            and it is needed where the state is a TypedDict with typed objects inside: a dict does
            not tell of what class a missing parent of `output_path` is.
        client: A blocking client of your own, for `invoke`; it stays yours to close. Deadlines are then
            looked at between pieces of an answer only, for its connections are its own.
        async_client: An awaiting client of your own, for `ainvoke`; it stays yours to close.
        headers: The same as `auth_header`: headers of every request; or a function that makes them, of
            the invocation's config or runtime, so that each user's are sent. See `HeaderAuth`.
        auth: A `TokenAuth`, which gets, keeps and renews a token for each user; a `HeaderAuth`; or an
            `httpx.Auth` of your own.
        run_timeout: Seconds that the run may take to start and to work without finishing or asking;
            anew after every answer. `None`: no limit.
        on_timeout: Whether a run that takes longer is ended (`cancel`) or left to itself (`leave`).
        on_unknown: What to do where it cannot be told whether the run was started: `raise`
            UnknownOutcomeError, or `rerun` and accept that it may run twice.
        on_failure: What to do where the node is entered again after its run failed and that was told:
            by a retry policy that takes an `ACPRunException`, by a retry middleware around the tool, or
            by `invoke(None, config)`. `rerun` starts a new run, `keep` tells the same again.
        on_cancel: Whether the run is ended (`cancel`) or left to itself (`detach`) when the node's
            execution is cancelled: by its caller, a time-out, or a failed sibling. An interrupt
            cancels nothing.
        wait: How to wait for a run. `hold`: here, as long as it takes. `suspend`: the graph stops with an
            interrupt that is no question (`is_suspended` tells), and nothing is left that waits, no process
            and no connection; `WakeApp` or the sweeper (`acp-langgraph wake`) goes on with it. That needs a
            checkpointer, without which a node holds.
        after: Seconds to hold before a graph is suspended.
        wake_url: Where `WakeApp` is, which the server calls when the run is done. By default what the
            environment says (`ACP_LANGGRAPH_WAKE_URL` and `ACP_LANGGRAPH_WAKE_SECRET`); without that,
            the sweeper finds out.
        multitask_strategy: What a busy remote thread does with one more run: `enqueue` or `reject`
            it, or `interrupt` or `rollback` the one that is at work. Of use with `use_threads` only.
        stream_mode: What the agent is asked to stream, if anybody watches: `values`, `custom`, both
            in a list; `auto` for all that its descriptor says it can; `None` for nothing.

    Raises:
        NodeConfigurationError: If the node can never work like that.
        ApiValueError: If the configuration is not valid.

    Raises, when it runs:
        NodeInputError: If the state does not give the input; nothing was sent.
        NodeOutputError: If the answer does not fit where it should go.
        MappingError: If a plan's value cannot be made.
        UnknownAgentError: If the server has no such agent; names what it has.
        ACPRunException: If the run failed.
        CheckpointerRequiredError: If the agent asks, and nothing here can wait for the answer.
        UnprocessableEntityException: If the agent does not take the answer; resume with another.
        RunTimeoutError: If the run outlived `run_timeout`.
        RunLostError: If the server forgot the run.
        RunOutputError: If the run is done, and the server cannot give what it came to.
        UnknownOutcomeError: If it cannot be told whether the run was started.
        ApiConnectionError: If the server cannot be reached.
        ApiException: If it refuses; the child classes tell which way.
    """

    def __init__(
        self,
        name: str,
        agent_id: str,
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
        input: Any = None,  # noqa: A002 - what it is
        output: Any = None,
        llm: Any = None,
        state_type: Any = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        headers: Headers | None = None,
        auth: Auth | None = None,
        run_timeout: float | None = None,
        on_timeout: Literal["cancel", "leave"] = "cancel",
        on_unknown: Literal["raise", "rerun"] = "raise",
        on_failure: Literal["rerun", "keep"] = "rerun",
        on_cancel: Literal["cancel", "detach"] = "cancel",
        wait: Literal["hold", "suspend"] = "hold",
        after: float = 0.0,
        wake_url: WakeURL | None = None,
        multitask_strategy: Literal["reject", "rollback", "interrupt", "enqueue"] = "enqueue",
        stream_mode: Literal["auto"] | Mode | Sequence[Mode] | None = "auto",
    ) -> None:
        super().__init__(
            name,
            agent_id,
            client_config,
            input_path,
            input_type,
            output_path,
            output_type,
            config_path,
            config_type,
            auth_header,
            use_threads,
            input=input,
            output=output,
            llm=llm,
            state_type=state_type,
            client=client,
            async_client=async_client,
            headers=headers,
            auth=auth,
            run_timeout=run_timeout,
            on_timeout=on_timeout,
            on_unknown=on_unknown,
            on_failure=on_failure,
            on_cancel=on_cancel,
            wait=wait,
            after=after,
            wake_url=wake_url,
            multitask_strategy=multitask_strategy,
            stream_mode=stream_mode,
        )
        self._agent_id = self.agent if is_uuid(self.agent) else None
        self._listening: Listening | None = None

    @classmethod
    def from_agent(
        cls,
        client_config: ApiClientConfiguration | str | None,
        agent: str,
        name: str | None = None,
        **options: Unpack[NodeOptions],
    ) -> Self:
        """A node from what a server says of an agent.

            reviewer = ACPNode.from_agent("http://127.0.0.1:8000", "email_reviewer")

        The agent is looked up now, once, and the node keeps to that version of it. Its JSON Schemas
        are the types of input, output and config, so that what does not fit is refused here and not
        there; pydantic checks what it can express of them.

        Args:
            client_config: Where and as whom to connect; a URL will do.
            agent: The agent's name on the server, or its id.
            name: The node's name in the graph; by default the agent's.
            **options: As for `ACPNode`. Without `input_path` and `input`, the channels that have the
                names of the input's fields are sent; without `output_path` and `output`, the fields
                of the answer go to the channels of their names. A remote thread is used only if
                `use_threads` says so: it remembers, and what the graph sends again would be there
                twice.

        Raises:
            UnknownAgentError: If the server knows no such agent; names what it has.
            NodeConfigurationError: If the agent does not offer what is asked of it, demands a config
                that there is none of, or takes or gives no fields that could be channels.
            OpenApiException: If the server cannot be asked.
        """
        return cls._looked_up(client_config, agent, name, options)

    @classmethod
    async def afrom_agent(
        cls,
        client_config: ApiClientConfiguration | str | None,
        agent: str,
        name: str | None = None,
        **options: Unpack[NodeOptions],
    ) -> Self:
        """`from_agent`, awaiting."""
        return await cls._alooked_up(client_config, agent, name, options)

    @override
    @staticmethod
    def finding(agent: str, retries: int) -> Flow[FoundAgent]:
        """Finds an agent of a server, with its descriptor."""
        return find_agent(agent, retries)

    @override
    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """Read the input, have the agent run, write the answer."""
        value = yield from self.input.take(state, config)
        run_config = yield from self._run_config(state, config)
        agent_id = self._agent_id or (yield from self._resolve())
        order = self._order(value, run_config, agent_id, execution, config)
        listening = (yield from self._listen()) if execution.sink.is_there else None
        job = ACPJob(order, self.policy, self._habits, listening, execution.credentials is None)
        schema = self._answer_schema if execution.remembered else None
        outcome = yield from self._have_done(job, execution, schema)
        return (yield from self.output.put(state, _answer(outcome), config))

    @override
    def job_of(self, key: str, thread: str | None) -> Flow[ACPJob]:
        """The run of a key."""
        yield from ()
        order = RunOrder(key, self._agent_id, None, thread_id=thread, node=self.name)
        return ACPJob(order, self.policy, self._habits, self._listening)

    @property
    def _habits(self) -> ServerHabits:
        return habits_of(self.transport.endpoint.base_url)

    def _order(
        self,
        value: Any,
        run_config: dict[str, Any],
        agent_id: str,
        execution: Execution,
        config: RunnableConfig,
    ) -> RunOrder:
        return RunOrder(
            key=execution.key,
            agent_id=agent_id,
            input=value,
            config=run_config,
            metadata=forwarded_metadata(config),
            thread_id=self._thread(execution),
            multitask_strategy=self.multitask_strategy,
            node=self.name,
            wakes=self._wakes(execution),
        )

    def _resolve(self) -> Flow[str]:
        finding = resolve_agent(self.agent, self.policy.retries)
        self._agent_id = yield from self._found(finding)
        return self._agent_id

    def _describe(self) -> Flow[AgentACPDescriptor | None]:
        if self._descriptor is None and self._agent_id is not None:
            self._descriptor = yield from describe_agent(self._agent_id, self.policy.retries)
        return self._descriptor

    def _answer_schema(self, payload: Any) -> Flow[dict[str, Any] | None]:
        return resume_schema((yield from self._describe()), payload)

    def _listen(self) -> Flow[Listening | None]:
        """How to listen to the agent's runs, for there is somebody to hear; decided once."""
        if self._listening is None and self.stream_mode:
            modes = self.stream_mode
            if modes == ("auto",):
                descriptor = yield from self._describe()
                modes = () if descriptor is None else _streamed(descriptor)
                if descriptor is not None and not modes:
                    return None
            size = self.transport.endpoint.configuration.max_answer_bytes
            self._listening = Listening(self.agent, modes, size)
        return self._listening


def _streamed(descriptor: AgentACPDescriptor) -> tuple[str, ...]:
    """What an agent says that it can stream."""
    streaming = descriptor.specs.capabilities.streaming
    if streaming is None:
        return ()
    return tuple(mode for mode in sorted(_MODES) if getattr(streaming, mode))


def _answer(outcome: Mapping[str, Any]) -> Any:
    """The agent's output; messages that the server sent beside the values belong to it."""
    values, messages = outcome["values"], outcome["messages"]
    if messages is None:
        return values
    if values is None:
        return {"messages": messages}
    if isinstance(values, dict) and "messages" not in values:
        return {**values, "messages": messages}
    return values
