"""What a protocol says of its jobs: a few verbs, each a flow over its own wire.

| verb | what it does |
| --- | --- |
| `prepare` | makes what must be there before, as a thread |
| `find` | looks the job up by its key |
| `start` | starts it, or starts it and waits in one request |
| `wait` | waits once, for as long as the server or the policy has the patience |
| `read` | asks how it is, which is cheap and a sign of life |
| `answer` | answers what it asks; `still_asks` tells whether it still does |
| `cancel` | ends it |
| `listen` | shows what it emits, and decides nothing |

What is done with them, so that one order comes to one job whatever dies in between, is
`acp_langgraph.jobs.life`'s and the same for all protocols. A verb repeats what does no harm
(`JobPolicy.repeat`) and raises whatever else goes wrong; the life knows what that means.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar

from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Left, OutOfTimeError, left_until, within
from acp_langgraph.core.retry import Backoff, with_retries
from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiConnectionError,
    ApiException,
    ForbiddenException,
    NodeConfigurationError,
    OpenApiException,
    RequestTimeoutException,
    RunError,
    ServiceException,
    TooManyRequestsException,
    UnauthorizedException,
    UnreadableAnswerException,
)
from acp_langgraph.jobs.once import Failures

T = TypeVar("T")

NOT_YET: Final = (
    ApiConnectionError,
    ServiceException,
    RequestTimeoutException,
    TooManyRequestsException,
    UnreadableAnswerException,
)
"""What goes wrong while a job is waited for, and says nothing about the job."""

PASSING: Final = frozenset({502, 503, 504})
"""Statuses by which something before a server says that it is away."""

_LONG: Final = 1.0  # seconds that a wait is open
_A_LOOK: Final = 10.0  # seconds

_MAY_BE_DONE: Final = (
    ServiceException,
    RequestTimeoutException,
    UnreadableAnswerException,
    AnswerTooLargeError,
)

Segment: TypeAlias = dict[str, Any]
"""From a start or an answer to the next outcome, JSON: `run_id`; `since` when, for the deadline; the id of
the last event `heard` before, for listening; and of a start the job's `key`, and its `outcome` if the
request that started it told that, since 0.3."""

Outcome: TypeAlias = dict[str, Any]
"""What a wait came to, JSON: `type` and `run_id`, and what belongs to the type:

    result       whatever the protocol makes of the answer
    interrupt    `payload`, what is asked, and `asked_at`, by which the question is recognised
    failed       what `Job.failure` makes an error of; `was_cancelled`
    cancelled    the job is to be done again; `failed`, if it is because it failed and that was told
    suspended    nothing yet: the graph is suspended meanwhile (`acp_langgraph.jobs.waiting`)
"""


def may_be_done(error: OpenApiException) -> bool:
    """Whether the server may have done what it was asked although no proper answer came."""
    return isinstance(error, _MAY_BE_DONE) or (isinstance(error, ApiConnectionError) and error.sent)


def raise_what_passes(error: ApiException) -> None:
    """Raise what says nothing about a server's abilities: who we are, or a failure in between."""
    denied = UnauthorizedException | ForbiddenException | TooManyRequestsException
    if isinstance(error, denied):
        raise error
    if isinstance(error, ServiceException) and error.status in PASSING:
        raise error


def one_of(what: str, given: Any, choices: Sequence[str], node: str) -> Any:
    """A setting with a few possible values.

    Raises:
        NodeConfigurationError: If it is none of them.
    """
    if given not in choices:
        raise NodeConfigurationError(
            f"{what} is {' or '.join(map(repr, choices))}, not {given!r}", node=node
        )
    return given


