"""Starting something once, on a server that cannot be asked whether it was started.

    intend     a mark that a start is about to be tried, stored before it is
    start      the start, and what came of it

If the process dies in between, the mark is remembered and the start is not. Then, and where a request
got no answer, nothing on this side tells whether the server has done it. Some starts leave evidence
that can be looked for; for the others the outcome is unknown, and said to be.

A start that was refused for certain (401, 422, a connection that never came about) is remembered as
refused, and the next entry may try again: with marks of its own, so that whatever is entered again
sees the same steps in the same places.

LangGraph's `RetryPolicy` runs all of a node's steps again without looking at what they came to, so
`Starts` remembers that as well, in this process.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Pause, Step
from acp_langgraph.core.retry import with_retries
from acp_langgraph.errors import OpenApiException, UnknownOutcomeError
from acp_langgraph.quant.pace import QuantPolicy
from acp_langgraph.quant.polling import may_be_done

__all__ = ["Intent", "Order", "Started", "Starts", "start_once"]

T = TypeVar("T")

Started: TypeAlias = dict[str, Any]
"""What was started, JSON; `at` is when, on the policy's clock."""

_REMEMBERED: Final = 10_000
_SECOND_LOOK: Final = 0.5


@dataclass(frozen=True, slots=True)
class Intent:
    """The mark of a start.

    Attributes:
        key: Identifies the order, in whichever process.
        at: When the start was about to be tried, on the policy's clock.
    """

    key: str
    at: float


@dataclass(frozen=True, slots=True)
class Order(Generic[T]):
    """One thing that is to be started once.

    Attributes:
        what: What it is, for people: `durable chat`.
        key: Identifies the order; the same in whichever process and however often.
        call: Starts it.
        read: What to remember of the answer: JSON.
        find: Looks for what came of an intent: what `read` would have said, or `None` if there is
            certainly nothing. Left out where the API has no way of telling.
        clues: What there is to say where nothing is certain, for people.
        node: The node that starts it.
    """

    what: str
    key: str
    call: Call[T]
    read: Callable[[T], Started]
    find: Callable[[Intent], Flow[Started | None]] | None = None
    clues: Callable[[Intent], Flow[str]] | None = None
    node: str = ""


class Starts:
    """What became of starts in this process; the latest ten thousand."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[tuple[str, int], Started] = OrderedDict()

    def get(self, key: str, number: int) -> Started | None:
        """What became of the `number`-th start of an order, if anything."""
        return self._outcomes.get((key, number))

    def put(self, key: str, number: int, outcome: Started) -> None:
        """Remember what became of it."""
        self._outcomes[key, number] = outcome
        while len(self._outcomes) > _REMEMBERED:
            self._outcomes.popitem(last=False)


def start_once(order: Order[Any], policy: QuantPolicy, starts: Starts) -> Flow[Started]:
    """Start something, unless that was done already.

    Args:
        order: What to start.
        policy: What to do where that cannot be told.
        starts: What this process knows of earlier entries.

    Returns:
        What `order.read` made of the answer, and `at`.

    Raises:
        UnknownOutcomeError: If it cannot be told whether it was started.
        OpenApiException: If the server cannot be reached or refuses.
    """
    number = 0
    while True:
        made: list[str] = []
        intent = yield from Step(
            "intend", partial(_intend, policy, made), anchored=True, settled=True
        )
        refusals: list[OpenApiException] = []
        attempt = _Attempt(
            order,
            policy,
            starts,
            number,
            Intent(order.key, intent["at"]),
            is_new=intent["token"] in made,
            refusals=refusals,
        )
        outcome = yield from Step("start", attempt.run)
        if "refused" not in outcome:
            return outcome
        if refusals:
            raise refusals[0]
        number += 1


def _intend(policy: QuantPolicy, made: list[str]) -> Flow[dict[str, Any]]:
    yield from ()  # a flow that needs nothing from outside
    token = uuid.uuid4().hex
    made.append(token)
    return {"token": token, "at": policy.clock()}


@dataclass(frozen=True, slots=True)
class _Attempt:
    order: Order[Any]
    policy: QuantPolicy
    starts: Starts
    number: int
    intent: Intent
    is_new: bool
    refusals: list[OpenApiException] = field(repr=False)

    def run(self) -> Flow[Started]:
        known = self.starts.get(self.order.key, self.number)
        if known is not None and "unknown" not in known:
            return known
        outcome: Started | None = None
        if not self.is_new or known is not None:
            outcome = yield from self._settle("this was tried before, and what came of it was lost")
        if outcome is None:
            outcome = yield from self._start()
        self.starts.put(self.order.key, self.number, outcome)
        return outcome

    def _start(self) -> Flow[Started]:
        for left in range(self.policy.retries, -1, -1):
            try:
                answer = yield from with_retries(self.order.call, self.policy.retries)
            except OpenApiException as error:
                if not may_be_done(error):
                    self.refusals.append(error)
                    return {"refused": type(error).__name__}
                self.starts.put(self.order.key, self.number, {"unknown": True})
                outcome = yield from self._settle(str(error))
                if outcome is not None:
                    return outcome
                if not left:
                    raise
            else:
                return {"at": self.policy.clock(), **self.order.read(answer)}
        raise AssertionError("the last try returns or raises")  # pragma: no cover

    def _settle(self, why: str) -> Flow[Started | None]:
        """What came of an earlier try; `None` if nothing, or if that is to be risked."""
        if self.order.find is not None:
            found = yield from self.order.find(self.intent)
            if found is None:  # the request may still be on its way through a proxy
                yield Pause(_SECOND_LOOK)
                found = yield from self.order.find(self.intent)
            return None if found is None else {"at": self.intent.at, **found}
        if self.policy.on_unknown == "rerun":
            yield Pause(_SECOND_LOOK)
            return None
        clues = (yield from self.order.clues(self.intent)) if self.order.clues else ""
        raise UnknownOutcomeError(
            f"it cannot be told whether the {self.order.what} was started: {why}. The API has no way "
            f"of asking{'; ' + clues if clues else ''}. If another one does no harm, run the node "
            'with on_unknown="rerun"',
            key=self.order.key,
            node=self.order.node,
        )
