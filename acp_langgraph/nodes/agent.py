"""What the nodes of agents have in common, whichever protocol their servers speak."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, SupportsIndex, TypeVar
from uuid import UUID

import httpx
from langchain_core.runnables import RunnableConfig
from pydantic_core import PydanticSerializationError
from typing_extensions import TypedDict, override

from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.wake_urls import WakeURL
from acp_langgraph.core.wire import plain, unsendable
from acp_langgraph.errors import NodeConfigurationError, UnknownAgentError
from acp_langgraph.jobs.job import Job, JobPolicy, Segment, Sighting, one_of
from acp_langgraph.jobs.waiting import Suspension, cancel_job
from acp_langgraph.nodes import suspending
from acp_langgraph.nodes.base import RemoteNode
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.identity import Auth, Headers
from acp_langgraph.nodes.ports import FixedPort, InputPort, input_of, output_of

if TYPE_CHECKING:
    from acp_langgraph.nodes.tool import ToolSide

T = TypeVar("T")

_STRATEGIES: Final = ("reject", "rollback", "interrupt", "enqueue")


class AgentOptions(TypedDict, total=False):
    """What every node of an agent takes by keyword; see `acp_langgraph.ACPNode`."""

    input: Any
    output: Any
    llm: Any
    state_type: Any
    client: httpx.Client | None
    async_client: httpx.AsyncClient | None
    headers: Headers | None
    auth: Auth | None
    run_timeout: float | None
    on_timeout: Literal["cancel", "leave"]
    on_unknown: Literal["raise", "rerun"]
    on_failure: Literal["rerun", "keep"]
    on_cancel: Literal["cancel", "detach"]
    wait: Literal["hold", "suspend"]
    after: float
    wake_url: WakeURL | None


class PlacedOptions(AgentOptions, total=False):
    """What every node of an agent takes by place, too."""

    input_path: str | None
    input_type: Any
    output_path: str | None
    output_type: Any
    auth_header: Headers | None
    use_threads: bool


class AgentNode(RemoteNode):
    """Base of the nodes of agents: what is read, what is written, how patient to be, and what is known.

    The arguments are those of `acp_langgraph.ACPNode`, where they are explained. Whatever its protocol, what
    an agent says of itself is told as an ACP descriptor, which has a place for all of it.

    Attributes:
        use_threads: Whether the agent runs on a remote thread of the node's own.
        policy: How patient to be with a run.
        input: Where the input comes from.
        output: Where the answer goes.
        config: Where the agent's configuration is, if anywhere.
        modes: What agents of its protocol may be asked to stream.
        stream_mode: What this one is asked to stream, if anybody watches.
        wait: Whether the node waits for a run (`hold`), or the graph is suspended meanwhile (`suspend`).
    """

    modes: ClassVar[tuple[str, ...]] = ("values", "custom")

    def __init__(
        self,
        name: str,
        agent_id: str,
        client_config: ApiClientConfiguration | str | None,
        input_path: str | None,
        input_type: Any,
        output_path: str | None,
        output_type: Any,
        config_path: str | None,
        config_type: Any,
        auth_header: Headers | None,
        use_threads: bool,
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
        stream_mode: Any = "auto",
        id_name: str = "agent_id",
    ) -> None:
        super().__init__(
            name,
            client_config,
            headers=auth_header if headers is None else headers,
            client=client,
            async_client=async_client,
            auth=auth,
            on_cancel=on_cancel,
        )
        if headers is not None and auth_header is not None:
            raise NodeConfigurationError(
                "auth_header and headers are two names for the same; give one of them", node=name
            )
        if not isinstance(agent_id, (str, UUID)) or not str(agent_id):
            given = "empty" if agent_id == "" else f"of type {type(agent_id).__name__}"
            kind = id_name.removesuffix("_id")
            raise NodeConfigurationError(
                f"{id_name} is {given}; give an {kind}'s name or id as text", node=name
            )
        if config_type is not None and config_path is None:
            raise NodeConfigurationError("config_type needs a config_path", node=name)
        one_of("multitask_strategy", multitask_strategy, _STRATEGIES, name)
        self.multitask_strategy = multitask_strategy
        self.stream_mode = self._modes(stream_mode)
        self.wait = one_of("wait", wait, ("hold", "suspend"), name)
        self.after, self.wake_url = self._when_woken(after, wake_url)
        self.agent = str(agent_id)
        self.use_threads = use_threads
        self.policy = JobPolicy(
            run_timeout=run_timeout,
            on_timeout=on_timeout,
            on_unknown=on_unknown,
            on_failure=on_failure,
            retries=self.transport.retries,
            long_poll=min(30.0, self.transport.endpoint.configuration.timeout or 30.0),
        ).checked(name)
        self.input = input_of(name, input, input_path, input_type, state_type, llm)
        self.input_path, self.output_path = input_path, output_path
        self.output = output_of(name, output, output_path, output_type, state_type, llm)
        self.input_type, self.output_type, self.config_type = input_type, output_type, config_type
        self.config: InputPort | None = None
        if config_path is not None:
            self.config = InputPort("config", config_path, config_type, name)
        self._agent_id: str | None = None
        self._descriptor: AgentACPDescriptor | None = None
        self._made_of: tuple[Any, ...] | None = None
        if wait == "suspend":
            suspending.note(self)

    def _when_woken(self, after: Any, wake_url: WakeURL | None) -> tuple[float, WakeURL | None]:
        if self.wait == "hold":
            if after or wake_url is not None:
                raise NodeConfigurationError(
                    'after and wake_url need wait="suspend"', node=self.name
                )
            return 0.0, None
        return suspending.held_for(after, self.name), wake_url or WakeURL.from_env()

    def _modes(self, wanted: Any) -> tuple[str, ...]:
        """What the agent is to stream."""
        wanted = wanted or ()
        listed = isinstance(wanted, Iterable) and not isinstance(wanted, str)
        modes: tuple[Any, ...] = tuple(wanted) if listed else (wanted,)
        if modes != ("auto",) and not all(mode in self.modes for mode in modes):
            known = ", ".join(map(repr, self.modes))
            raise NodeConfigurationError(
                f"stream_mode is 'auto', {known}, a list of these {len(self.modes)}, or None; not "
                f"{wanted!r}. What you watch is for the graph's stream_mode to say",
                node=self.name,
            )
        return modes

    @staticmethod
    @abstractmethod
    def finding(agent: str, retries: int) -> Flow[FoundAgent]:
        """Finds an agent of a server by its id or name, with what it says of itself.

        Raises:
            UnknownAgentError: If there is none; names what the server has.
            OpenApiException: If the server cannot be asked, or says nothing that can be read.
        """

    @classmethod
    def _looked_up(
        cls,
        client_config: ApiClientConfiguration | str | None,
        agent: str,
        name: str | None,
        options: Any,
    ) -> Self:
        """A node from what a server says of an agent; see `ACPNode.from_agent`."""
        from acp_langgraph.nodes.from_agent import look_up  # noqa: PLC0415 - only for those who want it

        found = look_up(cls.finding, client_config, agent, options)
        return cls._of_agent(client_config, found, name, options)

    @classmethod
    async def _alooked_up(
        cls,
        client_config: ApiClientConfiguration | str | None,
        agent: str,
        name: str | None,
        options: Any,
    ) -> Self:
        """`_looked_up`, awaiting."""
        from acp_langgraph.nodes.from_agent import alook_up  # noqa: PLC0415 - see _looked_up

        found = await alook_up(cls.finding, client_config, agent, options)
        return cls._of_agent(client_config, found, name, options)

    @classmethod
    def _of_agent(
        cls,
        client_config: ApiClientConfiguration | str | None,
        found: FoundAgent,
        name: str | None,
        options: Any,
    ) -> Self:
        from acp_langgraph.nodes.from_agent import node_name, options_for  # noqa: PLC0415 - see _looked_up

        name = name or node_name(found)
        made: Any = cls  # which takes what the options of its protocol say
        node: Self = made(name, found.agent_id, client_config, **options_for(found, name, options))
        node.agent, node._agent_id = found.name, found.agent_id
        node._descriptor = found.descriptor
        node._made_of = (client_config, found, name, options)
        return node

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Made again of what it was made of: types that were made of a descriptor cannot be pickled."""
        if self._made_of is None or self.is_tool:
            return super().__reduce_ex__(protocol)
        return self._of_agent, self._made_of

    @property
    def agent_id(self) -> str | None:
        """The agent's id on the server, once it is known."""
        return self._agent_id

    @property
    def descriptor(self) -> AgentACPDescriptor | None:
        """What the agent says of itself, once it was asked."""
        return self._descriptor

    @property
    @override
    def metadata(self) -> dict[str, Any]:
        """The agent, its host and, once its descriptor was read, its version."""
        if self._descriptor is None:
            return super().metadata
        ref = self._descriptor.metadata.ref
        return {**super().metadata, "agent": ref.name, "version": ref.version}

    @override
    def known(self) -> dict[str, Any]:
        """What is known of the agent without asking it; once its descriptor was read, what that says.

        Returns:
            Beside `metadata`, as far as types or descriptor tell: the names of the fields that it
            `takes` and `gives`, and the types of what it `asks`.
        """
        if self._descriptor is None:
            return super().known()
        specs = self._descriptor.specs
        asks = {"asks": [each.interrupt_type for each in specs.interrupts or ()]}
        fields = self._fields(takes=specs.input, gives=specs.output)
        return {**self.metadata, **fields, **(asks if asks["asks"] else {})}

    def describe(self, config: RunnableConfig | None = None) -> AgentACPDescriptor:
        """Read what the agent says of itself, once: what it takes and gives, and what it may ask.

        Tools and drawings of this node show it from then on.

        Args:
            config: Says as whom to ask, where that is not the same for everyone.

        Raises:
            UnknownAgentError: If the server has no such agent.
            OpenApiException: If the server cannot be reached or refuses.
        """
        self._refuse_without("client")
        return self.as_who_asks(config).run(self._read_descriptor())

    async def adescribe(self, config: RunnableConfig | None = None) -> AgentACPDescriptor:
        """`describe`, awaiting."""
        self._refuse_without("async_client")
        return await self.as_who_awaits(config).run(self._read_descriptor())

    def _found(self, finding: Flow[T]) -> Flow[T]:
        """What is found; that it is not names this node."""
        try:
            return (yield from finding)
        except UnknownAgentError as error:
            raise UnknownAgentError(str(error), node=self.name) from None

    def found(self) -> Flow[FoundAgent]:
        """The agent, with what it says of itself now."""
        return self._found(self.finding(self._agent_id or self.agent, self.policy.retries))

    def _read_descriptor(self) -> Flow[AgentACPDescriptor]:
        if self._descriptor is None:
            found = yield from self.found()
            self._agent_id, self._descriptor = found.agent_id, found.descriptor
        return self._descriptor

    @abstractmethod
    def job_of(self, key: str, thread: str | None) -> Flow[Job]:
        """The job of a key, for what is done with one that was started: to look at it, and to end it.

        Args:
            key: Its key.
            thread: The remote thread that remembers, if there is one.
        """

    @override
    def ending(self, execution: Execution, key: str, run_id: str | None) -> Flow[bool]:
        """Cancel the remote run, which may have to be found first."""
        job = yield from self.job_of(key, self._thread(execution))
        if run_id is not None:
            job.forget(run_id)
        return (yield from cancel_job(job, run_id))

    def _look(self, wait: suspending.Wait) -> Flow[Sighting]:
        """How a run is that is waited for; asked once, for whoever asks will ask again."""
        job = yield from self.job_of(wait.key, wait.thread)
        job = job.with_(policy=type(job.policy)(retries=0))
        return (yield from job.read(wait.run_id))

    def _cancel(self, wait: suspending.Wait) -> Flow[bool]:
        """End a run that is waited for; whether it was."""
        job = yield from self.job_of(wait.key, wait.thread)
        job.forget(wait.run_id)
        return (yield from cancel_job(job, wait.run_id))

    @override
    def _suspension(self, execution: Execution) -> Suspension | None:
        """How the graph is suspended while a run works, if it is to be."""
        if self.wait == "hold" or not execution.remembered:
            return None
        return Suspension(self.after, partial(self._marker, execution))

    def _marker(self, execution: Execution, job: Job, segment: Segment) -> dict[str, Any]:
        limit, since = job.policy.run_timeout, segment["since"]
        return suspending.Wait(
            id="",
            node=self.name,
            agent=self.agent,
            server=self.transport.endpoint.base_url,
            run_id=segment["run_id"],
            key=job.key,
            thread=self._thread(execution),
            since=since,
            due=None if limit is None else since + limit,
        ).marker()

    def _wakes(self, execution: Execution) -> Callable[[str], str] | None:
        """Makes the URL that a job's server calls when the job is done, by the job's key."""
        if self.wake_url is None or execution.thread_id is None or not execution.remembered:
            return None
        return partial(self.wake_url.of, execution.thread_id)

    def _run_config(self, state: Any, config: RunnableConfig) -> Flow[dict[str, Any]]:
        """The configuration that the agent runs with: what is forwarded of the graph's, and its own."""
        found = forwarded(config)
        own = (yield from self.config.take(state, config)) if self.config is not None else None
        return found if own is None else {**found, "configurable": own}

    def _thread(self, execution: Execution) -> str | None:
        """The remote thread that the agent remembers on, if it is to."""
        return execution.remote_thread_id() if self.use_threads else None

    @override
    def tool_side(self, config: Any = None) -> ToolSide:
        """What a tool is made from."""
        from acp_langgraph.nodes.tool import ARGUMENTS, AnswerPort, ToolSide  # noqa: PLC0415 - only for those who want it

        twin = self._as_called()
        if self.wait == "suspend":
            suspending.note(twin)
        if config is not None:
            twin.config = FixedPort(config, self.config_type, self.name)
        elif self.config is not None:
            raise NodeConfigurationError(
                "config_path is a place in the graph's state, which a tool does not see; give the "
                "agent's configuration with as_tool(config=...)",
                node=self.name,
            )
        twin.input = InputPort("input", ARGUMENTS, self.input_type, self.name)
        twin.output = AnswerPort(self.output_type, self.name)
        known = self._descriptor
        takes = self.input_type
        if takes is None and known is not None:
            takes = known.specs.input
        said = known.metadata.description if known is not None else ""
        return ToolSide(twin, takes, said or f"Has the remote agent {self.agent!r} do its work.")


