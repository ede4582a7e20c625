"""A server of `support.toy`'s protocol on a socket of 127.0.0.1, in threads of the test's own process.

It outlives the processes that are killed, and counts what they have it do. What its jobs do is a script
(`acp_langgraph.testing.runs`), of `Ask`, `Work`, `Answer` and `Fail`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from acp_langgraph.testing import Answer, Ask, Fail, FakeHTTPServer, Gate, Response, Work
from acp_langgraph.testing.runs import play

__all__ = ["ToyRecord", "ToyServer"]


@dataclass(eq=False)
class ToyRecord:
    """One job, as the server sees it: one object for each creation, kept for ever."""

    job_id: str
    key: str
    input: Any
    status: str = "working"
    asked: int = 0
    said: Any = None
    answers: list[Any] = field(default_factory=list)
    moves: Any = field(default=None, repr=False)
    gate: Gate | None = None

    def shown(self) -> dict[str, Any]:
        """The job as it is sent."""
        return {"id": self.job_id, "status": self.status, "asked": self.asked, "said": self.said}

    def make(self, move: Any) -> None:
        """Do what a move of the script says."""
        self.gate = None
        match move:
            case Ask(payload):
                self.status, self.said, self.asked = "asking", payload, self.asked + 1
            case Work(Gate() as gate):
                self.gate = gate
            case Answer(values):
                self.status, self.said = "done", values(self) if callable(values) else values
            case Fail(description):
                self.status, self.said = "failed", description


class ToyServer(FakeHTTPServer):
    """Does the jobs of a script.

    Attributes:
        jobs: Every job that was ever created, oldest first.
    """

    operations: ClassVar = {
        "create_job": "POST /jobs",
        "find_jobs": "GET /jobs",
        "get_job": "GET /jobs/{job_id}",
        "answer_job": "POST /jobs/{job_id}/answer",
        "end_job": "DELETE /jobs/{job_id}",
    }

    def __init__(self, script: Any) -> None:
        super().__init__()
        self.jobs: list[ToyRecord] = []
        self._script = script

    @property
    def created(self) -> int:
        """How many jobs were created."""
        return len(self.jobs)

    @property
    def completed(self) -> int:
        """How many jobs came to a result."""
        return self.count("done")

    @property
    def answered(self) -> int:
        """How many answers were taken."""
        return sum(len(job.answers) for job in self.jobs)

    def count(self, status: str) -> int:
        """How many jobs have a status."""
        with self.changed:
            return sum(self._look(job).status == status for job in self.jobs)

    def respond(self, request: Any) -> Response:
        """Do what is asked."""
        with self.changed:
            if request.operation == "create_job":
                return self._create(**request.json)
            if request.operation == "find_jobs":
                found = [job for job in self.jobs if job.key == request.query["key"]]
                return Response.json([self._look(job).shown() for job in found])
            job_id = request.route.parameters["job_id"] if request.route else ""
            job = next((each for each in self.jobs if each.job_id == job_id), None)
            if job is None:
                return Response.json({"detail": f"there is no job {job_id!r}"}, 404)
            if request.operation == "answer_job":
                return self._answered(self._look(job), request.json["answer"])
            if request.operation == "end_job" and self._look(job).status in {"working", "asking"}:
                job.status = "ended"
                self.changed.notify_all()
        seconds = float(request.query.get("wait", 0))
        self.hold(request, lambda: self._look(job).status != "working", seconds)
        return Response.json(job.shown())

    def _create(self, key: str, input: Any) -> Response:  # noqa: A002 - what it is called
        job = ToyRecord(f"job-{len(self.jobs) + 1}", key, input)
        job.moves = play(self._script, job)  # type: ignore[arg-type]  # what its moves get to see
        self.jobs.append(job)
        self._move(job, None)
        return Response.json(self._look(job).shown(), 201)

    def _answered(self, job: ToyRecord, answer: Any) -> Response:
        if job.status != "asking":
            return Response.json({"detail": f"it is {job.status}, and asks nothing"}, 409)
        if not isinstance(answer, str):
            return Response.json({"detail": "an answer is a text"}, 422)
        job.answers.append(answer)
        job.status = "working"
        self._move(job, answer)
        return Response.json(self._look(job).shown())

    def _look(self, job: ToyRecord) -> ToyRecord:
        """The job, once it has gone on as far as it goes."""
        while job.status == "working" and (job.gate is None or job.gate.is_open):
            self._move(job, None)
        return job

    def _move(self, job: ToyRecord, answer: Any) -> None:
        job.make(job.moves.send(answer))
        if job.gate is not None:
            job.gate.arrive(self.notify)
        self.changed.notify_all()
