"""The 30 operations of ACP 0.2.3: read a request, ask the engine, write the answer.

Stateless runs and runs on threads share their handlers; a `thread_id` in the path tells them apart.
Which operations there are is in `acp_langgraph.acp.calls`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from acp_langgraph.acp.models import (
    AgentSearchRequest,
    RunConfig,
    RunCreate,
    RunCreateStateful,
    RunCreateStateless,
    RunSearchRequest,
    ThreadCreate,
    ThreadPatch,
    ThreadSearchRequest,
)
from acp_langgraph.server.agents import HostedAgent
from acp_langgraph.server.engine import Engine
from acp_langgraph.server.records import RunQuery, RunRecord, ThreadQuery
from acp_langgraph.server.sse import EventStream
from acp_langgraph.server.threads import Threads
from acp_langgraph.server.wire import (
    Limits,
    answer,
    demand_little,
    disconnected,
    flag,
    given_id,
    invalid,
    last_event_id,
    not_found,
    number,
    path_id,
    read_json,
    read_model,
    run_json,
    thread_json,
    wait_json,
)

T = TypeVar("T")

_MOST_LISTED: Final = 1000
_LARGEST_OFFSET: Final = 2**31
_LONG_TO_CHECK: Final = 32 * 2**10  # bytes
_A_MOMENT: Final = 0.05  # seconds


class Operations:
    """The operations, as Starlette endpoints.

    Args:
        engine: Runs the agents.
        limits: How much is taken on.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._threads = Threads(engine)
        self._limits = limits

    # Agents

    async def search_agents(self, request: Request) -> Response:
        """List the agents of a name and version, or all."""
        body = await read_model(request, AgentSearchRequest, self._limits)
        found = [
            agent.listed
            for agent in self._engine.agents
            if body.name in {None, agent.descriptor.metadata.ref.name}
            and body.version in {None, agent.descriptor.metadata.ref.version}
        ]
        return answer(found[body.offset : body.offset + body.limit])

    async def get_agent_by_id(self, request: Request) -> Response:
        """Tell an agent's name, version and purpose."""
        return answer(self._engine.agents.get(path_id(request, "agent")).listed)

    async def get_acp_descriptor_by_id(self, request: Request) -> Response:
        """Tell everything that an agent says of itself."""
        return answer(self._engine.agents.get(path_id(request, "agent")).descriptor)

    # Threads

    async def create_thread(self, request: Request) -> Response:
        """Make a thread, or find it where `if_exists` allows that."""
        body = await read_model(request, ThreadCreate, self._limits)
        if body.thread_id is not None:
            body.thread_id = given_id("thread_id", body.thread_id)
        demand_little("metadata", body.metadata, self._limits)
        return answer(thread_json(await self._threads.create(body)))

    async def search_threads(self, request: Request) -> Response:
        """List the threads that match, newest first."""
        body = await read_model(request, ThreadSearchRequest, self._limits)
        demand_little("metadata", body.metadata, self._limits)
        demand_little("values", body.values, self._limits)
        found = await self._engine.storage.find_threads(
            ThreadQuery(body.status, body.metadata, body.values, body.limit, body.offset)
        )
        return answer(map(thread_json, found))

    async def get_thread(self, request: Request) -> Response:
        """Tell a thread's status and state."""
        return answer(thread_json(await self._threads.get(path_id(request, "thread"))))

    async def patch_thread(self, request: Request) -> Response:
        """Merge metadata into a thread, write values into its state."""
        thread_id = path_id(request, "thread")
        body = await read_model(request, ThreadPatch, self._limits)
        return answer(thread_json(await self._threads.patch(thread_id, body)))

    async def delete_thread(self, request: Request) -> Response:
        """Forget a thread with its runs and checkpoints."""
        await self._threads.delete(path_id(request, "thread"))
        return _nothing()

    async def copy_thread(self, request: Request) -> Response:
        """Make a new thread with the state and history of another."""
        return answer(thread_json(await self._threads.copy(path_id(request, "thread"))))

    async def get_thread_history(self, request: Request) -> Response:
        """List the states of a thread, newest first."""
        limit = number(request, "limit", 10, least=1, most=_MOST_LISTED)
        before = request.query_params.get("before")
        if before is not None:
            before = given_id("query.before", before)
        thread_id = path_id(request, "thread")
        return answer(await self._threads.history(thread_id, limit=limit, before=before))

    # Runs, stateless and on threads

    async def create_run(self, request: Request) -> Response:
        """Accept a run and answer at once."""
        return answer(run_json(await self._create(request)))

    async def create_and_wait_for_run_output(self, request: Request) -> Response:
        """Accept a run and answer when it stops."""
        run = await self._create(request, told=False)
        settled = await _unless_disconnected(request, self._engine.wait(run.run_id))
        if settled is None:
            await self._abandoned(run)
        return _outcome(run.run_id, settled)

    async def create_and_stream_run_output(self, request: Request) -> Response:
        """Accept a run and stream it until it stops."""
        return self._stream(request, await self._create(request), creator=True)

    async def get_run(self, request: Request) -> Response:
        """Tell where a run stands."""
        return answer(run_json(await self._find(request)))

    async def wait_for_run_output(self, request: Request) -> Response:
        """Answer when a run stops."""
        run_id = (await self._find(request)).run_id  # no more than that is kept for as long
        settled = await _unless_disconnected(request, self._engine.wait(run_id))
        return _outcome(run_id, settled)

    async def stream_run_output(self, request: Request) -> Response:
        """Stream a run, from now on or from the client's last event, until it stops."""
        return self._stream(request, await self._find(request), creator=False)

    async def resume_run(self, request: Request) -> Response:
        """Answer what a run asks."""
        run = await self._find(request)
        payload = await read_json(request, self._limits)
        check = partial(self._engine.answers, run, payload)
        answers = await self._checking(request, check)
        return answer(run_json(await self._engine.resume(run, answers)))

    async def cancel_run(self, request: Request) -> Response:
        """Cancel a run, if need be with all that it did to its thread."""
        run = await self._find(request)
        action = request.query_params.get("action", "interrupt")
        if action not in {"interrupt", "rollback"}:
            raise invalid("query.action: must be interrupt or rollback")
        wait = flag(request, "wait")
        await self._engine.cancel(run.run_id, wait=wait, rollback=action == "rollback")
        return _nothing()

    async def delete_run(self, request: Request) -> Response:
        """Cancel a run if need be, and forget it."""
        await self._engine.delete(await self._find(request))
        return _nothing()

    async def search_stateless_runs(self, request: Request) -> Response:
        """List the stateless runs that match, newest first."""
        body = await read_model(request, RunSearchRequest, self._limits)
        demand_little("metadata", body.metadata, self._limits)
        query = RunQuery(
            stateless=True,
            agent_id=None if body.agent_id is None else given_id("agent_id", body.agent_id),
            status=body.status,
            metadata=body.metadata,
            limit=body.limit,
            offset=body.offset,
        )
        return answer(map(run_json, await self._engine.storage.find_runs(query)))

    async def list_thread_runs(self, request: Request) -> Response:
        """List the runs on a thread, newest first."""
        thread = await self._threads.get(path_id(request, "thread"))
        query = RunQuery(
            stateless=False,
            thread_id=thread.thread_id,
            limit=number(request, "limit", 10, least=1, most=_MOST_LISTED),
            offset=number(request, "offset", 0, least=0, most=_LARGEST_OFFSET),
        )
        return answer(map(run_json, await self._engine.storage.find_runs(query)))

    async def _find(self, request: Request) -> RunRecord:
        run_id = path_id(request, "run")
        thread_id = path_id(request, "thread") if "thread_id" in request.path_params else None
        run = await self._engine.storage.get_run(run_id)
        # A run is found only where it was made: `/runs` knows none of a thread, nor the reverse.
        if run is None or (None if run.stateless else run.thread_id) != thread_id:
            raise not_found("run", run_id)
        return run

    async def _create(self, request: Request, *, told: bool = True) -> RunRecord:
        if "thread_id" not in request.path_params:
            stateless = await read_model(request, RunCreateStateless, self._limits)
            return await self._engine.create(*await self._checked(request, stateless), told=told)
        thread_id = path_id(request, "thread")
        body = await read_model(request, RunCreateStateful, self._limits)
        if body.if_not_exists == "reject":
            await self._threads.get(thread_id)
        agent, checked = await self._checked(request, body)
        await self._threads.ensure(thread_id)
        return await self._engine.create(agent, checked, thread_id, told=told)

    async def _checked(self, request: Request, body: RunCreate) -> tuple[HostedAgent, RunCreate]:
        agent = self._engine.agents.get(body.agent_id)
        demand_little("metadata", body.metadata, self._limits)
        config = body.config or RunConfig()
        if config.recursion_limit is not None and config.recursion_limit < 1:
            raise invalid("config.recursion_limit: must be at least 1")

        def check() -> Any:
            agent.check_configurable(config.configurable)
            return agent.checked_input(body.input)

        return agent, body.model_copy(update={"input": await self._checking(request, check)})

    async def _checking(self, request: Request, check: Callable[[], T]) -> T:
        """Check what a request holds; where that may take a while, so that others get their turn."""
        if len(await request.body()) < _LONG_TO_CHECK:
            return check()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._engine.checks, check)

    def _stream(self, request: Request, run: RunRecord, *, creator: bool) -> Response:
        async def gone() -> None:
            if creator:
                await self._abandoned(run)

        return EventStream(
            self._engine,
            run,
            after=None if creator else last_event_id(request),
            keep_alive=self._limits.keep_alive,
            on_gone=gone,
        )

    async def _abandoned(self, run: RunRecord) -> None:
        """The client that created a run has gone before its end."""
        if run.creation.get("on_disconnect", "cancel") == "cancel":
            await self._engine.cancel(run.run_id)


def endpoint_of(operation: str) -> str:
    """The name of the method that serves an operation: runs differ with and without a thread by path only."""
    return _WHERE.sub("_run", operation)


_WHERE: Final = re.compile(r"_(stateless|thread)_run(?!s)")


def _nothing() -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _outcome(run_id: str, run: RunRecord | None) -> Response:
    if run is None:
        raise not_found("run", run_id)
    return answer(wait_json(run))


async def _unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of some work, or `None` as soon as the client has gone.

    Most work is done in a moment, and so is not listened beside of for that long.
    """
    loop = asyncio.get_running_loop()
    listening: asyncio.Task[None] | None = None

    def leave(_: Any) -> None:
        if not over:
            staying.reschedule(0)

    def listen() -> None:
        nonlocal listening
        listening = loop.create_task(disconnected(request.receive))
        listening.add_done_callback(leave)

    over, begin = False, loop.call_later(_A_MOMENT, listen)
    try:
        async with asyncio.timeout(None) as staying:
            return await work
    except TimeoutError:
        if not staying.expired():
            raise
        return None
    finally:
        over = True
        begin.cancel()
        if listening:
            listening.cancel()
