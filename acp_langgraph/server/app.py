"""The HTTP surface: the 30 operations of ACP 0.2.3 over an engine.

Handlers are thin: they read, ask the engine, and write. `OPERATIONS` names them all by method and
path, under the specification's own operation ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from acp_langgraph.acp.models import (
    AgentSearchRequest,
    RunCreate,
    RunCreateStateful,
    RunCreateStateless,
    RunSearchRequest,
    ThreadCreate,
    ThreadPatch,
    ThreadSearchRequest,
)
from acp_langgraph.server.agents import HostedAgent, Registry, ServedAgent
from acp_langgraph.server.engine import Engine
from acp_langgraph.server.middleware import ApiKeyGuard, Observer, SeenRequest
from acp_langgraph.server.problems import Problem, invalid, not_found
from acp_langgraph.server.schemas import Graph
from acp_langgraph.server.sse import EventStream
from acp_langgraph.server.storage import MemoryStorage, RunQuery, RunRecord, Storage, ThreadQuery
from acp_langgraph.server.streams import wanted_modes
from acp_langgraph.server.threads import Threads
from acp_langgraph.server.wire import (
    answer,
    error_answer,
    flag,
    number,
    path_id,
    read_json,
    read_model,
    run_model,
    thread_model,
    wait_model,
)

__all__ = ["OPERATIONS", "Api", "create_app"]

T = TypeVar("T")

_MOST_LISTED: Final = 1000
_LARGEST_OFFSET: Final = 2**31


class Api:
    """The operations, as Starlette endpoints.

    Args:
        engine: Runs the agents.
        max_body: Bytes that a request may have.
        keep_alive: Seconds between signs of life on an idle stream.
    """

    def __init__(self, engine: Engine, *, max_body: int, keep_alive: float) -> None:
        self._engine = engine
        self._threads = Threads(engine)
        self._max_body = max_body
        self._keep_alive = keep_alive

    # Agents

    async def search_agents(self, request: Request) -> Response:
        body = await read_model(request, AgentSearchRequest, self._max_body)
        found = [
            agent.listed
            for agent in self._engine.agents
            if body.name in {None, agent.descriptor.metadata.ref.name}
            and body.version in {None, agent.descriptor.metadata.ref.version}
        ]
        return answer(found[body.offset : body.offset + body.limit])

    async def get_agent_by_id(self, request: Request) -> Response:
        return answer(self._engine.agents.get(path_id(request, "agent")).listed)

    async def get_acp_descriptor_by_id(self, request: Request) -> Response:
        return answer(self._engine.agents.get(path_id(request, "agent")).descriptor)

    # Threads

    async def create_thread(self, request: Request) -> Response:
        body = await read_model(request, ThreadCreate, self._max_body)
        return answer(thread_model(await self._threads.create(body)))

    async def search_threads(self, request: Request) -> Response:
        body = await read_model(request, ThreadSearchRequest, self._max_body)
        found = await self._engine.storage.find_threads(
            ThreadQuery(body.status, body.metadata, body.values, body.limit, body.offset)
        )
        return answer(map(thread_model, found))

    async def get_thread(self, request: Request) -> Response:
        return answer(thread_model(await self._threads.get(path_id(request, "thread"))))

    async def patch_thread(self, request: Request) -> Response:
        thread_id = path_id(request, "thread")
        body = await read_model(request, ThreadPatch, self._max_body)
        return answer(thread_model(await self._threads.patch(thread_id, body)))

    async def delete_thread(self, request: Request) -> Response:
        await self._threads.delete(path_id(request, "thread"))
        return _nothing()

    async def copy_thread(self, request: Request) -> Response:
        return answer(thread_model(await self._threads.copy(path_id(request, "thread"))))

    async def get_thread_history(self, request: Request) -> Response:
        limit = number(request, "limit", 10, least=1, most=_MOST_LISTED)
        before = request.query_params.get("before")
        thread_id = path_id(request, "thread")
        return answer(await self._threads.history(thread_id, limit=limit, before=before))

    # Runs, stateless and on threads

    async def create_run(self, request: Request) -> Response:
        return answer(run_model(await self._create(request)))

    async def create_and_wait(self, request: Request) -> Response:
        run = await self._create(request)
        settled = await _unless_disconnected(request, self._engine.wait(run.run_id))
        if settled is None:
            await self._abandoned(run)
        return _outcome(run.run_id, settled)

    async def create_and_stream(self, request: Request) -> Response:
        return self._stream(await self._create(request), creator=True)

    async def get_run(self, request: Request) -> Response:
        return answer(run_model(await self._find(request)))

    async def wait_for_run(self, request: Request) -> Response:
        run = await self._find(request)
        settled = await _unless_disconnected(request, self._engine.wait(run.run_id))
        return _outcome(run.run_id, settled)

    async def stream_run(self, request: Request) -> Response:
        return self._stream(await self._find(request), creator=False)

    async def resume_run(self, request: Request) -> Response:
        run = await self._find(request)
        payload = await read_json(request, self._max_body)
        return answer(run_model(await self._engine.resume(run, payload)))

    async def cancel_run(self, request: Request) -> Response:
        run = await self._find(request)
        action = request.query_params.get("action", "interrupt")
        if action not in {"interrupt", "rollback"}:
            raise invalid("query.action: must be interrupt or rollback")
        wait = flag(request, "wait")
        await self._engine.cancel(run.run_id, wait=wait, rollback=action == "rollback")
        return _nothing()

    async def delete_run(self, request: Request) -> Response:
        await self._engine.delete(await self._find(request))
        return _nothing()

    async def search_stateless_runs(self, request: Request) -> Response:
        body = await read_model(request, RunSearchRequest, self._max_body)
        query = RunQuery(
            stateless=True,
            agent_id=body.agent_id.lower() if body.agent_id else None,
            status=body.status,
            metadata=body.metadata,
            limit=body.limit,
            offset=body.offset,
        )
        return answer(map(run_model, await self._engine.storage.find_runs(query)))

    async def list_thread_runs(self, request: Request) -> Response:
        thread = await self._threads.get(path_id(request, "thread"))
        query = RunQuery(
            stateless=False,
            thread_id=thread.thread_id,
            limit=number(request, "limit", 10, least=1, most=_MOST_LISTED),
            offset=number(request, "offset", 0, least=0, most=_LARGEST_OFFSET),
        )
        return answer(map(run_model, await self._engine.storage.find_runs(query)))

    async def _find(self, request: Request) -> RunRecord:
        run_id = path_id(request, "run")
        thread_id = path_id(request, "thread") if "thread_id" in request.path_params else None
        run = await self._engine.storage.get_run(run_id)
        # A run is found only where it was made: `/runs` knows none of a thread, nor the reverse.
        if run is None or (None if run.stateless else run.thread_id) != thread_id:
            raise not_found("run", run_id)
        return run

    async def _create(self, request: Request) -> RunRecord:
        if "thread_id" not in request.path_params:
            stateless = await read_model(request, RunCreateStateless, self._max_body)
            return await self._engine.create(*self._checked(stateless))
        thread_id = path_id(request, "thread")
        body = await read_model(request, RunCreateStateful, self._max_body)
        if body.if_not_exists == "reject":
            await self._threads.get(thread_id)
        agent, checked = self._checked(body)
        await self._threads.ensure(thread_id)
        return await self._engine.create(agent, checked, thread_id)

    def _checked(self, body: RunCreate) -> tuple[HostedAgent, RunCreate]:
        agent = self._engine.agents.get(body.agent_id)
        agent.checked_configurable(body.config.configurable if body.config else None)
        if body.config and (body.config.recursion_limit or 1) < 1:
            raise invalid("config.recursion_limit: must be at least 1")
        return agent, body.model_copy(update={"input": agent.checked_input(body.input)})

    def _stream(self, run: RunRecord, *, creator: bool) -> Response:
        async def gone() -> None:
            if creator:
                await self._abandoned(run)

        modes = wanted_modes(run.creation)
        return EventStream(self._engine, run, modes, keep_alive=self._keep_alive, on_gone=gone)

    async def _abandoned(self, run: RunRecord) -> None:
        """The client that created a run has gone before its end."""
        if run.creation.get("on_disconnect", "cancel") == "cancel":
            await self._engine.cancel(run.run_id)


OPERATIONS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "/agents/search": {"POST": ("search_agents", "search_agents")},
    "/agents/{agent_id}": {"GET": ("get_agent_by_id", "get_agent_by_id")},
    "/agents/{agent_id}/descriptor": {
        "GET": ("get_acp_descriptor_by_id", "get_acp_descriptor_by_id")
    },
    "/threads": {"POST": ("create_thread", "create_thread")},
    "/threads/search": {"POST": ("search_threads", "search_threads")},
    "/threads/{thread_id}": {
        "GET": ("get_thread", "get_thread"),
        "PATCH": ("patch_thread", "patch_thread"),
        "DELETE": ("delete_thread", "delete_thread"),
    },
    "/threads/{thread_id}/history": {"GET": ("get_thread_history", "get_thread_history")},
    "/threads/{thread_id}/copy": {"POST": ("copy_thread", "copy_thread")},
    "/threads/{thread_id}/runs": {
        "GET": ("list_thread_runs", "list_thread_runs"),
        "POST": ("create_thread_run", "create_run"),
    },
    "/threads/{thread_id}/runs/stream": {
        "POST": ("create_and_stream_thread_run_output", "create_and_stream")
    },
    "/threads/{thread_id}/runs/wait": {
        "POST": ("create_and_wait_for_thread_run_output", "create_and_wait")
    },
    "/threads/{thread_id}/runs/{run_id}": {
        "GET": ("get_thread_run", "get_run"),
        "POST": ("resume_thread_run", "resume_run"),
        "DELETE": ("delete_thread_run", "delete_run"),
    },
    "/threads/{thread_id}/runs/{run_id}/wait": {
        "GET": ("wait_for_thread_run_output", "wait_for_run")
    },
    "/threads/{thread_id}/runs/{run_id}/stream": {
        "GET": ("stream_thread_run_output", "stream_run")
    },
    "/threads/{thread_id}/runs/{run_id}/cancel": {"POST": ("cancel_thread_run", "cancel_run")},
    "/runs": {"POST": ("create_stateless_run", "create_run")},
    "/runs/search": {"POST": ("search_stateless_runs", "search_stateless_runs")},
    "/runs/stream": {"POST": ("create_and_stream_stateless_run_output", "create_and_stream")},
    "/runs/wait": {"POST": ("create_and_wait_for_stateless_run_output", "create_and_wait")},
    "/runs/{run_id}": {
        "GET": ("get_stateless_run", "get_run"),
        "POST": ("resume_stateless_run", "resume_run"),
        "DELETE": ("delete_stateless_run", "delete_run"),
    },
    "/runs/{run_id}/wait": {"GET": ("wait_for_stateless_run_output", "wait_for_run")},
    "/runs/{run_id}/stream": {"GET": ("stream_stateless_run_output", "stream_run")},
    "/runs/{run_id}/cancel": {"POST": ("cancel_stateless_run", "cancel_run")},
}
"""Path and method to the specification's operation id and the endpoint that serves it."""