class CannotFindError(Exception):
    """A server cannot tell whether there is such a job, so that nobody knows whether it was begun."""


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """How patient to be with a job, and what to do where nothing certain can be known.

    Attributes:
        run_timeout: Seconds that the job may take to start, and to work without asking or finishing;
            counted anew after every answer. `None`: no limit.
        on_timeout: Whether a job over its limit is ended or left to itself.
        on_unknown: What to do where it cannot be told whether the job was started: `raise`
            UnknownOutcomeError, or `rerun` and accept that it may be done twice.
        on_failure: What to do about a job whose failure was told to an earlier entry: `rerun` it, or
            `keep` to the failure.
        retries: How often a request that may be repeated is tried again.
        long_poll: Seconds after which an open wait is given up for a look at the job, which is a sign
            of life.
        patience: Seconds without any sign of life from the server after which waiting fails.
        backoff: How long to pause between tries.
        clock: Tells the time in seconds; must mean the same in every process.
    """

    run_timeout: float | None = None
    on_timeout: Literal["cancel", "leave"] = "cancel"
    on_unknown: Literal["raise", "rerun"] = "raise"
    on_failure: Literal["rerun", "keep"] = "rerun"
    retries: int = 3
    long_poll: float = 30.0
    patience: float = 300.0
    backoff: Backoff = field(default_factory=Backoff)
    clock: Callable[[], float] = time.time

    def checked(self, node: str) -> Self:
        """It, once it is certain that its settings are possible ones.

        Raises:
            NodeConfigurationError: If one is not.
        """
        seconds = self.run_timeout
        if seconds is not None and not (isinstance(seconds, (int, float)) and seconds > 0):
            raise NodeConfigurationError(
                f"run_timeout is a number of seconds above 0, or None for no limit; not {seconds!r}",
                node=node,
            )
        one_of("on_timeout", self.on_timeout, ("cancel", "leave"), node)
        one_of("on_unknown", self.on_unknown, ("raise", "rerun"), node)
        one_of("on_failure", self.on_failure, ("rerun", "keep"), node)
        return self

    def left(self, since: float) -> Left:
        """Tells what is left of the time that a job has which began at a time."""
        limit = self.run_timeout
        return left_until(None if limit is None else since + limit, self.clock)

    def for_seconds(self, seconds: float) -> Left:
        """Tells what is left of so many seconds from now."""
        return left_until(self.clock() + seconds, self.clock)

    def for_a_look(self) -> Left:
        """Tells what is left for asking how something is, where that is not what is waited for."""
        return self.for_seconds(_A_LOOK)

    def repeat(self, call: Call[T]) -> Flow[T]:
        """Perform a call, repeating it where that does no harm."""
        return with_retries(call, self.retries, self.backoff)


@dataclass(slots=True, kw_only=True)
class FindsDone:
    """Whether a server finds a job that is done by its key, as its clients learn it.

    Attributes:
        finds_done: `None` if that is not known.
        done: How many jobs were seen that were done.
    """

    finds_done: bool | None = None
    done: int = 0

    def look_once(self, policy: JobPolicy, looking: Flow[bool]) -> Flow[None]:
        """Find out whether it finds one now; once, and not for the first that is done, in vain."""
        self.done += 1
        if self.finds_done is not None or self.done == 1:
            return
        self.finds_done = False  # nobody else has to look meanwhile
        with suppress(OpenApiException, OutOfTimeError, CannotFindError):
            self.finds_done = yield from within(policy.for_a_look(), looking)


@dataclass(slots=True)
class Entry:
    """One entry into the life of a job, in one process: what of it cannot be remembered.

    Attributes:
        again: Whether the job may have been started before, so that it is looked up first.
        cancelled: The ids of the jobs that are known to have been cancelled from here.
        failures: Which jobs' failures were told before.
        seen_alive: Whether the job was started, answered or seen at work during this entry.
        woken: Whether a suspended wait goes on, so that to enter again is nothing that went wrong.
    """

    again: bool = False
    cancelled: Container[str] = ()
    failures: Failures = field(default_factory=Failures)
    seen_alive: bool = False
    woken: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """How a job is, as its server says.

    Attributes:
        status: In the server's own word.
        is_at_work: Whether it is, or is about to be.
    """

    status: str
    is_at_work: bool


class WaitBudget:
    """How long a wait may go on, how long it has without a sign of life, and how often without sense.

    Args:
        policy: How patient to be.
        left: Tells the seconds until the job's deadline, if it has one.
    """

    def __init__(self, policy: JobPolicy, left: Left) -> None:
        self.policy = policy
        self.seconds_left = left
        self.misses = 0
        self._alive = policy.clock()
        self._pauses = 0

    def alive(self) -> None:
        """The server gave a sign of life."""
        self._alive = self.policy.clock()

    def is_hopeless(self) -> bool:
        """Whether there was no sign of life for too long."""
        return self.policy.clock() - self._alive > self.policy.patience

    def next_pause(self, asked: float) -> float:
        """Seconds to pause before the next wait, at least those that the server asked for."""
        self._pauses += 1
        return max(self.policy.backoff.wait(self._pauses), asked)

    def was_long_since(self, began: float) -> bool:
        """Whether a wait that is over was open for long, so that the next one may follow at once."""
        if self.policy.clock() - began < min(_LONG, self.policy.long_poll):
            return False
        self._pauses = 0
        return True


