"""A server in a thread of this process, or in the foreground of one.

The socket is bound before anything starts: the port is known at once, nobody can take it meanwhile,
and clients that come early wait in its backlog instead of being refused. Both ways print nothing
and leave logging as it is.

uvicorn has a time-out for what is idle between requests, and none for what has begun. Whoever opens
connections and sends half a request keeps a descriptor each, until there are none left for others. So
once a second all connections are looked at; and when there is no room for a new one, the one that has
let its request's head be waited for longest makes room, before anybody is refused.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar, Unpack

import uvicorn
from langgraph.checkpoint.base import BaseCheckpointSaver
from starlette.applications import Starlette
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from acp_langgraph.server.agents import Graph, ServedAgent
from acp_langgraph.server.app import Lifecycle, create_app
from acp_langgraph.server.engine import Engine
from acp_langgraph.server.middleware import SeenRequest
from acp_langgraph.server.webhooks import WebhookPolicy
from acp_langgraph.server.wire import Limits

T = TypeVar("T")
_log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 1.0  # seconds
ACCEPTED_AT_ONCE: Final = 16  # before the first of them is looked at
_OTHER_DESCRIPTORS: Final = 64 + 4 * ACCEPTED_AT_ONCE  # of database, listeners, webhooks
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: 39\r\n\r\n"
    b'"too many connections; try again later"'
)


class Connections:
    """The open connections of a server.

    Args:
        limits: How many there may be, and what they are given time for.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most = max(min(limits.connections, _descriptors() - _OTHER_DESCRIPTORS), 1)
        self._since: dict[Any, tuple[Any, float]] = {}  # what each is at, and since when

    @property
    def protocol(self) -> type[asyncio.Protocol]:
        """What speaks HTTP on a connection: uvicorn's own, which tells of it here."""
        return type("Protocol", (_Protocol,), {"acp_connections": self})

    def opened(self, each: Any) -> bool:
        """Take note of a connection; whether there is room for it."""
        if len(self._since) >= self._most and not self._make_room():
            return False
        self._since[each] = (None, time.monotonic())
        return True

    def closed(self, each: Any) -> None:
        """Forget a connection."""
        self._since.pop(each, None)

    async def watch(self) -> None:
        """Close, every now and then, what has been waited for too long."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = time.monotonic()
            for each, (was_at, since) in list(self._since.items()):
                stands_at, patience = self._at(each)
                if stands_at != was_at:
                    self._since[each] = (stands_at, now)
                elif patience is not None and now - since > patience:
                    _drop(each)

    def _at(self, each: Any) -> tuple[Any, float | None]:
        """What a connection is at, and how long that may take."""
        cycle, unsent = each.cycle, each.transport.get_write_buffer_size()
        if unsent:  # for as long as it gets less, or more, somebody reads
            return ("sending", unsent), self._limits.body_seconds
        if cycle is None or cycle.response_complete:
            if each.timeout_keep_alive_task is not None:
                return ("idle",), None  # uvicorn sees to it
            return ("head", id(cycle)), self._limits.head_seconds
        if cycle.more_body:
            return ("body", id(cycle)), self._limits.body_seconds
        return ("answer",), None

    def _make_room(self) -> bool:
        for spare in ("head", "idle"):
            for each in self._since:  # oldest first
                if self._at(each)[0][0] == spare:
                    _drop(each)
                    del self._since[each]
                    return True
        return False


def _drop(each: Any) -> None:
    _log.info("a connection of %s was closed: nothing came", each.client)
    each.transport.abort()


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # one of two classes
    acp_connections: Connections

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if not self.acp_connections.opened(self):
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.acp_connections.closed(self)
        super().connection_lost(exc)


def _descriptors() -> int:
    """How many descriptors this process may have."""
    if sys.platform == "win32":
        return 10_000
    import resource  # noqa: PLC0415 - not everywhere

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


_MOST_REMEMBERED: Final = 100_000
_LOOK_AGAIN: Final = 0.1  # seconds, for a second Ctrl-C
_LAST_WORDS: Final = 5  # seconds for open connections to end when the server stops
_BACKLOG: Final = 2048
_IDLE: Final = 75  # seconds that an idle connection is kept: longer than clients keep theirs


class RunningServer:
    """A server that runs in a thread.

    Attributes:
        url: Where it can be reached.
        app: The application.
        agent_ids: The agents' ids by name.
    """

    def __init__(self, url: str, app: Starlette, seen: deque[SeenRequest]) -> None:
        self.url = url
        self.app = app
        engine: Engine = app.state.engine
        self.agent_ids = {
            agent.descriptor.metadata.ref.name: agent.agent_id for agent in engine.agents
        }
        self._engine = engine
        self._seen = seen
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests so far, oldest first, at most the last 100,000."""
        return list(self._seen)

    def count_runs(self) -> dict[str, int]:
        """How many runs there are of each status, stateless and on threads."""
        return self._ask(self._engine.count_runs())

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            question.close()
            raise RuntimeError("the server has stopped")
        return asyncio.run_coroutine_threadsafe(question, self._loop).result()


