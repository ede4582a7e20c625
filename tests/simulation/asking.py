"""What must hold of servers whose jobs ask and are answered, whichever protocol they speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from simulation.people import plain

__all__ = ["AskingModel", "Work"]


class Work(Protocol):
    """A job of a server's: a run, a task, or whatever it is called there."""

    @property
    def name(self) -> str:
        """What it is called in traces and results."""

    @property
    def key(self) -> str:
        """What it was marked with."""

    @property
    def answers(self) -> tuple[Any, ...]:
        """What it was answered."""

    @property
    def is_done(self) -> bool:
        """Whether it came to a result."""

    @property
    def is_open(self) -> bool:
        """Whether it is at work, or waits for an answer."""


def _order_of(work: Work) -> str:
    """What a job is done for: the key without its life."""
    return work.key.partition("/")[0]


class AskingModel:
    """A server whose agent asks its questions, one after the other, and then is done.

    Attributes:
        questions: What the agent asks before it answers.
        failing: How many of the jobs fail, the first ones.
        stuck: Whether the agent never comes to anything.
        tasks: How many tasks of a graph have jobs there; each job's key then begins with its task's.
    """

    tasks = 1

    def __init__(
        self,
        questions: tuple[str, ...] = ("color?", "food?"),
        *,
        failing: int = 0,
        stuck: bool = False,
    ) -> None:
        self.questions = questions
        self.failing = failing
        self.stuck = stuck

    def works(self, server: Any) -> Sequence[Work]:
        """The jobs of a server, the oldest first."""
        raise NotImplementedError

    def result(self, work: Work) -> Any:
        """What a job comes to."""
        return {"answers": list(work.answers), "by": work.name}

    def broken(self, server: Any, answers: Mapping[str, str], most_runs: int) -> str | None:
        """What is wrong with what the jobs were answered and came to."""
        works = self.works(server)
        done = [work for work in works if work.is_done]
        for key in {_order_of(work) for work in done}:
            names = [work.name for work in done if self.tasks == 1 or _order_of(work) == key]
            if len(names) > most_runs:
                return f"{len(names)} runs completed for one task: {', '.join(names)}"
        keys = [work.key for work in works]
        if len(set(keys)) < len(keys) and most_runs == 1:
            return f"{len(keys)} runs were started for one task"
        for work in works:
            for question, answer in zip(self.questions, work.answers, strict=False):
                if answers[question] != answer:
                    return f"{work.name} was answered {answer!r} to {question!r}"
            if len(work.answers) > len(self.questions):
                return f"{work.name} was answered {work.answers[-1]!r}, and had not asked"
        return None

    def was_answered(self, server: Any, question: Any) -> bool:
        """Whether the latest job has the answer to a question; not known of several that were put at once."""
        if isinstance(question, list):
            return False
        return self.questions.index(plain(question)) < len(self.works(server)[-1].answers)

    def results(self, server: Any) -> list[Any]:
        """What jobs came to."""
        return [self.result(work) for work in self.works(server) if work.is_done]

    def at_work(self, server: Any) -> list[str]:
        """Which jobs are at work, or wait for an answer."""
        return [work.name for work in self.works(server) if work.is_open]

    def is_stream(self, request: Any) -> bool:
        """Whether a request is answered with a stream."""
        return False
