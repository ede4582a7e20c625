"""The ASGI application: the operations behind their guard, every failure a JSON string.

Servers tell an application when they start and stop (ASGI's lifespan). One that is mounted into
another is told nothing, unless the outer one passes it on; so it also starts with its first request.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from acp_langgraph.server.agents import Graph, Registry, ServedAgent
from acp_langgraph.server.containing import ExitError
from acp_langgraph.server.database import Database
from acp_langgraph.server.engine import Engine
from acp_langgraph.server.middleware import (
    PUBLIC,
    ApiKeyGuard,
    BrowserGuard,
    Observer,
    SeenRequest,
    TraceTaker,
    check_hosts,
    refuse_other_bodies,
)
from acp_langgraph.server.openapi import by_path, openapi
from acp_langgraph.server.operations import Operations, endpoint_of
from acp_langgraph.server.page.routes import Handlers, PageData, file_routes
from acp_langgraph.server.saver import DatabaseSaver
from acp_langgraph.server.storage import Storage
from acp_langgraph.server.streams import Journal
from acp_langgraph.server.webhooks import WebhookPolicy, Webhooks
from acp_langgraph.server.wire import Limits, Problem, error_answer


class Stored(Protocol):
    """What has tables of its own in the database."""

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make them, if they are not there."""


class Lifecycle:
    """Opens the database and starts the engine, once; and ends both.

    Args:
        database: Where everything is kept.
        stored: What has tables there, in the order in which they are made.
        engine: Runs the agents.
    """

    def __init__(self, database: Database, stored: Sequence[Stored], engine: Engine) -> None:
        self._database = database
        self._stored = stored
        self._engine = engine
        self._starting = asyncio.Lock()
        self.started = False
        self.failure: Exception | None = None

    async def start(self) -> None:
        """Start, unless that was done already.

        Raises:
            DatabaseError: If the database cannot be used.
            ValueError: If an agent cannot be run.
        """
        async with self._starting:
            if self.started:
                return
            try:
                self._database.open(self._prepare)
                await self._engine.start()
            except Exception as error:
                self.failure = error  # ASGI carries only a text
                await self.stop()
                raise
            self.started = True

    async def stop(self) -> None:
        """End all runs for now; what is pending goes on at the next start."""
        await self._engine.drain()
        await self._engine.close()
        self._database.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        for each in self._stored:
            each.prepare(connection)