class Settings(TypedDict, total=False):
    """The settings of `create_app`, where they say what they are."""

    api_key: str | Callable[[str], bool] | None
    allow_hosts: Sequence[str]
    database: Path | str | None
    checkpointer: BaseCheckpointSaver[Any] | None
    on_request: Callable[[SeenRequest], None] | None
    limits: Limits | None
    webhooks: WebhookPolicy | None
    trace: bool
    page: bool


class _Serving(AbstractContextManager["RunningServer"]):
    """What `serve` returns: entering it starts the server, leaving it stops it."""

    def __init__(self, made: AbstractContextManager[RunningServer]) -> None:
        self._made = made

    def __enter__(self) -> RunningServer:
        return self._made.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._made.__exit__(kind, error, trace)

    if not TYPE_CHECKING:  # a checker knows that there is nothing else

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"there is no {name!r} before the server runs: "
                "`with serve(...) as server:` starts it, and stops it at the end of the block"
            )


def serve(
    agents: Mapping[str, Graph] | Sequence[ServedAgent],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    stop_timeout: float = 30.0,
    **settings: Unpack[Settings],
) -> AbstractContextManager[RunningServer]:
    """Serve graphs from a thread of this process, for as long as the block lasts.

        with serve({"mailcomposer": graph}) as server:
            node = ACPNode("compose", "mailcomposer", server.url)
            print(node.invoke({"text": "Hello"}))

    The agents are reached at `server.url`, by name or by `server.agent_ids`. Nothing is printed, and
    leaving the block stops the server.

    Args:
        agents: As for `create_app`.
        host: Address to bind.
        port: Port to bind; 0 takes a free one.
        stop_timeout: Seconds within which everything must have ended when the block is left.
        **settings: Further settings of `create_app`: `api_key`, `allow_hosts`, `database`,
            `checkpointer`, `on_request`, `limits`, `webhooks`, `trace` and `page`.

    Returns:
        A context manager that starts the server, gives it as a `RunningServer`, and stops it.

    Raises, when it is entered:
        OSError: If the port is taken.
        TypeError: If something to serve is no compiled graph.
        ACPDescriptorValidationException: If an agent's descriptor cannot be made of its graph.
        ValueError: If others than this machine could come in without an API key.
        DatabaseError: If the database cannot be used.
        TimeoutError: If a node of a graph does not end in time (a thread cannot be interrupted).
    """
    return _Serving(_serving(agents, host, port, stop_timeout, settings))


@contextmanager
def _serving(
    agents: Mapping[str, Graph] | Sequence[ServedAgent],
    host: str,
    port: int,
    stop_timeout: float,
    settings: Settings,
) -> Iterator[RunningServer]:
    _refuse_open_door(host, settings.get("api_key"))
    seen: deque[SeenRequest] = deque(maxlen=_MOST_REMEMBERED)
    told = _both(seen.append, settings.get("on_request"))
    observed: Settings = {**settings, "on_request": told}
    app = create_app(agents, **observed)
    bound = _bind(host, port)
    running = RunningServer(_url(host, bound), app, seen)
    uvicorn_server = _Server(app)
    thread = threading.Thread(
        target=uvicorn_server.run, kwargs={"sockets": [bound]}, name="acp-server", daemon=True
    )
    thread.start()
    try:
        uvicorn_server.ready.wait()
        if not uvicorn_server.started:
            raise _why(app) or RuntimeError(f"the server at {running.url} did not start")
        running._loop = uvicorn_server.loop  # noqa: SLF001 - handed over by its maker
        yield running
    finally:
        running._loop = None  # noqa: SLF001 - taken back by its maker
        uvicorn_server.should_exit = True
        thread.join(stop_timeout)
        bound.close()
        if thread.is_alive():
            raise TimeoutError(
                f"the server at {running.url} did not stop within {stop_timeout} s: "
                "a node of a served graph still runs"
            )


