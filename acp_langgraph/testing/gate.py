"""A gate holds something back until the test says so; it is how fakes wait without a clock."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Gate"]


class Gate:
    """Closed until the test opens it.

    Whatever reaches a closed gate (a request, a piece of a stream, a run of a scripted agent) waits
    there; `wait_arrival` tells the test that it did, so that neither side needs to sleep:

        gate = Gate("composing")
        with FakeACPServer([Work(gate), Answer({"text": "done"})]) as server:
            ...                    # start the client in a thread or a task
            gate.wait_arrival()    # the run is at work now
            gate.open()            # and now it may finish

    Args:
        name: Names the gate in messages.
    """

    def __init__(self, name: str = "gate") -> None:
        self.name = name
        self._condition = threading.Condition()
        self._is_open = False
        self._arrived = 0
        self._listeners: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Gate {self.name!r}, {'open' if self._is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether what arrives may pass."""
        return self._is_open

    @property
    def arrived(self) -> int:
        """How many have come to the gate so far, waiting or passed."""
        return self._arrived

    def open(self) -> None:
        """Let everything pass, now and later."""
        with self._condition:
            self._is_open = True
            listeners, self._listeners = self._listeners, []
        for listener in listeners:  # outside the lock: a listener takes its server's
            listener()

    def close(self) -> None:
        """Hold back what arrives from now on."""
        with self._condition:
            self._is_open = False

    def arrive(self, listener: Callable[[], None]) -> None:
        """Come to the gate; a fake's business.

        Args:
            listener: Called once, when the gate opens.
        """
        with self._condition:
            self._arrived += 1
            self._condition.notify_all()
            if not self._is_open:
                self._listeners.append(listener)

    def wait_arrival(self, n: int = 1, *, timeout: float = 5.0) -> None:
        """Wait until `n` have come to the gate.

        Raises:
            TimeoutError: If fewer came within `timeout` seconds.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: self._arrived >= n, timeout):
                raise TimeoutError(
                    f"{self._arrived} of {n} arrived at the gate {self.name!r} in {timeout} s"
                )
