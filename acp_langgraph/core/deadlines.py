"""A flow that has so much time and no more, whatever the server and the network do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Effect, Flow, Listen, Pause
from acp_langgraph.errors import ApiTimeoutError

__all__ = ["Left", "OutOfTimeError", "left_until", "within"]

T = TypeVar("T")

Left: TypeAlias = Callable[[], float | None]
"""Tells how many seconds are left; `None` if there is no end to them."""


class OutOfTimeError(Exception):
    """Nothing is left of the time that a flow had; whoever gave it says what that means."""


def left_until(moment: float | None, clock: Callable[[], float]) -> Left:
    """Tells what is left until a moment on a clock; `None` is never."""
    return lambda: None if moment is None else moment - clock()


def within(left: Left, flow: Flow[T]) -> Flow[T]:
    """The same flow, as long as there is time: no exchange, stream or pause of it outlasts that.

    What takes no time, such as a result that has arrived, is still dealt with when nothing is left.

    Raises:
        OutOfTimeError: If there is more to do, and no time for it.
    """
    try:
        effect = next(flow)
        while True:
            try:
                reply = yield _cut(effect, left())
            except ApiTimeoutError as error:
                if (left() or 1.0) <= 0:
                    raise OutOfTimeError from error
                effect = flow.throw(error)
            except OutOfTimeError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the flow's to judge
                effect = flow.throw(error)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value
    finally:
        flow.close()


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
            return replace(effect, call=_limited(effect.call, seconds))
        case Call():
            return _limited(effect, seconds)


def _limited(call: Call[Any], seconds: float) -> Call[Any]:
    return replace(call, limit=seconds if call.limit is None else min(call.limit, seconds))
