"""What a process would do next, as a value: where its coroutines are, and what they hold.

Two processes with equal values behave alike, whatever they went through. So what was explored from one
need not be explored from the other. Every type that is met must be known here: one that is not is an
error, and never left out in silence. That the values tell enough is tested by going on from pairs of
equal ones (`test_explorer`).
"""

from __future__ import annotations

import asyncio
import codecs
import enum
import threading
import types
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import partial
from typing import Any

from langgraph.runtime import RunControl, Runtime
from pydantic import BaseModel
from simulation.memory import Calls, GraphModel
from simulation.saver import ModelSaver
from simulation.virtual import Handle, VirtualLoop

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Work
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.nodes.base import RemoteNode
from acp_langgraph.nodes.execution import CheckpointBarrier, Execution
from acp_langgraph.nodes.langgraph import GraphTask
from acp_langgraph.nodes.performers import _DrainWatch
from acp_langgraph.nodes.ports import InputPort, OutputPort
from acp_langgraph.nodes.streaming import EventSink

__all__ = ["described", "frozen", "opaque", "thawed"]

_PLAIN = (str, int, float, bool, type(None), bytes, enum.Enum, datetime, type, types.ModuleType)
# What a frame holds and will certainly never read again where it waits.
_DEAD = {
    "adrive": {"reply", "effect"},
    "within": {"reply"},
    "_wait": {"problem", "began"},
    "_repeated": {"reply"},
    "_attempts": {"error", "config"},
}

_ATOMS = frozenset({str, int, float, bool, type(None), bytes})
_UNSEEN = object()

_OPAQUE: set[type] = {
    CheckpointBarrier,
    EventSink,
    GraphModel,
    GraphTask,
    InputPort,
    JobPolicy,
    ModelSaver,
    OutputPort,
    RunControl,
    Runtime,
    VirtualLoop,
    Work,
    type(threading.Lock()),
}


def opaque(*kinds: type) -> None:
    """Say that all instances of a type are the same for our purposes."""
    _OPAQUE.update(kinds)


def frozen(thing: Any) -> tuple[Any, ...]:
    """The fields of a dataclass of plain values, as values."""
    return tuple(described(getattr(thing, each.name)) for each in fields(thing))


def thawed(thing: Any, values: tuple[Any, ...]) -> Any:
    """A dataclass with the fields that `frozen` told of another one."""
    for each, value in zip(fields(thing), values, strict=True):
        kind = type(getattr(thing, each.name))
        if kind is dict:
            value = {k: list(v) if isinstance(v, tuple) else v for k, v in value}  # noqa: PLW2901
        setattr(thing, each.name, kind(value) if kind in {list, set} else value)
    return thing


def described(thing: Any, known: dict[int, Any] | None = None) -> Any:
    """The thing as a hashable value.

    Args:
        thing: The thing.
        known: The values of some things, by their `id`; those of what is in this one are added.
    """
    return _described(thing, {} if known is None else known)


def _described(thing: Any, seen: dict[int, Any]) -> Any:
    kind = type(thing)
    if kind in _ATOMS:
        return thing
    known = seen.get(id(thing), _UNSEEN)
    if known is not _UNSEEN:  # before, or it is inside of itself
        return known
    describe = _KNOWN.get(kind)
    if describe is None:
        describe = _KNOWN[kind] = _describe_kind(kind)
    seen[id(thing)] = "..."
    value = seen[id(thing)] = describe(thing, seen)
    return value


def _describe_kind(kind: type) -> Callable[[Any, dict[int, Any]], Any]:
    if issubclass(kind, _PLAIN):
        return lambda thing, _: thing
    if kind in _OPAQUE or issubclass(kind, RemoteNode):
        return lambda _, __: kind.__name__
    for known, describe in _BASES:
        if issubclass(kind, known):
            return describe
    if is_dataclass(kind):
        names = tuple(each.name for each in fields(kind))
        return lambda thing, seen: (
            kind.__name__,
            *(_described(getattr(thing, name), seen) for name in names),
        )
    if kind.__module__ == "_asyncio":  # what a coroutine waits on; what that is, its frame tells
        return lambda _, __: kind.__name__
    if "__slots__" in vars(kind) or kind.__module__.startswith(("acp_langgraph", "simulation")):
        return _instance
    raise TypeError(f"what is {kind.__module__}.{kind.__qualname__}? Teach it to {__name__}")


