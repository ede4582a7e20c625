"""Threads on a LangGraph Server: read, found and woken over its API.

The server runs its graphs itself, so to wake one is to create a run that answers the interrupt. It runs one at a
time on a thread and refuses a second (`multitask_strategy`), which is all the lock that is needed; and what it
was running when it died it goes on with by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, path
from acp_langgraph.core.flow import Flow, Work
from acp_langgraph.core.retry import with_retries
from acp_langgraph.errors import ConflictException, NotFoundException, UnprocessableEntityException
from acp_langgraph.nodes.langgraph import CONFIG_KEY_STRICT_RESUME
from acp_langgraph.nodes.suspending import WOKEN, Wait, cancel, look_at
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.waking.finding import Candidate
from acp_langgraph.waking.threads import ThreadView, view_of

T = TypeVar("T")

_PAGE: Final = 100
_REFUSED: Final = (ConflictException, UnprocessableEntityException)


class LangGraphServer:
    """The threads of a LangGraph Server, for `WakeApp` and `Sweeper`.

        Sweeper(LangGraphServer("http://127.0.0.1:2024"))

    The nodes that wait must be in this process as well, as they are where the graph's module is imported:
    through them it is told how their runs are.

    Args:
        server: Its base URL; or a configuration with it, and as whom to connect.
        headers: Sent with every request, such as `{"x-api-key": ...}`.
    """

    awaits = True

    def __init__(
        self, server: ApiClientConfiguration | str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._blocking = Transport(server, headers=headers)
        self._awaiting = AsyncTransport(server, headers=headers)

    def read(self, thread_id: str) -> Flow[ThreadView | None]:
        """How a thread is; `None` if there is none, or nothing of it is stored."""
        try:
            thread = yield from self._asked(_call("get_thread", "GET", thread_id))
            state = yield from self._asked(_call("get_state", "GET", thread_id, "/state"))
        except (NotFoundException, UnprocessableEntityException):  # 422: its id is no UUID
            return None
        if not state.get("created_at"):
            return None
        waits_for = set(state.get("next") or ())
        view = view_of(
            [
                (
                    task.get("error"),
                    None if task.get("name") in waits_for else {},
                    task.get("interrupts") or (),
                )
                for task in state.get("tasks") or ()
            ],
            waits_for,
            state["created_at"],
            {},
        )
        is_busy = thread.get("status") == "busy"
        return ThreadView(
            view.stored_at,
            view.waits,
            has_failed=view.has_failed and not is_busy,
            is_entered=is_busy,
            is_stuck=view.is_stuck and not is_busy,
            is_over=view.is_over and not is_busy,
        )

    def resume(self, thread_id: str, waits: Iterable[Wait]) -> Flow[bool]:
        """Wake it; whether the server has taken that up."""
        answers = {each.id: WOKEN for each in waits}
        return (yield from self._run(thread_id, {"command": {"resume": answers}}))

    def go_on(self, thread_id: str) -> Flow[None]:
        """Enter it where it is."""
        yield from self._run(thread_id, {"input": None})

    def look(self, thread_id: str, wait: Wait) -> Flow[bool | None]:  # noqa: ARG002 - as of a graph's
        """Whether a run is at work; `None` if none of the nodes here waits for runs like it."""
        return look_at(wait, {})

    def cancel(self, thread_id: str, wait: Wait) -> Flow[bool]:  # noqa: ARG002 - as above
        """End a run; whether it was."""
        return cancel(wait, {})

    def locked(self, thread_id: str, flow: Callable[[], Flow[T]]) -> Flow[T]:  # noqa: ARG002 - as above
        """The flow as it is: the server runs one at a time on a thread."""
        return flow()

    def let_go(self, thread_id: str) -> Flow[None]:  # noqa: ARG002 - as above
        """Nothing: what a server was at when it died, it knows."""
        yield from ()

    def candidates(self, after: str) -> Flow[tuple[list[Candidate], str | None]]:
        """Threads that are interrupted, some at a time; and after which the next are, if there are more."""
        offset = int(after or 0)
        body = {"status": "interrupted", "limit": _PAGE, "offset": offset}
        search: Call[Any] = Call(
            "search_threads", "POST", "/threads/search", Any, body=body, repeatable=True
        )
        found = yield from self._asked(search)
        listed = [_candidate(each) for each in found]
        return listed, str(offset + _PAGE) if len(found) == _PAGE else None

    def _run(self, thread_id: str, body: Mapping[str, Any]) -> Flow[bool]:
        thread = yield from self._asked(_call("get_thread", "GET", thread_id))
        known = thread.get("metadata") or {}
        whole = {
            **body,
            "assistant_id": known.get("assistant_id") or known.get("graph_id"),
            "config": {"configurable": {CONFIG_KEY_STRICT_RESUME: True}},
            "multitask_strategy": "reject",
        }
        try:
            yield from self._asked(_call("create_run", "POST", thread_id, "/runs", whole))
        except _REFUSED as error:
            if error.status == HTTPStatus.CONFLICT:  # somebody is at work there
                return False
            raise
        return True

    def _asked(self, call: Call[Any]) -> Flow[Any]:
        return (
            yield from Work(
                lambda: self._blocking.run(with_retries(call, 2)),
                lambda: self._awaiting.run(with_retries(call, 2)),
            )
        )


def _call(
    operation: str, method: str, thread_id: str, below: str = "", body: Any = None
) -> Call[Any]:
    where = path("/threads/{thread_id}", thread_id=thread_id) + below
    return (
        Call(operation, method, where, Any, body=body)
        if body
        else Call(operation, method, where, Any)
    )


def _candidate(thread: Mapping[str, Any]) -> Candidate:
    """A thread that was found; where the server does not say what it waits for, it is to be read."""
    told = thread.get("interrupts") or {}
    waits = tuple(
        wait for each in told.values() for one in each if (wait := Wait.of(one)) is not None
    )
    thread_id = str(thread["thread_id"])
    return Candidate(thread_id, waits, f"{thread_id} {thread.get('updated_at')}", not told)
