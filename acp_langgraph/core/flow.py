"""A protocol's control flow is written once, as a generator that performs nothing.

A flow yields what it needs done and receives what came of it:

    Call       one exchange with a server       -> Reply
    Listen     a stream, read as it arrives     -> None
    Pause      wait some seconds                -> None
    Begin      a remote job is about to be      -> None
    Progress   tell whoever listens             -> None
    Ask        put a question to a human        -> the answer
    Work       something to do on this side     -> its result
    Step       a named part to be remembered    -> the part's result, which is JSON

Two drivers (`acp_langgraph.core.drive`) perform these, one blocking and one awaiting; they are the
only control flow that exists twice. A flow is tested by hand, with `next` and `send`.

A `Step` is what a checkpointer remembers. Its body is a flow of its own, so whatever makes the step
safe (looking a run up before creating it again, retrying, polling) is inside, and the sequence of
steps of a flow stays the same however often it is entered again. Two rules follow:

* a flow never catches what a step raises: a remembered flow must not depend on a failure;
* what a step needs is passed to its body; what it found out is in its result.

A `Listen` keeps its exchange open while events are passed on, which a flow by itself cannot. So it
brings a `Reader`: bytes in, `Progress` out. The performer reads on only when whoever listens has
taken what was there: a slow listener slows the reading. What the reader found out, it keeps for the
flow, whether the stream came to its end or broke.

A performer decides what an effect means: the transport's performs calls and pauses, the one inside
a graph turns steps into checkpointed tasks and questions into interrupts. What a performer raises
is raised inside the flow, at the `yield` that asked for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, NotRequired, Protocol, TypeAlias, TypedDict, TypeVar

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.errors import AcpLangGraphError, ApiTimeoutError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question for whoever runs the flow; `yield from ask` reads as the answer.

    Attributes:
        payload: What the remote side wants to know, as it said it.
        schema: JSON Schema of the answer, where the remote side declares one.
        about: Identifies the question among all that are asked; empty where nothing does but its place.
        again: Whether the same was asked before, and the answer refused: whoever answers knows that.
    """

    payload: Any
    schema: dict[str, Any] | None = None
    about: str = field(default="", compare=False)
    again: bool = field(default=False, compare=False)

    def __iter__(self) -> Generator[Ask, Any, Any]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for some seconds.

    Attributes:
        seconds: How long.
        may_leave: Whether nothing is lost if the flow is left here, to be entered again later.
    """

    seconds: float
    may_leave: bool = False

    def __iter__(self) -> Generator[Pause, Any, None]:
        yield self


@dataclass(frozen=True, slots=True)
class Begin:
    """From here on a remote job is at work, or may be: whoever breaks the flow off ends it.

    Attributes:
        key: What the job is, or is about to be, found by; empty if from here on it is left at work.
    """

    key: str

    def __iter__(self) -> Generator[Begin, Any, None]:
        yield self


@dataclass(frozen=True, slots=True)
class Progress:
    """Something happened that a watcher may want to see; also a sign of life.

    Attributes:
        kind: What happened, e.g. `created`, `waiting`, `resumed`; for `event` the payload is a
            `RemoteEvent`. What of it is shown, `acp_langgraph.nodes.reporting` knows.
        run_id: The remote job's id, once known.
        payload: JSON, whatever belongs to the kind.
    """

    kind: str
    run_id: str | None = None
    payload: Any = None

    def __iter__(self) -> Generator[Progress, Any, None]:
        yield self


class RemoteEvent(TypedDict):
    """Something that a remote agent emitted while it worked, or that became of its run.

    JSON throughout.

    Attributes:
        node: The name of the node.
        agent: The agent, as the node names it.
        run_id: The remote run; tells several executions of one node apart. Empty while it is not
            known.
        kind: `custom` for an update of the agent's own, `values` for the output so far, `gap` where
            some of these may be missing because the connection was lost, and `progress` for what
            becomes of the run. `messages` for a message of the agent's or a piece of one, where its
            protocol streams these by themselves, as LangChain writes them.
        payload: The update; the output so far, which replaces the one before; for a gap the ids of
            the events `after` and `before` which it is, as far as there are any; for progress
            `state` (`created`, `waiting`, `asked`, `suspended`, `resumed`, `finished`, `failed`), `since` when
            the run is at work, in seconds since the epoch, and perhaps the server's `status`.
        namespace: Where in the remote graph it is from, if that is a subgraph: the names and ids of the
            nodes that lead there. Left out otherwise.
    """

    node: str
    agent: str
    run_id: str
    kind: str
    payload: Any
    namespace: NotRequired[list[str]]


class Reader(Protocol):
    """Makes something of the bytes of a stream, without I/O."""

    @property
    def done(self) -> bool:
        """Whether nothing more is wanted of the stream; asked after every piece."""

    def feed(self, chunk: bytes, /) -> Iterable[Progress]:
        """Take in the next bytes; what they tell."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Read a stream as it arrives, and tell whoever listens; `yield from` it to its end.

    Attributes:
        call: What is answered with the stream. It is not repeated.
        reader: A fresh reader.
    """

    call: Call[Any]
    reader: Reader

    def __iter__(self) -> Generator[Listen, Any, None]:
        yield self


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """Something to do on this side, such as to run a tool; `yield from work` reads as its result.

    Attributes:
        blocking: Does it, blocking.
        awaiting: Does it, awaiting.
    """

    blocking: Callable[[], T] = field(repr=False)
    awaiting: Callable[[], Awaitable[T]] = field(repr=False)

    def __iter__(self) -> Generator[Work[T], Any, T]:
        return (yield self)  # type: ignore[no-any-return]  # a piece of work's reply is its result


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """A named part of a flow whose result is remembered; `yield from step` reads as that result.

    Attributes:
        name: Names the part; the same for every entry into the same flow.
        body: Makes the flow that does the work. Its result must be JSON.
        anchored: Whether the work may only begin once the checkpoint that it belongs to is stored.
            A crash then finds the same execution again, and with it the same keys.
        settled: Whether the flow may only go on once the step's result is stored; or tells that of
            the result.
    """

    name: str
    body: Callable[[], Flow[T]] = field(repr=False)
    anchored: bool = False
    settled: bool | Callable[[T], bool] = False

    def must_be_stored(self, result: T) -> bool:
        """Whether the flow may only go on once this result is stored."""
        return self.settled if isinstance(self.settled, bool) else self.settled(result)

    def __iter__(self) -> Generator[Step[T], Any, T]:
        return (yield self)  # type: ignore[no-any-return]  # a step's reply is its body's result


Effect: TypeAlias = Call[Any] | Listen | Ask | Pause | Begin | Progress | Work[Any] | Step[Any]
Flow: TypeAlias = Generator[Effect, Any, T]


Left: TypeAlias = Callable[[], float | None]
"""Tells how many seconds are left; `None` if there is no end to them."""


class OutOfTimeError(Exception):
    """Nothing is left of the time that a flow had; whoever gave it says what that means.

    Its text is what went wrong last, if the time was spent on that.
    """


def left_until(moment: float | None, clock: Callable[[], float]) -> Left:
    """Tells what is left until a moment on a clock; `None` is never."""
    return _no_end if moment is None else lambda: moment - clock()


def _no_end() -> None:
    """Tells that there is no end."""


def is_over(left: Left) -> bool:
    """Whether nothing is left."""
    seconds = left()
    return seconds is not None and seconds <= 0


def within(left: Left, flow: Flow[T]) -> Flow[T]:
    """The same flow, as long as there is time: no exchange, stream or pause of it outlasts that.

    What takes no time, such as a result that has arrived, is still dealt with when nothing is left.

    Raises:
        OutOfTimeError: If there is more to do, and no time for it.
    """
    return flow if left is _no_end else _within(left, flow)


def _within(left: Left, flow: Flow[T]) -> Flow[T]:
    trouble = ""
    try:
        effect = next(flow)
        while True:
            try:
                reply = yield _cut(effect, left())
            except ApiTimeoutError as error:
                if is_over(left):
                    raise OutOfTimeError(trouble) from error
                effect = flow.throw(error)
            except OutOfTimeError:
                raise OutOfTimeError(trouble) from None
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the flow's to judge
                trouble = str(error)
                effect = flow.throw(error)
            else:
                if isinstance(effect, Call):
                    trouble = "" if reply.is_success else _refusal(effect, reply)
                effect = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value
    finally:
        flow.close()


def _refusal(call: Call[Any], reply: Reply) -> str:
    asks = reply.headers.get("retry-after", "")[:40]
    return f"{call.method} {reply.url or call.path} answered {reply.status}" + (
        f", Retry-After: {asks}" if asks else ""
    )


def _cut(effect: Effect, seconds: float | None) -> Effect:
    """The effect, so that it takes no longer than these seconds."""
    if seconds is None or not isinstance(effect, Call | Listen | Pause):
        return effect
    if seconds <= 0:
        raise OutOfTimeError
    match effect:
        case Pause():
            return replace(effect, seconds=min(effect.seconds, seconds))
        case Listen():
            return replace(effect, call=effect.call.within(seconds))
        case Call():
            return effect.within(seconds)


class Performer(Protocol):
    """Performs the effects of a flow, blocking."""

    def call(self, call: Call[Any], /) -> Reply:
        """Exchange one request for one reply."""

    def listen(self, listen: Listen, /) -> None:
        """Read a stream to its end, and tell whoever listens."""

    def ask(self, ask: Ask, /) -> Any:
        """Have a question answered."""

    def pause(self, pause: Pause, /) -> None:
        """Let time pass."""

    def begin(self, begin: Begin, /) -> None:
        """Know what to end, should the flow be broken off."""

    def progress(self, progress: Progress, /) -> None:
        """Tell whoever listens."""

    def work(self, work: Work[Any], /) -> Any:
        """Do something on this side."""

    def step(self, step: Step[Any], /) -> Any:
        """Run a part of the flow, or remember its result."""


class AsyncPerformer(Protocol):
    """Performs the effects of a flow, awaiting."""

    async def call(self, call: Call[Any], /) -> Reply:
        """Exchange one request for one reply."""

    async def listen(self, listen: Listen, /) -> None:
        """Read a stream to its end, and tell whoever listens."""

    async def ask(self, ask: Ask, /) -> Any:
        """Have a question answered."""

    async def pause(self, pause: Pause, /) -> None:
        """Let time pass."""

    async def begin(self, begin: Begin, /) -> None:
        """Know what to end, should the flow be broken off."""

    async def progress(self, progress: Progress, /) -> None:
        """Tell whoever listens."""

    async def work(self, work: Work[Any], /) -> Any:
        """Do something on this side."""

    async def step(self, step: Step[Any], /) -> Any:
        """Run a part of the flow, or remember its result."""


def drive(flow: Flow[T], performer: Performer) -> T:
    """Run a flow to its end, blocking.

    Args:
        flow: A fresh flow; it is closed on the way out.
        performer: Performs what the flow yields.

    Returns:
        What the flow returns.
    """
    try:
        effect = next(flow)
        while True:
            try:
                reply = _method(performer, effect)(effect)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the flow's to judge
                effect = flow.throw(error)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value
    except AcpLangGraphError as error:
        _hide(error, performer)
        raise
    finally:
        flow.close()


async def adrive(flow: Flow[T], performer: AsyncPerformer) -> T:
    """Run a flow to its end, awaiting; otherwise `drive`."""
    try:
        effect = next(flow)
        while True:
            try:
                reply = await _method(performer, effect)(effect)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the flow's to judge
                effect = flow.throw(error)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value
    except AcpLangGraphError as error:
        _hide(error, performer)
        raise
    finally:
        flow.close()


def _hide(error: AcpLangGraphError, performer: Performer | AsyncPerformer) -> None:
    """Take out of an error what the performer has shown to a server, which may have repeated it."""
    shown = getattr(performer, "shown", None)
    if shown is not None:
        shown.hidden_in(error)


_METHODS = {
    Call: "call",
    Listen: "listen",
    Ask: "ask",
    Pause: "pause",
    Begin: "begin",
    Progress: "progress",
    Work: "work",
    Step: "step",
}


def _method(performer: Performer | AsyncPerformer, effect: Effect) -> Any:
    try:
        return getattr(performer, _METHODS[type(effect)])
    except KeyError:
        kinds = ", ".join(kind.__name__ for kind in _METHODS)
        raise TypeError(f"a flow yielded {type(effect).__name__}; it may yield {kinds}") from None


class _Blocking:
    """Performs flows that do work here and pause, and nothing else."""

    def work(self, work: Work[Any]) -> Any:
        return work.blocking()

    def pause(self, pause: Pause) -> None:
        time.sleep(pause.seconds)


class _Awaiting:
    """`_Blocking`, awaiting."""

    async def work(self, work: Work[Any]) -> Any:
        return await work.awaiting()

    async def pause(self, pause: Pause) -> None:
        await asyncio.sleep(pause.seconds)


BLOCKING: Final[Any] = _Blocking()
AWAITING: Final[Any] = _Awaiting()
