"""`WakeApp`: what remote servers call when something has become of a run that a graph is suspended for.

A request says that it is worth a look, and nothing else: its body is not read for more than its signature.
Who may say so is told by the URL (`core.wake_urls`), and of servers that sign their notices by Standard Webhooks
(`core.webhooks`).

    202   the thread is suspended, and is looked at now
    200   it waits for nothing like that: it was woken before, is done, or was given up
    503   it is not stored yet, or somebody is at work in it, or may be, for it shows a question that may just
          have been answered: send it again
    401, 404, 410, 413   nobody that is known, nothing that is known, too old, too large

It is answered before the graph goes on, for that may take as long as it likes. Should the process die meanwhile,
the thread is found by the sweeper.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeAlias

from acp_langgraph.core.flow import AWAITING, BLOCKING, Flow, adrive, drive
from acp_langgraph.core.wake_urls import Wake, WakeURLError, keys_of, read_wake_url
from acp_langgraph.core.webhooks import WebhookSignatureError, key_of, verify
from acp_langgraph.waking.sweeping import threads_of
from acp_langgraph.waking.threads import Configure, Lock, ThreadView
from acp_langgraph.waking.waker import wake, was_left

_log = logging.getLogger("acp_langgraph.waking")

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LARGEST: Final = 4 * 1024 * 1024  # bytes of a body
_MOST: Final = 10_000  # threads that are about to be looked at
_STORED_WITHIN: Final = (
    3600.0  # seconds from a URL's making; a thread that is not there then will not be
)


class WakeApp:
    """An ASGI app that wakes the suspended threads of a graph; mount it where the nodes' `WakeURL` says.

        app = FastAPI()
        app.mount("/wake", WakeApp(graph, secret=secret))

    Args:
        graph: The graph, compiled with the checkpointer that its threads are in; or a `LangGraphServer`.
        secret: The secret of the nodes' `WakeURL`; while it is being changed, all that are good.
        signed_by: The secrets that servers sign their notices with, as Standard Webhooks says; then what is not
            signed, or was sent more than five minutes ago, is refused. By default the URL is enough.
        configure: Makes what else to invoke a thread with, a `RunnableConfig` of its id.
        lock: Makes a thread's lock; by default `thread_lock`.
        max_age: Seconds for which a URL is good, from the start of its run on; a month by default.
        at_once: How many threads are gone on with at once.

    Raises:
        NodeConfigurationError: If a secret is none, or the graph has no checkpointer.
    """

    def __init__(
        self,
        graph: Any,
        *,
        secret: str | Sequence[str],
        signed_by: str | Sequence[str] | None = None,
        configure: Configure | None = None,
        lock: Lock | None = None,
        max_age: float = 30 * 86_400.0,
        at_once: int = 32,
    ) -> None:
        self._threads = threads_of(graph, configure, lock)
        self._keys = keys_of(secret)
        self._signed_by = [signed_by] if isinstance(signed_by, str) else list(signed_by or ())
        for each in self._signed_by:
            key_of(each)
        self._max_age = max_age
        self._places = asyncio.Semaphore(at_once)
        # A graph may take its time: those who only read must not wait for its thread.
        self._workers = None if self._threads.awaits else ThreadPoolExecutor(at_once, "wake")
        self._hints: dict[str, set[str]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            status = await self._answer(scope, receive)
            await send(
                {
                    "type": "http.response.start",
                    "status": status,
                    "headers": _HEADERS.get(status, []),
                }
            )
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close"})

    async def settled(self) -> None:
        """Return when everything that was told so far has been gone on with."""
        while self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    async def _answer(self, scope: Scope, receive: Receive) -> int:
        if scope["method"] != "POST":
            return 405
        try:
            wake = read_wake_url(
                scope["path"].rpartition("/")[2], self._keys, max_age=self._max_age
            )
        except WakeURLError as error:
            return 410 if "old" in str(error) else 404
        body = await _read(receive, keep=bool(self._signed_by))
        if body is None:
            return 413
        if self._signed_by:
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in scope["headers"]
            }
            try:
                verify(self._signed_by, headers, body)
            except WebhookSignatureError as error:
                _log.info("a notice was refused: %s", error)
                return 401
        try:
            view = await self._run(partial(self._threads.read, wake.thread_id), None)
        except Exception:  # noqa: BLE001 - whatever it was, who sent it is to try again
            _log.exception("thread %s could not be read", wake.thread_id)
            return 503
        return self._judged(wake, view)

    def _judged(self, wake: Wake, view: ThreadView | None) -> int:
        # What is not there an hour after the run was started will not come.
        may_come = time.time() - wake.made_at < _STORED_WITHIN
        if view is None:
            return 503 if may_come else 410
        if view.has_failed:
            return 200
        is_awaited = any(each.key == wake.key for each in view.waits)
        if view.is_stuck or was_left(view) or (is_awaited and not view.is_entered):
            return self._take_up(wake)
        if is_awaited:
            return 503
        # Where somebody is at work, or nobody is any more, the run may be of what is not stored yet.
        # A question may be answered long after its run was started.
        is_at_work = view.asks or (may_come and (view.is_entered or view.is_over))
        return 503 if view.stored_at < wake.made_at and is_at_work else 200

    def _take_up(self, wake: Wake) -> int:
        """Have a thread gone on with, after what is being done with it now."""
        if wake.thread_id not in self._tasks and len(self._tasks) >= _MOST:
            return 503
        self._hints.setdefault(wake.thread_id, set()).add(wake.key)
        if wake.thread_id not in self._tasks:
            task = asyncio.create_task(self._wake(wake.thread_id), name=f"wake {wake.thread_id}")
            self._tasks[wake.thread_id] = task
        return 202

    async def _wake(self, thread_id: str) -> None:
        try:
            async with self._places:
                while hints := self._hints.pop(thread_id, None):
                    try:
                        waking = partial(wake, self._threads, thread_id, hints)
                        await self._run(waking, self._workers)
                    except Exception:  # noqa: BLE001 - whatever a graph raises
                        _log.exception("thread %s failed when it was woken", thread_id)
        finally:
            del self._tasks[thread_id]
            self._hints.pop(thread_id, None)

    async def _run(self, make: Callable[[], Flow[Any]], workers: ThreadPoolExecutor | None) -> Any:
        if self._threads.awaits:
            return await adrive(make(), AWAITING)
        loop, context = asyncio.get_running_loop(), copy_context()
        return await loop.run_in_executor(workers, lambda: context.run(drive, make(), BLOCKING))


_HEADERS: Final = {
    405: [(b"allow", b"POST")],
    503: [(b"retry-after", b"1")],
}


async def _read(receive: Receive, *, keep: bool) -> bytes | None:
    """A request's body, or nothing of it if it is not needed; `None` if it is too large."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        piece = message.get("body", b"")
        if keep:
            body += piece
        if len(body) > _LARGEST:
            return None
        more = message.get("more_body", False)
    return bytes(body)


async def _live(receive: Receive, send: Send) -> None:
    """Begin and end, where the app is not mounted but served by itself."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
