"""Functions of the user's that give credentials: called with what their parameters name."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from acp_langgraph.errors import ApiTypeError

_OFFERED: Final = frozenset({"config", "runtime", "refresh"})

_asked: ContextVar[Any] = ContextVar("acp_credentials_asked_for", default=None)


class GivesHeaders(Protocol):
    """An object that makes headers, blocking."""

    @property
    def headers(self) -> Callable[..., Any]:
        """Makes them, as a function for `HeaderAuth` does."""


class AwaitsHeaders(Protocol):
    """An object that makes headers, awaiting."""

    @property
    def aheaders(self) -> Callable[..., Any]:
        """Makes them, as a function for `HeaderAuth` does."""


class GivesToken(Protocol):
    """An object that gives a token, blocking."""

    @property
    def token(self) -> Callable[..., Any]:
        """Gives it, as a function for `TokenAuth` does."""


class AwaitsToken(Protocol):
    """An object that gives a token, awaiting."""

    @property
    def atoken(self) -> Callable[..., Any]:
        """Gives it, as a function for `TokenAuth` does."""


class Function:
    """A user's function, which is given what its parameters name."""

    def __init__(self, function: Callable[..., Any], what: str) -> None:
        if not callable(function):
            raise ApiTypeError(f"{what} must be a function, got {type(function).__name__}")
        self.name = getattr(function, "__qualname__", type(function).__qualname__)
        self.awaits = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object's own
        )
        self._function = function
        self._takes = dict(self._parameters(what))

    def __call__(self, config: Mapping[str, Any], *, refresh: bool = False) -> Any:
        """Call it."""
        offered = {"config": config, "runtime": runtime_of(config), "refresh": refresh}
        given = {name: offered[wanted] for name, wanted in self._takes.items() if name}
        if "" in self._takes:
            return self._function(config, **given)
        return self._function(**given)

    @property
    def asks_who(self) -> bool:
        """Whether what it gives may depend on the invocation."""
        return not {"config", "runtime"}.isdisjoint(self._takes.values())

    def _parameters(self, what: str) -> list[tuple[str, str]]:
        """Its parameters and what is given for them; one that is given by position has no name."""
        try:
            parameters = inspect.signature(self._function).parameters.values()
        except (TypeError, ValueError):  # some of C's have none
            return []
        found: list[tuple[str, str]] = []
        for place, parameter in enumerate(parameters):
            if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
                continue
            by_position = parameter.kind is parameter.POSITIONAL_ONLY
            if parameter.name in _OFFERED and not by_position:
                found.append((parameter.name, parameter.name))
            elif parameter.default is not parameter.empty:
                continue
            elif place == 0 and parameter.kind is not parameter.KEYWORD_ONLY:
                found.append(("", "config"))
            else:
                raise ApiTypeError(
                    f"{what}: {self.name} wants {parameter.name!r}; there are only "
                    f"{', '.join(sorted(_OFFERED))}"
                )
        return found


@dataclass(frozen=True, slots=True)
class Question:
    """What a function is asked.

    Attributes:
        config: The invocation's.
        who: Names who asks, in errors.
        refresh: Whether the server refused what it gave last.
        for_everybody: Whether what it gives will be shown for everybody. Then it must not depend on
            who happens to ask, and sees nothing of his context.
        subject: Who is to hold what it gives.
    """

    config: Mapping[str, Any] = field(repr=False)
    who: str
    subject: Any = field(default=None, repr=False)
    refresh: bool = False
    for_everybody: bool = False

    def context(self) -> Context:
        """The context in which to call it."""
        context = Context() if self.for_everybody else copy_context()
        context.run(_asked.set, self.subject)
        return context


def is_being_asked(subject: Any) -> bool:
    """Whether this is called by a function that is to give what the subject holds."""
    return subject is not None and _asked.get() is subject


class Provider:
    """A user's function, or an object with one for those who block and one for those who await.

    Attributes:
        in_thread: Whether what blocks is called in a thread where others await.
    """

    def __init__(self, given: Any, what: str) -> None:
        self.in_thread = False
        self._what = what
        blocking, awaiting = getattr(given, what, None), getattr(given, f"a{what}", None)
        if not callable(blocking) and not callable(awaiting):
            if not callable(given):
                raise ApiTypeError(
                    f"{what} must be a function, or an object with {what}, a{what} or both; got "
                    f"{type(given).__name__}"
                )
            blocking = given
        functions = [
            None if each is None else Function(each, what) for each in (blocking, awaiting)
        ]
        self._blocking, self._awaiting = functions
        if self._blocking is not None and self._blocking.awaits:
            self._blocking, self._awaiting = None, self._awaiting or self._blocking
        known = [each for each in (self._blocking, self._awaiting) if each is not None]
        self.name = known[0].name
        self.asks_who = any(each.asks_who for each in known)

    def ask(self, question: Question) -> Any:
        """Ask it, blocking."""
        said = None
        if self._blocking is not None:
            said = question.context().run(self._blocking, question.config, refresh=question.refresh)
        if self._blocking is not None and not inspect.isawaitable(said):
            return said
        if inspect.iscoroutine(said):
            said.close()
        raise ApiTypeError(
            f"{question.who}: {self.name} can only be awaited, and nothing here awaits; nothing was "
            f"sent. Use ainvoke, or an AsyncACPClient; or give an object with both {self._what} and "
            f"a{self._what}"
        )

    async def aask(self, question: Question) -> Any:
        """Ask it, awaiting."""
        function = self._awaiting or self._blocking
        assert function is not None  # noqa: S101 - there is one of the two
        context = question.context()
        call = partial(context.run, function, question.config, refresh=question.refresh)
        loop = asyncio.get_running_loop()
        if self.in_thread and not function.awaits:
            said = await loop.run_in_executor(None, call)
        else:
            said = call()
        if not inspect.isawaitable(said):
            return said
        return await loop.create_task(_awaited(said), context=context)


async def _awaited(said: Awaitable[Any]) -> Any:
    return await said


def runtime_of(config: Mapping[str, Any]) -> Any:
    """LangGraph's runtime; `None` outside of a graph."""
    constants = sys.modules.get("langgraph._internal._constants")
    if constants is None:  # whoever is inside of a graph has imported it
        return None
    return (config.get("configurable") or {}).get(constants.CONFIG_KEY_RUNTIME)
