"""The life of one query, as flows.

    confirm        where a human decides whether, and in which words, the query is sent
    send_query     at most once, see `acp_langgraph.jobs.once`
    read, check    what the answer means; nothing is sent again for the sake of it

A request that never left this machine is sent again, and so is one that the gateway turned away for
now (429). Everything else is for a human to judge, for the work may have been done.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from acp_langgraph.bridge.answers import Answer, Check, checked, keep, not_done, read
from acp_langgraph.bridge.calls import APIBridgeOutput, Query
from acp_langgraph.core.flow import Ask, Flow, Progress
from acp_langgraph.core.retry import exchange
from acp_langgraph.errors import NodeInputError, QueryRefusedError
from acp_langgraph.jobs.once import Once, Trace

_YES: Final = frozenset({"yes", "y", "ok", "okay", "approve", "approved", "send", "true"})
_NO: Final = frozenset(
    {"no", "n", "refuse", "refused", "reject", "rejected", "stop", "cancel", "false"}
)


ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "description": "Whether to send the query: true or yes, or an object that may change its words.",
    "anyOf": [
        {"type": "boolean"},
        {"type": "string"},
        {
            "type": "object",
            "properties": {"approve": {"type": "boolean"}, "query": {"type": "string"}},
            "anyOf": [{"required": ["approve"]}, {"required": ["query"]}],
        },
    ],
}
"""JSON Schema of the answer to `confirm`."""


def send_query(
    query: Query, retries: int, check: Check | None = None, seconds: float | None = None
) -> Flow[APIBridgeOutput]:
    """Send a query and read its answer; no care is taken beyond this one try.

    Raises:
        ApiConnectionError: If no answer came; `sent` tells whether the query may have been taken up.
        BridgeError: If the bridge or its gateway refuses or fails, or `check` does not accept.
        ApiException: If the service itself does, in `direct` mode.
    """
    answer = yield from _exchange(query, retries, query.timeout or seconds)
    return _judge(answer, query, check)


def query_once(
    query: Query,
    retries: int,
    *,
    check: Check | None = None,
    on_unknown: Any = "raise",
    trace: Trace | None = None,
    node: str = "",
    seconds: float | None = None,
) -> Flow[APIBridgeOutput]:
    """Send a query at most once, however often this flow is entered, and read its answer.

    Args:
        query: What to send.
        retries: How often to try again what never left, or was turned away for now.
        check: Judges the answer.
        on_unknown: `raise` or `rerun`; see `acp_langgraph.jobs.once.Once`.
        trace: Shared by the attempts of one execution.
        node: The node's name, for errors.
        seconds: How long to wait for the answer, tries together.

    Raises:
        UnknownOutcomeError: If the query may have been taken up and nobody knows what came of it.
        OpenApiException: As `send_query` says.
    """
    route = query.route
    once = Once(
        f"the query by {route.method} {route.path}",
        "send_query",
        node=node,
        on_unknown=on_unknown,
        not_done=not_done,
        trace=trace or Trace(),
    )
    yield from Progress("sending")
    answer = yield from once.do(partial(_exchange, query, retries, query.timeout or seconds))
    yield from Progress("answered")
    return _judge(answer, query, check)


def confirm(
    query: Query, node: str = "", usable: Callable[[Query], Query] = lambda query: query
) -> Flow[Query]:
    """Ask a human before anything is sent.

    The question is an object with `query`, `method`, `service` (`None` where the bridge picks it)
    and `mode`. `True`, a word like `yes` or `{"approve": true}` let the query go; `{"query": ...}`
    lets it go in other words. `False`, a word like `no` or `{"approve": false}` hold it back. Everything
    else is neither, free text too, and is asked for again, with a `problem` in the question.

    Args:
        query: The query.
        node: The node's name, for errors.
        usable: Gives a query that can be sent, or raises a `NodeInputError`.

    Returns:
        The query to send.

    Raises:
        QueryRefusedError: If the human does not want it sent.
    """
    route = query.route
    payload = {
        "query": query.text,
        "method": route.method,
        "service": route.service,
        "mode": route.mode,
    }
    for tries in itertools.count():
        answer = yield from Ask(payload, ANSWER_SCHEMA, f"confirm {tries}", again=tries > 0)
        if _refuses(answer):
            raise QueryRefusedError(answer, node=node)
        text = _approved(answer, query.text)
        problem = "answer yes or no, or with an object that may change the query's words"
        if text is not None:
            try:
                return usable(replace(query, text=text))
            except NodeInputError as error:
                problem = str(error)
        payload = {**payload, "problem": problem}
    raise AssertionError("there is always another try")  # pragma: no cover


def _approved(answer: Any, text: str) -> str | None:
    """The words in which the query is to be sent; `None` if the answer does not say so."""
    match answer:
        case True:
            return text
        case str() if _word(answer) in _YES:
            return text
        case Mapping() if answer.get("approve", "query" in answer) is True:
            said = answer.get("query", text)
            return said if isinstance(said, str) else None
    return None


def _refuses(answer: Any) -> bool:
    match answer:
        case False | {"approve": False}:
            return True
        case str():
            return _word(answer) in _NO
    return False


def _word(answer: str) -> str:
    return answer.strip().rstrip(".!").lower()


def _exchange(query: Query, retries: int, seconds: float | None) -> Flow[Answer]:
    reply = yield from exchange(query.call(), retries, seconds=seconds)
    return keep(reply, query)


def _judge(answer: Answer, query: Query, check: Check | None) -> APIBridgeOutput:
    output = read(answer, query.route, query.hidden)
    return checked(output, check, answer["where"], query.hidden)