def _instance(thing: Any, seen: dict[int, Any]) -> Any:
    names = [n for c in type(thing).__mro__ for n in c.__dict__.get("__slots__", ())]
    held = {name: getattr(thing, name, None) for name in names if name != "__weakref__"}
    held |= getattr(thing, "__dict__", {})
    return (
        type(thing).__name__,
        *((name, _described(value, seen)) for name, value in held.items()),
    )


def _sequence(thing: Any, seen: dict[int, Any]) -> Any:
    return tuple([x if type(x) in _ATOMS else _described(x, seen) for x in thing])


def _mapping(thing: Any, seen: dict[int, Any]) -> Any:
    if "configurable" in thing:
        return "config"
    return tuple([(_described(k, seen), _described(v, seen)) for k, v in thing.items()])


def _set(thing: Any, seen: dict[int, Any]) -> Any:
    return frozenset(Counter(_described(each, seen) for each in thing).items())


def _partial(thing: Any, seen: dict[int, Any]) -> Any:
    return (
        _described(thing.func, seen),
        _sequence(thing.args, seen),
        _mapping(thing.keywords, seen),
    )


def _method(thing: Any, seen: dict[int, Any]) -> Any:
    return (thing.__func__.__code__, _described(thing.__self__, seen))


def _function(thing: Any, seen: dict[int, Any]) -> Any:
    cells = thing.__closure__ or ()
    return (thing.__code__, *(_described(_cell(each), seen) for each in cells))


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "unset"


def _builtin(thing: Any, seen: dict[int, Any]) -> Any:
    held = thing.__self__
    return (thing.__name__, None if isinstance(held, types.ModuleType) else "bound")


def _error(thing: Any, _: Any) -> Any:
    return (type(thing).__name__, str(thing))


def _generator(thing: Any, seen: dict[int, Any]) -> Any:
    return _frame(thing.gi_frame, thing.gi_code, thing.gi_yieldfrom, seen)


def _coroutine(thing: Any, seen: dict[int, Any]) -> Any:
    return _frame(thing.cr_frame, thing.cr_code, thing.cr_await, seen)


def _frame(frame: Any, code: Any, awaited: Any, seen: dict[int, Any]) -> Any:
    if frame is None:
        return (code, "over")
    dead, now = _DEAD.get(code.co_name, ()), frame.f_locals
    names = [name for name in now if name not in dead]
    held = [_described(now[name], seen) for name in names]
    return (code, frame.f_lasti, *names, *held, _described(awaited, seen))


def _future(thing: Any, seen: dict[int, Any]) -> Any:
    if isinstance(thing, asyncio.Task):
        return ("task", _described(thing.get_coro(), seen) if not thing.done() else "over")
    if not thing.done():
        return "future"
    if thing.cancelled():
        return "cancelled"
    return _described(thing.exception() or thing.result(), seen)


def _model(thing: Any, seen: dict[int, Any]) -> Any:
    return (type(thing).__name__, _mapping(thing.__dict__, seen))


def _iterator(thing: Any, _: Any) -> Any:
    return thing.__length_hint__()


_BASES: tuple[tuple[type, Callable[[Any, dict[int, Any]], Any]], ...] = (
    (BaseModel, _model),
    (BaseException, _error),
    (dict, _mapping),
    (types.MappingProxyType, _mapping),
    ((list), _sequence),
    (tuple, _sequence),
    (deque, _sequence),
    (set, _set),
    (frozenset, _set),
    (partial, _partial),
    (types.MethodType, _method),
    (types.FunctionType, _function),
    (types.BuiltinFunctionType, _builtin),
    (types.GeneratorType, _generator),
    (types.CoroutineType, _coroutine),
    (asyncio.Future, _future),
    (codecs.IncrementalDecoder, lambda thing, _: thing.getstate()),
    (type(iter(())), _iterator),
    (type(iter([])), _iterator),
    (type(iter(range(0))), _iterator),
)

_KNOWN: dict[type, Callable[[Any, dict[int, Any]], Any]] = {
    Execution: lambda it, seen: (
        it.key,
        it.remembered,
        it.again,
        _described(it.trace, seen),
    ),
    Call: lambda it, seen: (it.operation, it.path, _described(it.body, seen), it.limit),
    Reply: lambda it, _: (it.status, it.content),
    Calls: lambda it, _: it.count,
    Handle: lambda it, _: it.when,
    asyncio.Timeout: lambda it, _: it.expired(),
    _DrainWatch: lambda _, __: "of the loop",
}
