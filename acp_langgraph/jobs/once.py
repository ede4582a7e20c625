"""Work that must not be done twice, on a server that cannot be asked whether it was done.

Sending a mail is like that: there is no key to send along, and nothing to look up. All that can be
remembered is on this side, so the work is two steps:

    intend_x    stored before anything leaves; a crash after this point is a crash "in the gap"
    x           the work; its result is stored when it is over

Whoever enters again finds one of three things. Neither step: nothing has left, the work may begin.
Both: the work is over, its result is known. Only the intention: the process died in between, or the
work failed in a way that tells nothing, and so nobody knows; that is said, by `UnknownOutcomeError`.

A failure after which the work has certainly not been done is remembered as such, and the next entry
begins a pair of steps of its own after the failed one:

    intend_x, x (not done), intend_x, x (not done), intend_x, x (done)

Within one process the attempts of one execution (a retry policy makes several) share a `Trace`,
for LangGraph hands remembered steps to a new process only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, NoReturn, TypeVar

from acp_langgraph.core.flow import Flow, Step
from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiConnectionError,
    ApiTypeError,
    ApiValueError,
    RunError,
    RunTimeoutError,
    UnknownOutcomeError,
)

T = TypeVar("T")

_NO_ANSWER: Final = (ApiConnectionError, AnswerTooLargeError)


def never_left(error: Exception) -> bool:
    """Whether an error means that the request has certainly not left this machine."""
    if isinstance(error, ApiConnectionError):
        return not error.sent
    return isinstance(error, ApiTypeError | ApiValueError)


@dataclass(slots=True)
class Trace:
    """What the attempts of one execution know of each other, in one process.

    Attributes:
        begun: Whether an attempt began the work and does not know what came of it.
        since: When it began, on the clock of `Once`.
        done: The work's result, by itself, once there is one.
        told: The ids of remote jobs whose failure was told.
        later: Those of the jobs that took a failed one's place.
    """

    begun: bool = False
    since: float = 0.0
    done: tuple[Any, ...] = ()
    told: frozenset[str] = frozenset()
    later: tuple[Trace, ...] = ()

    def of_life(self, attempt: int) -> Trace:
        """The trace of the job after `life - 1` of them failed."""
        while len(self.later) < attempt - 1:
            self.later += (Trace(),)
        return self if attempt == 1 else self.later[attempt - 2]


@dataclass(frozen=True, slots=True)
class Failures:
    """Which failures of remote jobs were told before: whoever enters again after that wants them done.

    One that nobody was told of, because the process died or the failure was dealt with inside the task,
    is told first.

    Attributes:
        again: Whether there may have been an earlier entry.
        trace: What was told in this process.
        look: Gives the errors that an earlier entry ended with, where the graph remembers them, each as
            its `repr`.
    """

    again: bool = False
    trace: Trace = field(default_factory=Trace)
    look: Callable[[], Flow[list[str]]] | None = None

    def tell(self, job_id: str) -> None:
        """Note that the failure of a job is told now."""
        self.trace.told |= {job_id}

    def were_told_of(self, job_id: str, failure: RunError) -> Flow[bool]:
        """Whether an earlier entry has ended with the failure of a job, or with its deadline.

        Args:
            job_id: The job's id.
            failure: What would be raised now. Its class and the job's id are how it is recognised.
        """
        if not self.again:
            return False
        if job_id in self.trace.told or self.look is None:
            return job_id in self.trace.told
        ends = tuple(f"{each.__name__}(" for each in (type(failure), RunTimeoutError))
        return any(each.startswith(ends) and job_id in each for each in (yield from self.look()))


@dataclass(frozen=True, slots=True)
class Once:
    """How work that must not be done twice is gone about.

    Attributes:
        what: Names the work in errors, e.g. `the query to http://host/sendgrid/`.
        name: Names the step, e.g. `send_query`.
        node: The node's name, for errors.
        on_unknown: What to do where it cannot be told whether the work was done: `raise`
            UnknownOutcomeError, or `rerun` and accept that it is done twice.
        not_done: Tells of an error that the work has certainly not been done.
        look: Looks for what came of work that was begun at a time, where there is anything to look
            at: a list with the result, or an empty one to begin anew. It may raise, too.
        trace: Shared by the attempts of one execution.
        clock: Tells the time in seconds since the epoch.
    """

    what: str
    name: str
    node: str = ""
    on_unknown: Literal["raise", "rerun"] = "raise"
    not_done: Callable[[Exception], bool] = never_left
    look: Callable[[float], Flow[list[Any]]] | None = None
    trace: Trace = field(default_factory=Trace)
    clock: Callable[[], float] = time.time

    def do(self, work: Callable[[], Flow[T]]) -> Flow[T]:
        """Do the work, unless it has been done; returns its result.

        Args:
            work: Makes the flow that does it. Its result must be JSON.

        Raises:
            UnknownOutcomeError: If it may have been done, and the policy is to raise.
            Exception: What the work raises, unless that leaves open whether it was done because no
                answer came; this becomes an `UnknownOutcomeError` whose cause it is.
        """
        trace = self.trace
        while not trace.done:
            before = {"since": trace.since} if trace.begun else None
            if before and self.look is None and self.on_unknown == "raise":
                self._doubt("an earlier attempt ended without telling")
            intend, began_here = noting(
                Step(f"intend_{self.name}", self._intend, anchored=True, settled=True)
            )
            intention = yield from intend
            if before is None:
                trace.begun, trace.since = True, intention["since"]
            failures: list[Exception] = []
            earlier = before if began_here else intention
            attempt = partial(self._attempt, work, failures, earlier)
            outcome = yield from Step(self.name, attempt)
            trace.begun = False
            if "result" in outcome:
                trace.done = (outcome["result"],)
            elif failures:
                raise failures[0]
        return trace.done[0]  # type: ignore[no-any-return]  # what the work returned

    def _intend(self) -> Flow[dict[str, Any]]:
        yield from ()
        return {"since": self.clock()}

    def _attempt(
        self,
        work: Callable[[], Flow[T]],
        failures: list[Exception],
        earlier: dict[str, Any] | None,
    ) -> Flow[dict[str, Any]]:
        if earlier is not None and self.look is not None:
            found = yield from self.look(earlier["since"])
            if found:
                return {"result": found[0]}
        elif earlier is not None and self.on_unknown == "raise":
            self._doubt(f"it was begun at {_moment(earlier['since'])} and broken off")
        try:
            return {"result": (yield from work())}
        except Exception as error:
            if self.not_done(error):
                failures.append(error)
                return {"not_done": type(error).__name__}
            if self.on_unknown == "raise" and isinstance(error, _NO_ANSWER):
                self._doubt(str(error), error)
            raise

    def _doubt(self, why: str, cause: Exception | None = None) -> NoReturn:
        raise UnknownOutcomeError(
            f"it cannot be told whether {self.what} was carried out: {_sentence(why)} Look where its effects "
            "would show. If it was carried out, give the graph the result with "
            "graph.update_state(config, values, as_node=...); if it was not, or a second time does "
            'no harm, run the node with on_unknown="rerun"',
            node=self.node,
        ) from cause


def noting(step: Step[T]) -> tuple[Step[T], list[bool]]:
    """The same step, and a list that gets an entry when its body runs, here and now.

    The list stays empty where the step's result was remembered.
    """
    ran: list[bool] = []

    def body() -> Flow[T]:
        ran.append(True)
        return (yield from step.body())

    return replace(step, body=body), ran


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")
