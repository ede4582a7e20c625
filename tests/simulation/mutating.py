"""Taking a safety measure out, and putting it back.

A mutant is a piece of a module's text and what stands in its place. The functions that change by it get the
code of the changed text for as long as the mutant lives; nothing is written, and nothing is imported
anew. A piece that is not found is an error, so that the mutants keep up with the code.
"""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from simulation.machine import forget_machines

__all__ = ["Mutant", "living"]


@dataclass(frozen=True)
class Mutant:
    """A safety measure that is not there.

    Attributes:
        name: The measure.
        module: Where it is.
        text: The code that it is.
        instead: What stands there.
        scenario: Where its absence shows, by the scenario's name in `simulation.scenarios`.
        also: Another measure that is not there, where each of two is enough.
    """

    name: str
    module: str
    text: str
    instead: str
    scenario: str
    also: Mutant | None = None


@contextmanager
def living(mutant: Mutant) -> Iterator[None]:
    """The measure is not there.

    Raises:
        ValueError: If it is not where it was, or nothing of it is in a function or a plain value.
    """
    module = importlib.import_module(mutant.module)
    source = inspect.getsource(module)
    if source.count(mutant.text) != 1:
        raise ValueError(f"{mutant.name}: {mutant.module} has it {source.count(mutant.text)} times")
    before = dict(_functions(module))
    changed = types.ModuleType(module.__name__)
    vars(changed).update(__file__=module.__file__, __package__=module.__package__)
    code = compile(source.replace(mutant.text, mutant.instead), str(module.__file__), "exec")
    made = dict(_codes(code))
    undo = []
    for name, function in before.items():
        new = made.get(name)
        if new is not None and new != function.__code__:
            undo.append((function, function.__code__))
            function.__code__ = new
    value = _value(mutant)
    if value is not None:
        undo.append((module, {value[0]: getattr(module, value[0])}))  # type: ignore[arg-type]
        setattr(module, *value)
    forget_machines()
    try:
        if not undo:
            raise ValueError(f"{mutant.name}: nothing changes by it")
        with living(mutant.also) if mutant.also else nullcontext():
            yield
    finally:
        forget_machines()
        for owner, old in undo:
            if isinstance(owner, types.ModuleType):
                vars(owner).update(old)
            else:
                owner.__code__ = old


def _value(mutant: Mutant) -> tuple[str, object] | None:
    """The name and the new value, where the mutant changes a constant."""
    name, _, text = mutant.instead.partition(": Final = ")
    return (name, eval(text)) if text else None  # noqa: S307 - of this file


def _functions(module: types.ModuleType) -> Iterator[tuple[str, types.FunctionType]]:
    for each in vars(module).values():
        if inspect.isfunction(each) and each.__module__ == module.__name__:
            yield each.__qualname__, each
        elif inspect.isclass(each) and each.__module__ == module.__name__:
            for inner in vars(each).values():
                function = inner.fget if isinstance(inner, property) else inner
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function):
                    yield function.__qualname__, function


def _codes(code: types.CodeType) -> Iterator[tuple[str, types.CodeType]]:
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield each.co_qualname, each
            yield from _codes(each)