def run_server(
    agents: Mapping[str, Graph] | Sequence[ServedAgent],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None] | None = None,
    **settings: Unpack[Settings],
) -> None:
    """Serve graphs in the foreground, until SIGINT or SIGTERM.

    Args:
        agents: As for `create_app`.
        host: Address to bind.
        port: Port to bind; 0 takes a free one.
        on_ready: Told the server's URL as soon as it answers.
        **settings: Further settings of `create_app`.

    Raises:
        OSError: If the port is taken.
        ValueError: If others than this machine could come in without an API key.
        DatabaseError: If the database cannot be used.
    """
    _refuse_open_door(host, settings.get("api_key"))
    app = create_app(agents, **settings)
    with _bind(host, port) as bound:
        url = _url(host, bound)

        def ready() -> None:
            gc.freeze()  # what was loaded stays: a tenth of the time went into looking for garbage there
            if on_ready:
                on_ready(url)

        server = _Server(app, on_ready=ready)
        try:
            server.run(sockets=[bound])
        finally:
            gc.unfreeze()
    if not server.started and (error := _why(app)):
        raise error


# What uvicorn has to say is for those who listen, and not for standard error.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class _Server(uvicorn.Server):
    """uvicorn, which says when it is ready and lets go of long polls before it waits for them."""

    def __init__(self, app: Starlette, on_ready: Callable[[], None] | None = None) -> None:
        self._engine: Engine = app.state.engine
        limits: Limits = app.state.limits
        self._connections = Connections(limits)
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="on",
                ws="none",
                http=self._connections.protocol,
                backlog=ACCEPTED_AT_ONCE,
                timeout_keep_alive=_IDLE,
                timeout_graceful_shutdown=_LAST_WORDS,
                server_header=False,
                headers=[
                    ("x-content-type-options", "nosniff"),
                    ("cross-origin-resource-policy", "same-origin"),
                ],
            )
        )
        self.ready = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None
        self._on_ready = on_ready

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        except SystemExit:
            if self.started:
                raise
            # uvicorn's word for "did not start"; why is told by whoever called
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_default_executor(self._engine.threads)
        self._watch = asyncio.create_task(self._connections.watch(), name="acp-connections")
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_BACKLOG)  # so many may wait, which is not how many are taken at once
        self.ready.set()
        if self._on_ready:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        draining = asyncio.create_task(self._engine.drain())
        while not (draining.done() or self.force_exit):
            await asyncio.wait([draining], timeout=_LOOK_AGAIN)
        draining.cancel()
        await self._engine.close()
        await super().shutdown(sockets)
        if self._watch:
            self._watch.cancel()


def _refuse_open_door(host: str, api_key: Any) -> None:
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not (loopback or api_key):
        raise ValueError(
            f"host {host} can be reached from other machines, and without an API key anybody there "
            "could run the agents; give an API key, or serve on 127.0.0.1"
        )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the socket names its protocol; with it, every
    # answer over a kept connection would be 40 ms late.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(
                error.errno,
                f"{error.strerror}; by a server that still runs? Stop it, or serve at another port: "
                "0 takes a free one",
            ) from None
        raise
    return bound


def _url(host: str, bound: socket.socket) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a URL, no bind
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{bound.getsockname()[1]}"


def _why(app: Starlette) -> Exception | None:
    """Why an application did not start."""
    lifecycle: Lifecycle = app.state.lifecycle
    return lifecycle.failure


def _both(
    first: Callable[[SeenRequest], None], second: Callable[[SeenRequest], None] | None
) -> Callable[[SeenRequest], None]:
    if second is None:
        return first

    def tell(request: SeenRequest) -> None:
        first(request)
        second(request)

    return tell
