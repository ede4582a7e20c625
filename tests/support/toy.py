"""A protocol of four endpoints as a job and a node: all that is to be written for one more.

    POST   /jobs               {"key", "input"}     starts a job, always a new one
    GET    /jobs?key=          the jobs with a key, the oldest first
    GET    /jobs/{id}?wait=    a job, as soon as it is not at work, or after so many seconds
    POST   /jobs/{id}/answer   {"answer"}           409: it asks nothing; 422: not an answer to that
    DELETE /jobs/{id}          ends it

`support.toy_server` speaks it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from langchain_core.runnables import RunnableConfig

from acp_langgraph.core.calls import Call, path
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.wire import Wire
from acp_langgraph.errors import RunError
from acp_langgraph.jobs.job import Job, JobPolicy, Outcome, Sighting
from acp_langgraph.jobs.waiting import cancel_job
from acp_langgraph.nodes.base import RemoteNode
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.ports import input_of, output_of

__all__ = ["Seen", "ToyError", "ToyJob", "ToyNode"]

PATIENCE = 10.0  # seconds for an answer, beside those that it may take the server to have one


class ToyError(RunError):
    """The job failed."""


class Seen(Wire):
    """A job, as the server shows it; `said` is its question, its result, or why it failed."""

    id: str
    status: Literal["working", "asking", "done", "failed", "ended"]
    asked: int = 0
    said: Any = None


@dataclass(frozen=True)
class ToyJob(Job):
    """One job that is wanted."""

    key: str
    node: str = ""
    policy: JobPolicy = field(default_factory=JobPolicy)
    input: Any = field(default=None, repr=False)

    def with_(self, *, key: str | None = None, policy: JobPolicy | None = None) -> Self:
        """The same job with another key or policy."""
        return replace(self, key=key or self.key, policy=policy or self.policy)

    def ids(self, job_id: str | None = None) -> dict[str, Any]:
        """What errors say of it."""
        return {"node": self.node, "run_id": job_id}

    def find(self) -> Flow[str | None]:
        """The oldest job with the key."""
        call: Call[list[Seen]] = Call(
            "find_jobs", "GET", "/jobs", list[Seen], query={"key": self.key}
        )
        found = yield from self.policy.repeat(call)
        return found[0].id if found else None

    def start(self) -> Flow[str]:
        """Start it."""
        body = {"key": self.key, "input": self.input}
        call: Call[Seen] = Call("create_job", "POST", "/jobs", Seen, body=body)
        return (yield from self.policy.repeat(call)).id

    def wait(self, job_id: str) -> Flow[Outcome | None]:
        """Wait once for what it comes to."""
        seconds = self.policy.long_poll
        call = replace(_get(job_id), query={"wait": f"{seconds:g}"}, may_leave=True)
        seen = yield from call.with_options(timeout=seconds + PATIENCE)
        outcome = {"run_id": job_id, "said": seen.said}
        match seen.status:
            case "done":
                return {**outcome, "type": "result"}
            case "asking":
                asked_at = str(seen.asked)
                return {**outcome, "type": "interrupt", "payload": seen.said, "asked_at": asked_at}
            case "failed" | "ended":
                return {**outcome, "type": "failed", "was_cancelled": seen.status == "ended"}
        return None

    def read(self, job_id: str) -> Flow[Sighting]:
        """Its status."""
        seen = yield from self.policy.repeat(_get(job_id))
        return Sighting(seen.status, seen.status == "working")

    def still_asks(self, job_id: str, question: Outcome) -> Flow[bool]:
        """Whether it asks, and has asked nothing since; its questions are numbered."""
        seen = yield from self.policy.repeat(_get(job_id))
        return seen.status == "asking" and str(seen.asked) == question["asked_at"]

    def answer(self, job_id: str, answer: Any) -> Flow[None]:
        """Answer what it asks."""
        where, body = path("/jobs/{job_id}/answer", job_id=job_id), {"answer": answer}
        yield from self.policy.repeat(Call("answer_job", "POST", where, Seen, body=body))

    def cancel(self, job_id: str) -> Flow[None]:
        """End it."""
        where = path("/jobs/{job_id}", job_id=job_id)
        yield from self.policy.repeat(Call("end_job", "DELETE", where, None))

    def failure(self, outcome: Outcome) -> ToyError:
        """What the server said of its failure."""
        said = "it was ended" if outcome["was_cancelled"] else f"it failed: {outcome['said']}"
        return ToyError(said, **self.ids(outcome["run_id"]))


def _get(job_id: str) -> Call[Seen]:
    return Call("get_job", "GET", path("/jobs/{job_id}", job_id=job_id), Seen)


class ToyNode(RemoteNode):
    """Has a job done as a node of a graph: one execution of the node, one job."""

    def __init__(
        self, name: str, url: str, input_path: str, output_path: str, **policy: Any
    ) -> None:
        super().__init__(name, url)
        self.policy = JobPolicy(**policy)
        self.input = input_of(name, None, input_path, None, None, None)
        self.output = output_of(name, None, output_path, None, None, None)

    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """Read the input, have the job done, write the result."""
        value = yield from self.input.take(state, config)
        job = ToyJob(execution.key, self.name, self.policy, value)
        outcome = yield from self._have_done(job, execution)
        return (yield from self.output.put(state, outcome["said"], config))

    def ending(self, execution: Execution, key: str, run_id: str | None) -> Flow[bool]:
        """End the job."""
        return cancel_job(ToyJob(key, self.name, self.policy), run_id)