class Job(ABC):
    """One job that is wanted, as its protocol sees it.

    Attributes:
        key: Identifies the order; two jobs with one key are one job too many.
        node: The name of the node that wants it, for errors.
        policy: How patient to be.
    """

    key: str
    node: str
    policy: JobPolicy

    @property
    def successor_key(self) -> str:
        """The key of the job that takes this one's place: `key`, `key/2`, `key/3`."""
        key, _, life = self.key.partition("/")
        return f"{key}/{int(life or 1) + 1}"

    @property
    def starts_in_one(self) -> bool:
        """Whether it can be started and waited for in one request."""
        return False

    @property
    def learns(self) -> FindsDone | None:
        """Where it is learnt whether its server finds such jobs; `None` if that is of no use."""
        return None

    @property
    def is_found_done(self) -> bool:
        """Whether it is certainly found by its key, also once it is done.

        Then it may be started and awaited in one request although its id is not remembered meanwhile.
        """
        return self.learns is not None and self.learns.finds_done is True

    @abstractmethod
    def with_(self, *, key: str | None = None, policy: JobPolicy | None = None) -> Self:
        """The same job with another key or policy."""

    @abstractmethod
    def ids(self, job_id: str | None = None) -> dict[str, Any]:
        """What errors say of it: the fields of `RunError`."""

    def prepare(self) -> Flow[None]:
        """Make what must be there before the job is looked up or started; making it twice does no harm."""
        yield from ()

    @abstractmethod
    def find(self) -> Flow[str | None]:
        """The id of the job with this key; `None` if there certainly is none.

        Raises:
            UnknownOutcomeError: If the server cannot tell, and the policy is to raise.
        """

    @abstractmethod
    def start(self) -> Flow[str]:
        """Start it, and give its id."""

    def noted(self, job_id: str) -> dict[str, Any]:  # noqa: ARG002 - for those that have something
        """What to remember with the id of a job that was started, JSON: what cannot be had again.

        It is in the segment that the start begins.
        """
        return {}

    def start_and_wait(self) -> Flow[tuple[str | None, Outcome | None]]:
        """Start it and wait once, in one request; its id, and what it came to if it has."""
        raise NotImplementedError

    @abstractmethod
    def wait(self, job_id: str) -> Flow[Outcome | None]:
        """Wait once for what it comes to; `None` if it is not done."""

    @abstractmethod
    def read(self, job_id: str) -> Flow[Sighting]:
        """How it is."""

    @abstractmethod
    def still_asks(self, job_id: str, question: Outcome) -> Flow[bool]:
        """Whether it waits for the answer to this very question."""

    @abstractmethod
    def answer(self, job_id: str, answer: Any) -> Flow[None]:
        """Answer what it asks.

        Raises:
            UnprocessableEntityException, ApiValueError, ApiTypeError: If it does not take the answer.
            BadRequestException, ConflictException: If it asks nothing, or not any more.
        """

    @abstractmethod
    def cancel(self, job_id: str) -> Flow[None]:
        """End it."""

    @abstractmethod
    def failure(self, outcome: Outcome) -> RunError:
        """The error that a `failed` outcome stands for, of a class that stands for nothing else.

        By its class and the job's id in its text another process tells that it was told.
        """

    def listen(self, segment: Segment, entry: Entry, budget: WaitBudget) -> Flow[None]:  # noqa: ARG002 - for those that stream
        """Show what it emits until it settles, or until it makes no sense to listen on."""
        yield from ()

    def done(self, job_id: str) -> Flow[None]:
        """It is done: find out whether it is found now, if that is to be learnt."""
        if self.learns is not None:
            yield from self.learns.look_once(self.policy, self.is_found(job_id))

    def is_found(self, job_id: str) -> Flow[bool]:
        """Whether its key finds it, of those that learn.

        Raises:
            CannotFindError, OpenApiException: If the server cannot tell.
        """
        raise NotImplementedError

    def forget(self, job_id: str) -> None:  # noqa: B027 - for those that remember
        """Nobody waits for it any more."""

    def heard(self, segment: Segment, outcome: Outcome) -> Flow[dict[str, Any]]:  # noqa: ARG002 - as above
        """After an outcome: tell if something may not have been shown; what the next segment needs."""
        yield from ()
        return {}