def create_app(
    agents: Mapping[str, Graph] | Sequence[ServedAgent],
    *,
    api_key: str | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    storage: Storage | None = None,
    on_request: Callable[[SeenRequest], None] | None = None,
    max_body: int = 16 * 2**20,
    keep_alive: float = 15.0,
) -> Starlette:
    """An ASGI application that serves LangGraph graphs over ACP 0.2.3.

    Args:
        agents: The graphs by name, or with all that is to be said of them. The first is the
            default agent.
        api_key: Demanded from every client, as header `x-api-key` or as bearer token.
        checkpointer: For graphs that were compiled without one; in memory by default.
        storage: Keeps runs and threads; in memory by default.
        on_request: Told of every request as it arrives.
        max_body: Bytes that a request may have.
        keep_alive: Seconds between signs of life on an idle stream.

    Returns:
        The application. Its lifespan ends all runs; its `state.engine` is the engine.

    Raises:
        ACPDescriptorValidationException: If an agent's descriptor is not valid.
        ValueError: If there are no agents, two have the same id, or the key is empty.
    """
    if api_key is not None and not api_key.strip():
        raise ValueError("api_key is empty; leave it out to serve without one")
    registry = Registry(agents, checkpointer or InMemorySaver())
    engine = Engine(registry, storage or MemoryStorage())
    api = Api(engine, max_body=max_body, keep_alive=keep_alive)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await engine.close()

    middleware = []
    if on_request is not None:
        middleware.append(Middleware(Observer, on_request=on_request))
    if api_key is not None:
        middleware.append(Middleware(ApiKeyGuard, api_key=api_key.strip()))
    app = Starlette(
        routes=[_route(path, methods, api) for path, methods in OPERATIONS.items()],
        middleware=middleware,
        exception_handlers={
            Problem: _on_problem,
            HTTPException: _on_http_exception,
            Exception: _on_failure,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.engine = engine
    return app


def _route(path: str, methods: Mapping[str, tuple[str, str]], api: Api) -> Route:
    handlers: dict[str, Callable[[Request], Awaitable[Response]]] = {
        method: getattr(api, endpoint) for method, (_, endpoint) in methods.items()
    }

    async def dispatch(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, dispatch, methods=list(handlers))


async def _on_problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)  # noqa: S101 - registered for this class
    return error_answer(problem)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    words = {
        404: f"there is nothing at {request.url.path[:200]}",
        405: f"{request.method} is not possible at {request.url.path[:200]}",
    }.get(error.status_code, error.detail)
    headers = dict(error.headers) if error.headers else None
    return error_answer(Problem(HTTPStatus(error.status_code), words, headers))


async def _on_failure(_: Request, error: Exception) -> Response:
    words = f"the server failed: {type(error).__name__}"
    return error_answer(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, words))


def _nothing() -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _outcome(run_id: str, run: RunRecord | None) -> Response:
    if run is None:
        raise not_found("run", run_id)
    return answer(wait_model(run))


async def _unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of some work, or `None` as soon as the client has gone."""
    working = asyncio.ensure_future(work)
    listening = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        listening.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