_GRAPHS_OWN: Final = ("langgraph_", "checkpoint", "__", "ls_")
_DEFAULT_RECURSION_LIMIT: Final = 25  # what LangChain fills in where the user set none
_GRAPHS_OWN_TAGS: Final = ("graph:", "seq:", "langsmith:", "branch:")


def forwarded(config: RunnableConfig) -> dict[str, Any]:
    """What of the graph's configuration is the user's and meant for the agent as well."""
    tags = [tag for tag in config.get("tags") or () if not tag.startswith(_GRAPHS_OWN_TAGS)]
    found: dict[str, Any] = {"tags": tags} if tags else {}
    limit = config.get("recursion_limit", _DEFAULT_RECURSION_LIMIT)
    if limit != _DEFAULT_RECURSION_LIMIT:
        found["recursion_limit"] = limit
    return found


def forwarded_metadata(config: RunnableConfig) -> dict[str, Any]:
    """What of its metadata is the user's, as far as it is JSON."""
    configurable = config.get("configurable", {})
    found = {}
    for name, value in (config.get("metadata") or {}).items():
        if name.startswith(_GRAPHS_OWN) or name in configurable:
            continue
        try:
            made = plain(value)
        except (PydanticSerializationError, ValueError):
            continue
        if unsendable(made) is None:
            found[name] = made
    return found
