"""Finding a run again by its key, on servers that search well, badly or not at all.

The key is in the run's metadata. The specification lets `POST /runs/search` match metadata and lists
the runs of a thread; AGNTCY's server answers 500 to a search by metadata but lists an agent's runs,
so what cannot be searched is paged through and compared here.
"""

from __future__ import annotations

from typing import Any, Final

from acp_langgraph.acp import calls
from acp_langgraph.acp.order import KEY, AnyRun, RunOrder, RunPolicy
from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import (
    ApiException,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    TooManyRequestsException,
    UnauthorizedException,
    UnknownOutcomeError,
)

__all__ = ["find_run"]

_PAGE: Final = 100
_PAGES: Final = 100
_PASSING: Final = frozenset({502, 503, 504})


class _CannotSearchError(Exception):
    """The server cannot tell whether there is such a run."""


def find_run(order: RunOrder, policy: RunPolicy) -> Flow[AnyRun | None]:
    """Find the run that was created for an order; the oldest, should there be several.

    Returns:
        The run, or `None` if the server has none.

    Raises:
        UnknownOutcomeError: If the server cannot tell and the policy is to raise.
    """
    try:
        if order.thread_id is None:
            runs = yield from _search(order, policy)
        else:
            runs = yield from _list_thread(order, policy)
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


def _search(order: RunOrder, policy: RunPolicy) -> Flow[list[AnyRun]]:
    wanted: dict[str, Any] = {} if order.agent_id is None else {"agent_id": order.agent_id}
    try:
        page = yield from policy.repeat(
            calls.search_stateless_runs({**wanted, "metadata": {KEY: order.key}})
        )
    except ApiException as error:
        _raise_what_passes(error)
    else:
        runs = _ours(page, order.key)
        if runs or not page:
            return runs
        # The server ignored the filter, and the run may be on another page.
    found: list[AnyRun] = []
    for offset in range(0, _PAGE * _PAGES, _PAGE):
        try:
            page = yield from policy.repeat(
                calls.search_stateless_runs({**wanted, "limit": _PAGE, "offset": offset})
            )
        except ApiException as error:
            _raise_what_passes(error)
            raise _CannotSearchError(f"the server cannot search runs ({error})") from None
        found += _ours(page, order.key)
        if len(page) < _PAGE:
            return found
    raise _CannotSearchError(f"the agent has more than {_PAGE * _PAGES} runs to look through")


def _list_thread(order: RunOrder, policy: RunPolicy) -> Flow[list[AnyRun]]:
    found: list[AnyRun] = []
    for offset in range(0, _PAGE * _PAGES, _PAGE):
        try:
            page = yield from policy.repeat(
                calls.list_thread_runs(str(order.thread_id), limit=_PAGE, offset=offset)
            )
        except NotFoundException:
            return []
        except ApiException as error:
            _raise_what_passes(error)
            raise _CannotSearchError(f"the server cannot list a thread's runs ({error})") from None
        found += _ours(page, order.key)
        if len(page) < _PAGE:
            return found
    raise _CannotSearchError(f"the thread has more than {_PAGE * _PAGES} runs to look through")


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


def _age(run: AnyRun) -> tuple[str, str]:
    return (run.created_at.isoformat() if run.created_at else "", run.run_id)
