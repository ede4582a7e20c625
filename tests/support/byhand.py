"""Running flows by hand: no transport, no event loop, no graph."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Begin, Flow, Listen, Pause, Progress, Step

__all__ = ["Hand", "reply"]

_NOTHING = object()


def reply(body: Any = _NOTHING, status: int = 200, **headers: str) -> Reply:
    """A reply with a JSON body, or with none."""
    content = b"" if body is _NOTHING else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, content)


class Hand:
    """Steps through a flow, into its steps, until something from outside is needed.

    Pauses and progress are noted and passed over. The results of the first steps may be remembered.
    """

    def __init__(self, flow: Flow[Any], remembered: Iterable[Any] = ()) -> None:
        self._flows = [flow]
        self._names: list[str] = []
        self._remembered = iter(remembered)
        self.returned: dict[str, Any] = {}
        self.keys: list[str] = []
        self.pauses: list[float] = []
        self.progress: list[str] = []
        self.events: list[Any] = []
        self.steps: list[str] = []
        self.result: Any = _NOTHING
        self.next: Any = None
        self._go(lambda: next(flow))

    @property
    def done(self) -> bool:
        """Whether the flow has returned."""
        return self.result is not _NOTHING

    def wants(self, operation: str) -> Call[Any]:
        """The call that the flow wants performed now, which must be this operation."""
        assert isinstance(self.next, Call), f"the flow wants {self.next}"
        assert self.next.operation == operation, f"the flow wants {self.next.operation}"
        return self.next

    def wants_to_listen(self, operation: str) -> Listen:
        """The stream that the flow wants to listen to now, which must be this operation's."""
        assert isinstance(self.next, Listen), f"the flow wants {self.next}"
        assert self.next.call.operation == operation
        return self.next

    def hears(self, chunk: bytes) -> None:
        """Bytes of the stream arrive; hang up once the reader wants no more."""
        for progress in self.next.reader.feed(chunk):
            self._note(progress)
        if self.next.reader.done:
            self.give(None)

    def give(self, answer: Any) -> None:
        """Hand the flow what it asked for; an exception is raised inside it."""
        flow = self._flows[-1]
        if isinstance(answer, BaseException):
            self._go(lambda: flow.throw(answer))
        else:
            self._go(lambda: flow.send(answer))

    def _go(self, resume: Any) -> None:
        while True:
            try:
                effect = resume()
            except StopIteration as end:
                self._flows.pop()
                if not self._flows:
                    self.result, self.next = end.value, None
                    return
                json.dumps(end.value, allow_nan=False)  # what a step returns is remembered as JSON
                self.returned[self._names.pop()] = end.value
                resume = self._sender(end.value)
                continue
            except Exception as error:
                self._flows.pop()
                if not self._flows:
                    raise
                self._names.pop()
                resume = self._thrower(error)
                continue
            if isinstance(effect, Step):
                self.steps.append(effect.name)
                result = next(self._remembered, _NOTHING)
                if result is not _NOTHING:
                    resume = self._sender(result)
                    continue
                self._names.append(effect.name)
                body = effect.body()
                self._flows.append(body)
                resume = body.__next__
            elif isinstance(effect, Pause):
                self.pauses.append(effect.seconds)
                resume = self._sender(None)
            elif isinstance(effect, Begin | Progress):
                self._note(effect)
                resume = self._sender(None)
            else:
                self.next = effect
                return

    def _note(self, progress: Begin | Progress) -> None:
        if isinstance(progress, Begin):
            self.keys.append(progress.key)
            return
        self.progress.append(progress.kind)
        if progress.kind == "event":
            self.events.append(progress.payload)

    def _sender(self, value: Any) -> Any:
        flow = self._flows[-1]
        return lambda: flow.send(value)

    def _thrower(self, error: Exception) -> Any:
        flow = self._flows[-1]
        return lambda: flow.throw(error)