def create_app(
    agents: Mapping[str, Graph] | Sequence[ServedAgent],
    *,
    api_key: str | Callable[[str], bool] | None = None,
    allow_hosts: Sequence[str] = (),
    database: Path | str | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    on_request: Callable[[SeenRequest], None] | None = None,
    limits: Limits | None = None,
    webhooks: WebhookPolicy | None = None,
    trace: bool = False,
    page: bool = False,
) -> Starlette:
    """An ASGI application that serves LangGraph graphs over ACP 0.2.3.

    Args:
        agents: The graphs by name, or with all that is to be said of them. The first is the
            default agent.
        api_key: Demanded from every client, as header `x-api-key` or as bearer token. Instead of the
            one key, a function that tells whether a key is good; it is called in the event loop, also
            with an empty text.
        allow_hosts: Names by which the server may be reached, besides this machine's own
            (`localhost`, 127.0.0.1, ::1); `*` for any. For requests that come without a key: a
            browser may have been told by a page of somebody else to send them.
        database: SQLite file that runs, threads and checkpoints are kept in, made if there is
            none. `None` or `:memory:` keeps them in memory, for as long as the server runs.
        checkpointer: For graphs that were compiled without one, instead of the database.
        on_request: Told of every request as it arrives.
        limits: How much the server takes on.
        webhooks: Where webhooks may point; by default to public addresses.
        trace: Whether runs take their place in the traces of whoever asks for them, as said by
            `traceparent` or `langsmith-trace`. Only for clients that are trusted with that.
        page: Whether there is a page at `/` on which people see the agents, start runs, watch them,
            and answer what they ask. Its files ask for no key; whoever uses it is asked for one.

    Returns:
        The application. Mounted into another one, it starts with its first request; to have it
        end in order, let the outer one's lifespan enter `app.router.lifespan_context(app)`.

    Raises:
        ACPDescriptorValidationException: If an agent's descriptor is not valid.
        ValueError: If there are no agents, two have the same id, the key is empty or cannot be
            sent in a header, or a host is no name.
    """
    if isinstance(allow_hosts, str):
        allow_hosts = [allow_hosts]
    check_hosts(allow_hosts)
    if isinstance(api_key, str):
        _check_key(api_key)
    kept_in = Database(database)
    limits = limits or Limits()
    saver, storage = DatabaseSaver(kept_in), Storage(kept_in, limits.answer)
    policy = webhooks or WebhookPolicy()
    registry = Registry(agents, checkpointer or saver, callbacks=bool(policy.allow))
    journal = Journal(kept_in)
    notices = Webhooks(kept_in, policy)
    engine = Engine(registry, storage, journal, notices, limits)
    operations = Operations(engine, limits)

    lifecycle = Lifecycle(kept_in, (storage, saver, journal, notices), engine)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await lifecycle.start()
        try:
            yield
        finally:
            await lifecycle.stop()

    async def health(_: Request) -> Response:
        if not lifecycle.started:
            await lifecycle.start()
        found = await engine.health()
        return JSONResponse(found, status_code=200 if found["status"] == "ok" else 503)

    files = file_routes() if page else []
    public = frozenset({PUBLIC, *(each.path for each in files)})
    middleware = []
    if on_request is not None:
        middleware.append(Middleware(Observer, on_request=on_request))
    if trace:
        middleware.append(Middleware(TraceTaker))
    if api_key is not None:
        middleware.append(Middleware(ApiKeyGuard, api_key=api_key, public=public))
    keys = api_key is not None
    middleware.append(
        Middleware(BrowserGuard, allow_hosts=tuple(allow_hosts), keys=keys, public=public)
    )
    handlers: dict[str, Handlers] = {
        path: {each.method: getattr(operations, endpoint_of(each.name)) for each in among}
        for path, among in by_path().items()
    }
    if page:
        handlers |= PageData(engine, kept_in).routes()
    app = Starlette(
        routes=[
            Route("/openapi.json", _document),
            Route(PUBLIC, health),
            *[_route(path, by_method, lifecycle) for path, by_method in handlers.items()],
            *files,
        ],
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
    app.state.lifecycle = lifecycle
    app.state.limits = limits
    return app


def _check_key(api_key: str) -> None:
    if not api_key.strip():
        raise ValueError("api_key is empty; leave it out to serve without one")
    if not (api_key.isascii() and api_key.isprintable()):
        raise ValueError(
            "api_key has characters that no header can carry; use ASCII without blanks"
        )


async def _document(_: Request) -> Response:
    return JSONResponse(openapi())


class _Endpoint:
    """What is at a path: an ASGI application, for Starlette wraps a function once more."""

    def __init__(self, handlers: Handlers, lifecycle: Lifecycle) -> None:
        self._handlers = handlers
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refuse_other_bodies(scope)
        if not self._lifecycle.started:
            await self._lifecycle.start()
        method: str = scope["method"]
        handle = self._handlers["GET" if method == "HEAD" else method]
        try:
            response = await handle(Request(scope, receive, send))
        except (SystemExit, KeyboardInterrupt) as error:  # of a graph's, or a checkpointer's
            raise ExitError(type(error).__name__) from error
        await response(scope, receive, send)


def _route(path: str, handlers: Handlers, lifecycle: Lifecycle) -> Route:
    # An id that is no UUID names nothing, so that no word of a path is taken for one.
    methods = list(handlers)
    return Route(path.replace("_id}", "_id:uuid}"), _Endpoint(handlers, lifecycle), methods=methods)


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
