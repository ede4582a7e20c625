"""What every remote node is: a `Runnable` that takes a state and returns its change.

A node's work is one flow (`RemoteNode.life`). Inside a graph the graph performers run it, on its own
the transport does; there is no other difference, and none between `invoke` and `ainvoke`.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import warnings
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final, Literal, Optional, Self

import httpx
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langgraph.func import entrypoint
from langgraph.types import StreamMode

from acp_langgraph.auth import HeaderAuth, Refuse
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.chat import with_messages
from acp_langgraph.core.flow import Flow, Progress, adrive, drive
from acp_langgraph.errors import AcpLangGraphError, NodeConfigurationError
from acp_langgraph.jobs.job import Entry, Job, Outcome, one_of
from acp_langgraph.jobs.life import AnswerSchema, run_job
from acp_langgraph.jobs.waiting import Suspension
from acp_langgraph.nodes.drawing import Described
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.identity import Auth, Headers, Identity
from acp_langgraph.nodes.langgraph import CONFIG_KEY_RUNTIME, channels_taking
from acp_langgraph.nodes.performers import AsyncGraphPerformer, GraphPerformer, ended_with_the_graph
from acp_langgraph.nodes.ports import InputPort, OutputPort, refuse_lost
from acp_langgraph.nodes.reporting import Report
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.transport.per_call import AsyncPerCallTransport, PerCallTransport

_log = logging.getLogger("acp_langgraph.nodes")

_UNREPORTED: Final = nullcontext()
_CANCEL_WITHIN: Final = 10.0  # seconds
_REMEMBERED: Final = 10_000


class RemoteNode(Described):
    """Base of the nodes that have work done elsewhere.

    Args:
        name: The node's name in the graph.
        configuration: Where and as whom to connect; a URL will do.
        headers: Sent with every request of this node; or a function that makes them, of the
            invocation's config or runtime, as told in `HeaderAuth`.
        client: A blocking client of the caller's own.
        async_client: An awaiting client of the caller's own.
        auth: A `TokenAuth` or `HeaderAuth`; or an `httpx.Auth` of the caller's own.
        on_cancel: Whether the remote job is ended when the node's execution is cancelled.
        fixed_headers: More headers that are the same for every request.
        service_auth: What else there is to show, and `refuse` does not hold for.
        refuse: Raises for headers that must not be sent.

    Raises:
        NodeConfigurationError: If the name cannot be a node's.
    """

    def __init__(
        self,
        name: str,
        configuration: ApiClientConfiguration | str | None,
        *,
        headers: Headers | None = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        auth: Auth | None = None,
        on_cancel: Literal["cancel", "detach"] = "cancel",
        fixed_headers: Mapping[str, str] | None = None,
        service_auth: HeaderAuth | None = None,
        refuse: Refuse | None = None,
    ) -> None:
        if not isinstance(name, str) or not name or {":", "|"} & set(name):
            raise NodeConfigurationError(
                f"{name!r} cannot be a node's name; LangGraph wants text without ':' and '|'"
            )
        self.name = self.agent = name
        self.__name__ = name  # where `add_sequence` looks
        self.on_cancel = one_of("on_cancel", on_cancel, ("cancel", "detach"), name)
        self._known_to_one_client = ""
        if configuration is None and (client is None) != (async_client is None):
            self._known_to_one_client = "client" if client is not None else "async_client"
        self.identity = Identity(
            name, headers, auth, fixed=fixed_headers, more=service_auth, refuse=refuse
        )
        given, same = self.identity.httpx_auth, self.identity.headers
        self.transport = Transport(configuration, client=client, auth=given, headers=same)
        self.async_transport = AsyncTransport(
            configuration, client=async_client, auth=given, headers=same
        )
        self._traces = self.transport.endpoint.configuration.trace
        self._ended: dict[str, None] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._says_that_jobs_go_on = True

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_ending": {}}  # what is at work here is not at work in a copy

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = copy.copy(self)
        memo[id(self)] = twin
        state = self.__getstate__()
        twin.__dict__.update({each: copy.deepcopy(state[each], memo) for each in state})
        return twin

    @property
    def ports(self) -> tuple[InputPort | OutputPort, ...]:
        """Where the node reads the state, and where it writes it."""
        return tuple(
            each for each in vars(self).values() if isinstance(each, InputPort | OutputPort)
        )

    @abstractmethod
    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """The node's work, from the state to the change of the state."""

    def life(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """`flow`, by the name that it had in 0.2."""
        warnings.warn("life() is called flow()", DeprecationWarning, stacklevel=2)
        return self.flow(state, execution, config)

    @abstractmethod
    def ending(self, execution: Execution, key: str, run_id: str | None) -> Flow[bool]:
        """What ends a remote job, named by its id or else by its key; whether it did."""

    def _have_done(
        self, job: Job, execution: Execution, answer_schema: AnswerSchema | None = None
    ) -> Flow[Outcome]:
        """Have a remote job done once, however often the execution is entered; see `run_job`."""
        entry = Entry(
            again=execution.again,
            cancelled=self._ended,
            failures=execution.failures,
        )
        return run_job(
            job,
            can_ask=execution.remembered,
            entry=entry,
            answer_schema=answer_schema,
            advice=execution.how_to_remember(),
            suspension=self._suspension(execution),
        )

    def _suspension(self, execution: Execution) -> Suspension | None:  # noqa: ARG002 - for those that can
        """How the graph is suspended while a job works; `None` to wait for it."""
        return None

    def was_cancelled(self, run_id: str) -> bool:
        """Whether a remote job was cancelled from here."""
        return run_id in self._ended

    def invoke(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: Optional[RunnableConfig] = None,  # noqa: UP045 - as LangGraph reads it
        **_: Any,
    ) -> dict[str, Any]:
        """Do the work, blocking.

        Args:
            input: The state: a dict, a pydantic model or a dataclass. It is not changed.
            config: LangGraph's, inside a graph.

        Returns:
            The changed channels of the state, and nothing else.
        """
        config = _whole(config)
        self._refuse_without("client")
        channels = self._channels(input, config)
        execution = self._execution(config, input)
        performer = GraphPerformer(self._transport_for(execution), execution, self.agent)
        performer.report = self._report(execution, config)
        try:
            with performer.report or _UNREPORTED:
                change = drive(self._flow(input, execution, config), performer)
                return self._taken(change, channels)
        except Exception as error:
            execution.left(error)
            if isinstance(error, AcpLangGraphError):
                performer.progress(Progress("failed"))
            raise
        except (KeyboardInterrupt, SystemExit):
            self._stop(performer)
            raise

    async def ainvoke(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: Optional[RunnableConfig] = None,  # noqa: UP045 - as LangGraph reads it
        **_: Any,
    ) -> dict[str, Any]:
        """Do the work, awaiting; otherwise `invoke`."""
        config = _whole(config)
        self._refuse_without("async_client")
        channels = self._channels(input, config)
        execution = self._execution(config, input)
        performer = AsyncGraphPerformer(self._async_transport_for(execution), execution, self.agent)
        performer.report = self._report(execution, config)
        await self._until_ended(execution)
        try:
            loops = execution.task.loops if execution.task is not None else ()
            with performer.report or _UNREPORTED, ended_with_the_graph(loops):
                change = await adrive(self._flow(input, execution, config), performer)
                return self._taken(change, channels)
        except Exception as error:
            execution.left(error)
            if isinstance(error, AcpLangGraphError):
                await performer.progress(Progress("failed"))
            raise
        except asyncio.CancelledError:
            if self.on_cancel == "cancel" and performer.key is not None:
                self._end_in_background(performer)
            raise

    def stream(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stream_mode: StreamMode | Sequence[StreamMode] | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """Do the work, and yield what the remote side emits while it works.

        Args:
            input: As for `invoke`.
            config: As for `invoke`.
            stream_mode: What a graph that consists of this node would yield for it. By default the
                remote events, and last what `invoke` returns.
            **options: As for `stream` of a graph.
        """
        if _is_in_a_graph(config):  # which takes what is emitted by itself
            yield self.invoke(input, config)
            return

        def work(state: Any, config: RunnableConfig) -> dict[str, Any]:
            return self.invoke(state, config)

        work.__name__ = self.name
        graph = entrypoint()(work)
        if stream_mode is not None:
            yield from graph.stream(input, config, stream_mode=stream_mode, **options)
            return
        for _, item in graph.stream(input, config, stream_mode=["custom", "values"], **options):
            yield item

    async def astream(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stream_mode: StreamMode | Sequence[StreamMode] | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """`stream`, awaiting."""
        if _is_in_a_graph(config):
            yield await self.ainvoke(input, config)
            return

        async def work(state: Any, config: RunnableConfig) -> dict[str, Any]:
            return await self.ainvoke(state, config)

        work.__name__ = self.name
        graph = entrypoint()(work)
        if stream_mode is not None:
            async for item in graph.astream(input, config, stream_mode=stream_mode, **options):
                yield item
            return
        stream = graph.astream(input, config, stream_mode=["custom", "values"], **options)
        async for _, item in stream:
            yield item

    def close(self) -> None:
        """Close the blocking connections."""
        self.transport.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and the blocking ones."""
        await self.async_transport.aclose()
        self.transport.close()

    def _transport_for(self, execution: Execution) -> Transport:
        """What blocking requests of an execution are made with."""
        if execution.credentials is None and not self._traces:
            return self.transport
        return PerCallTransport(self.transport, lambda: execution.credentials)

    def _async_transport_for(self, execution: Execution) -> AsyncTransport:
        """What awaiting requests of an execution are made with."""
        if execution.credentials is None and not self._traces:
            return self.async_transport
        return AsyncPerCallTransport(self.async_transport, lambda: execution.credentials)

    def _execution(self, config: RunnableConfig, state: Any) -> Execution:
        execution = Execution.of(self.name, config, state=state, is_tool=self.is_tool)
        if not self.identity.varies:
            return execution
        return replace(execution, credentials=self.identity.credentials(config))

    def as_who_asks(self, config: RunnableConfig | None) -> Transport:
        """What blocking requests beside any execution are made with."""
        if not self.identity.varies:
            return self.transport
        credentials = self.identity.credentials(ensure_config(config))
        return PerCallTransport(self.transport, lambda: credentials)

    def as_who_awaits(self, config: RunnableConfig | None) -> AsyncTransport:
        """What awaiting requests beside any execution are made with."""
        if not self.identity.varies:
            return self.async_transport
        credentials = self.identity.credentials(ensure_config(config))
        return AsyncPerCallTransport(self.async_transport, lambda: credentials)

    def _report(self, execution: Execution, config: RunnableConfig) -> Report | None:
        host = self.transport.endpoint.base_url
        return Report.of(self.name, self.agent, host, execution, config)

    def _flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        if execution.credentials is None:
            return self.flow(state, execution, config)
        return self._authorized_flow(state, execution, config)

    def _authorized_flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        assert execution.credentials is not None  # noqa: S101 - the caller has checked
        yield from self.identity.settled(
            execution.credentials, config, remembered=execution.remembered
        )
        return (yield from self.flow(state, execution, config))

    def _channels(self, state: Any, config: RunnableConfig) -> Mapping[str, Any] | None:
        """The channels that the change goes to, once it is certain that it has a place there."""
        channels = channels_taking(self, config)
        port = getattr(self, "output", None)
        if channels is not None and isinstance(port, OutputPort):
            refuse_lost(port.names_in(state), channels, self.name, "output_path")
        return channels

    def _taken(self, change: dict[str, Any], channels: Mapping[str, Any] | None) -> dict[str, Any]:
        port = getattr(self, "output", None)
        where = "the answer would be lost" if isinstance(port, OutputPort) else "output"
        refuse_lost(change, channels, self.name, where)
        taken: dict[str, Any] = with_messages(change, channels)
        return taken

    def _refuse_without(self, wanted: str) -> None:
        if self._known_to_one_client not in {"", wanted}:
            raise NodeConfigurationError(
                f"only {self._known_to_one_client}= knows where the server is, and this way of "
                f"invoking needs {wanted}=; give that as well, or a client_config for both",
                node=self.name,
            )

    def _stop(self, performer: GraphPerformer) -> None:
        """Let go of the step that is at work, be it in a thread of its own, and end the remote job."""
        performer.stopped = True
        self.transport.close()
        if self.on_cancel == "cancel" and performer.key is not None:
            last = GraphPerformer(self._transport_for(performer.execution), performer.execution)
            last.run_id = performer.run_id
            ending = self.ending(performer.execution, performer.key, performer.run_id)
            self._note_end(last, ended=drive(ending, last))
            self.transport.close()

    def _end_in_background(self, performer: AsyncGraphPerformer) -> None:
        """Let LangGraph go on: it does not wait for the clean-up of a node that it cancelled."""
        key = performer.execution.key
        job = asyncio.get_running_loop().create_task(self._end(performer))
        self.async_transport.finish(job)
        self._ending[key] = job

        def forget(_: Any) -> None:
            if self._ending.get(key) is job:
                del self._ending[key]

        job.add_done_callback(forget)

    async def _until_ended(self, execution: Execution) -> None:
        """Wait until what an earlier entry of the same execution left behind is ended."""
        job = self._ending.get(execution.key)
        if job is not None and job.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({job})

    async def _end(self, performer: AsyncGraphPerformer) -> None:
        assert performer.key is not None  # noqa: S101 - the caller has checked
        execution = replace(performer.execution, runtime=None)  # which may be draining
        last = AsyncGraphPerformer(self._async_transport_for(execution), execution)
        last.run_id = performer.run_id
        # An event loop that shuts down cancels its tasks once, and then waits for them.
        for _ in range(2):
            ending = self.ending(execution, performer.key, performer.run_id)
            try:
                async with asyncio.timeout(_CANCEL_WITHIN):
                    ended = await adrive(ending, last)
            except TimeoutError:
                ended = False
            except asyncio.CancelledError:
                continue
            self._note_end(last, ended=ended)
            return

    def _note_end(self, performer: GraphPerformer | AsyncGraphPerformer, *, ended: bool) -> None:
        run_id = performer.run_id
        if ended and run_id is not None:
            self._ended[run_id] = None
            while len(self._ended) > _REMEMBERED:
                self._ended.pop(next(iter(self._ended)))
        if not ended and self._says_that_jobs_go_on:
            self._says_that_jobs_go_on = False
            _log.warning(
                "node %r: the server did not end the remote job %s, which goes on; this is said once",
                self.name,
                run_id or "",
            )


def _is_in_a_graph(config: RunnableConfig | None) -> bool:
    return CONFIG_KEY_RUNTIME in ensure_config(config).get("configurable", {})


def _whole(config: RunnableConfig | None) -> RunnableConfig:
    """The configuration with what its context adds; a graph has seen to that already."""
    if config is not None and CONFIG_KEY_RUNTIME in config.get("configurable", {}):
        return config
    return ensure_config(config)
