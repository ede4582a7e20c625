"""Finding a run again by its key, on servers that search well, badly or not at all.

The key is in the run's metadata. The specification lets `POST /runs/search` match metadata and lists
the runs of a thread; AGNTCY's server answers 500 to a search by metadata but lists an agent's runs,
so what cannot be searched is paged through and compared here. What a server cannot is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from acp_langgraph.acp import calls
from acp_langgraph.acp.order import KEY, AnyRun, RunOrder, ServerHabits
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Pause
from acp_langgraph.core.wire import came
from acp_langgraph.errors import (
    ApiConnectionError,
    ApiException,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    TooManyRequestsException,
    UnauthorizedException,
    UnknownOutcomeError,
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import JobPolicy

__all__ = ["find_run"]

_PAGE: Final = 100
_PAGES: Final = 100
_PASSING: Final = frozenset({502, 503, 504})


class _CannotSearchError(Exception):
    """The server cannot tell whether there is such a run."""


def find_run(order: RunOrder, policy: JobPolicy, server: ServerHabits) -> Flow[AnyRun | None]:
    """Find the run that was created for an order; the oldest, should there be several.

    Returns:
        The run, or `None` if the server has none.

    Raises:
        UnknownOutcomeError: If the server cannot tell and the policy is to raise.
    """
    try:
        if order.thread_id is not None:
            runs = yield from _list_thread(order, policy, server)
        else:
            runs = yield from _search(order, policy, server)
    except _CannotSearchError as error:
        if policy.on_unknown == "rerun":
            return None
        raise UnknownOutcomeError(
            f"it cannot be told whether the remote run was started: {error}. Look on the server for "
            f"a run with {order.key!r} under {KEY!r} in its metadata; if there is none, or another "
            'run does no harm, run the node with on_unknown="rerun"',
            key=order.key,
            **order.ids(),
        ) from None
    return min(runs, key=_age, default=None)


def _search(order: RunOrder, policy: JobPolicy, server: ServerHabits) -> Flow[list[AnyRun]]:
    wanted: dict[str, Any] = {} if order.agent_id is None else {"agent_id": order.agent_id}
    found: list[AnyRun] = []
    if server.searches_metadata is not False:
        by_key = calls.search_stateless_runs({**wanted, "metadata": {KEY: order.key}})
        # A server that cannot says so each time: until it is known to, it is not asked again.
        asking = policy.repeat(by_key) if server.searches_metadata else _ask(by_key, policy)
        try:
            page = yield from asking
        except ApiException as error:
            _raise_what_passes(error)
            failed = True
        else:
            failed = False
            found = _ours(page, order.key)
            if found or not came(page):
                server.searches_metadata = True
                return found
            # The server ignored the filter, and the run may be on another page.
    else:
        failed = False
    pages = _pages(
        lambda offset: calls.search_stateless_runs({**wanted, "limit": _PAGE, "offset": offset}),
        order,
        policy,
        server,
        "the server cannot search runs",
        "the agent",
    )
    found = yield from pages
    if failed:  # and a page of all runs could be had
        server.searches_metadata = False
    return found


def _ask(call: Call[Any], policy: JobPolicy) -> Flow[list[AnyRun]]:
    """Ask once for what a server may not be able to; what passes is repeated."""
    try:
        page: list[AnyRun] = yield from call
    except ServiceException as error:
        if error.status not in _PASSING or not policy.retries:
            raise
    except (ApiConnectionError, TooManyRequestsException):
        if not policy.retries:
            raise
    else:
        return page
    yield Pause(policy.backoff.first)
    page = yield from policy.repeat(call)
    return page


def _list_thread(order: RunOrder, policy: JobPolicy, server: ServerHabits) -> Flow[list[AnyRun]]:
    thread_id = str(order.thread_id)
    whole = calls.list_thread_runs(thread_id)
    try:
        if server.pages_threads:
            try:
                return (
                    yield from _pages(
                        lambda offset: calls.list_thread_runs(
                            thread_id, limit=_PAGE, offset=offset
                        ),
                        order,
                        policy,
                        server,
                        "the server cannot list a thread's runs",
                        "the thread",
                    )
                )
            except UnprocessableEntityException:  # AGNTCY's server gives all of them, or none
                page = yield from policy.repeat(whole)
                server.pages_threads = False
        else:
            page = yield from policy.repeat(whole)
    except NotFoundException:
        return []
    except ApiException as error:
        _raise_what_passes(error)
        raise _CannotSearchError(f"the server cannot list a thread's runs ({error})") from None
    return _certain(_ours(page, order.key), came(page) - len(page))


def _pages(
    page_at: Callable[[int], Call[Any]],
    order: RunOrder,
    policy: JobPolicy,
    server: ServerHabits,
    cannot: str,
    whose: str,
) -> Flow[list[AnyRun]]:
    """The runs with the order's key, of all pages.

    Raises:
        NotFoundException, UnprocessableEntityException: If the server says so of a page of a thread.
    """
    found: list[AnyRun] = []
    left_out = 0
    for offset in range(0, _PAGE * _PAGES, _PAGE):
        try:
            page = yield from policy.repeat(page_at(offset))
        except ApiException as error:
            _raise_what_passes(error)
            told = NotFoundException | UnprocessableEntityException
            if order.thread_id is not None and isinstance(error, told):
                raise
            raise _CannotSearchError(f"{cannot} ({error})") from None
        found += _ours(page, order.key)
        left_out += came(page) - len(page)
        if came(page) < _PAGE:
            return _certain(found, left_out)
    server.searches_metadata = None
    raise _CannotSearchError(f"{whose} has more than {_PAGE * _PAGES} runs to look through")


def _certain(found: list[AnyRun], left_out: int) -> list[AnyRun]:
    """What was found, if it is certain that there is no more: any could be what cannot be read."""
    if left_out and not found:
        raise _CannotSearchError(f"{left_out} of the runs that the server lists cannot be read")
    return found


def _raise_what_passes(error: ApiException) -> None:
    """Raise what says nothing about the server's abilities: who we are, or a failure in between."""
    denied = UnauthorizedException | ForbiddenException | TooManyRequestsException
    if isinstance(error, denied):
        raise error
    if isinstance(error, ServiceException) and error.status in _PASSING:
        raise error


def _ours(page: list[Any], key: str) -> list[AnyRun]:
    for run in page:
        if run.creation is None:
            raise _CannotSearchError("the server lists runs without what they were created from")
    return [run for run in page if (run.creation.metadata or {}).get(KEY) == key]


def _age(run: AnyRun) -> tuple[float, str]:
    return (run.created_at.timestamp() if run.created_at else 0.0, run.run_id)
