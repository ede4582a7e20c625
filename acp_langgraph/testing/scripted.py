"""What a test asks of the runs of a fake server, whichever protocol that speaks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from acp_langgraph.testing.http import FakeHTTPServer
from acp_langgraph.testing.runs import FakeRun


class ScriptedRuns(FakeHTTPServer):
    """What a test asks of the runs of a fake server."""

    runs: list[FakeRun]

    @abstractmethod
    def _advance(self) -> None:
        """Let every run go on as far as it can; with the lock held."""

    @property
    def run(self) -> FakeRun:
        """The only run there ever was.

        Raises:
            AssertionError: If there were none or several.
        """
        if len(self.runs) != 1:
            raise AssertionError(f"expected one run, there were {len(self.runs)}: {self.runs}")
        with self.changed:
            self._advance()
        return self.runs[0]

    @property
    def created(self) -> int:
        """How many runs were ever created."""
        return len(self.runs)

    @property
    def completed(self) -> int:
        """How many runs came to a result."""
        return self._count(lambda run: run.completed)

    @property
    def running(self) -> int:
        """How many runs are at work."""
        return self._count(lambda run: run.running)

    @property
    def interrupted(self) -> int:
        """How many runs wait for an answer."""
        return self._count(lambda run: run.interrupted)

    def next_change_due(self) -> float | None:
        """When the next run goes on by itself."""
        return min((run.due for run in self.runs if run.due is not None), default=None)

    def _count(self, counts: Callable[[FakeRun], bool]) -> int:
        with self.changed:
            self._advance()
            return sum(map(counts, self.runs))
