"""Who works on a task: a claim with a lease, in the task's metadata.

    {"acp_langgraph_claim": {"token": "...", "by": "writer", "until": 1735689600000}}

The API has no compare-and-set: an update always wins over what was there. So a claim is written,
some time is let pass, and it is read again; whoever finds its own token has the task. Workers that come
at the same moment are spread over `settle`, and so most see each other's claims. What that
cannot exclude: a second worker that read the task *before* the claim was written, and writes its own
*after* the first one has read again. Both then believe to have it, until one of them renews its lease
or records its result, for that reads first: it finds the other's token and stops. The work itself may
have been done twice by then. The longer `settle`, the rarer that is.

The lease is renewed while the work goes on. A worker that dies stops renewing, and after `until` the
task is anybody's. A worker that comes back as the same execution of the same graph recognizes its own
token, and goes on at once. Leases compare clocks of different machines: keep those right to within a
fraction of the lease.

An update replaces the whole metadata, so that somebody else's change of it between a read and a write
is lost.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, Literal

from acp_langgraph.core.flow import Flow, Pause, Progress
from acp_langgraph.core.retry import with_retries
from acp_langgraph.core.wire import is_certain
from acp_langgraph.errors import TaskTakenError
from acp_langgraph.quant import calls
from acp_langgraph.quant.polling import QuantPolicy
from acp_langgraph.quant.task_models import Task

CLAIM: Final = "acp_langgraph_claim"
"""Under this name a task's metadata says who works on it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker wants to have a task with.

    Attributes:
        task_id: The task.
        token: Identifies the worker's execution; the same in whichever process it goes on.
        worker: Its name, for people, and for `assignedAgentId` of a task that is nobody's.
        lease: Seconds for which the task is held without a sign of life.
        settle: Seconds between writing a claim and reading it again.
        on_taken: What to do about a task that another worker has: `wait` until it is done, `skip`
            it, or `raise` TaskTakenError.
        stale_after: Seconds without a change after which a task in progress without a lease, as
            other software leaves it, may be taken over; `None`: never.
        node: The node that works.
    """

    task_id: str
    token: str
    worker: str
    lease: float = 60.0
    settle: float = 0.5
    on_taken: Literal["wait", "skip", "raise"] = "wait"
    stale_after: float | None = None
    node: str = ""


def claim_task(claim: Claim, policy: QuantPolicy) -> Flow[dict[str, Any]]:
    """Get the task, or learn that there is nothing to do.

    Returns:
        `state`: `claimed`, with the task's `retryCount` and `maxRetries`; or the status that the
        task has come to by someone else's work; or `taken`.

    Raises:
        TaskTakenError: If another worker has it, and that is an error.
    """
    waits = policy.pace.waits()
    yield Pause(claim.settle * random.random())  # whoever comes at the same time comes apart
    while True:
        task = yield from with_retries(calls.get_task(claim.task_id), policy.retries)
        yield from Progress("task", claim.task_id, {"status": task.status})
        if task.status in {"completed", "failed", "cancelled"}:
            return {"state": task.status}
        if held(task, claim.token):
            yield from _write(task, claim, policy, {})
            return _claimed(task, 0)
        taken_over = 0
        if task.status == "in_progress":
            taken_over = int(_is_abandoned(task, claim, policy))
        if task.status == "pending" or taken_over:
            if taken_over and (task.retry_count or 0) >= (task.max_retries or 0) > 0:
                yield from _bury(task, policy)
                return {"state": "failed"}
            yield from _write(task, claim, policy, _taking(task, claim, taken_over))
            yield Pause(claim.settle * random.uniform(1, 1.5))
            again = yield from with_retries(calls.get_task(claim.task_id), policy.retries)
            if held(again, claim.token):
                return _claimed(task, taken_over)
            continue
        if task.status == "in_progress" and claim.on_taken != "wait":
            if claim.on_taken == "skip":
                return {"state": "taken"}
            _raise_taken(task, claim)
        yield Pause(next(waits), may_leave=True)


def renew_claim(
    claim: Claim, policy: QuantPolicy, changes: dict[str, Any] | None = None
) -> Flow[Task | None]:
    """Hold the task for another lease, with changes such as `progress`; `None` if it was lost."""
    task = yield from with_retries(calls.get_task(claim.task_id), policy.retries)
    if not held(task, claim.token):
        return None
    yield from _write(task, claim, policy, changes or {})
    return task


def held(task: Task, token: str) -> bool:
    """Whether a task is held with this token."""
    return bool(_entry(task).get("token") == token)


def released(task: Task) -> dict[str, Any]:
    """The metadata of a task whose claim has done its work."""
    return {**task.metadata, CLAIM: {**_entry(task), "until": 0}}


def _entry(task: Task) -> dict[str, Any]:
    found = task.metadata.get(CLAIM)
    return found if isinstance(found, dict) else {}


def _is_abandoned(task: Task, claim: Claim, policy: QuantPolicy) -> bool:
    until = _entry(task).get("until")
    if isinstance(until, int | float):
        return policy.clock() * 1000 > until
    if claim.stale_after is None or not is_certain(task.updated_at):
        return False
    return policy.clock() > task.updated_at.timestamp() + claim.stale_after


def _taking(task: Task, claim: Claim, taken_over: int) -> dict[str, Any]:
    changes: dict[str, Any] = {"status": "in_progress"}
    if not task.assigned_agent_id:
        changes["assignedAgentId"] = claim.worker
    if taken_over:
        changes["retryCount"] = (task.retry_count or 0) + 1
        changes["progressMessage"] = "taken over from a worker that gave no sign of life"
    return changes


def _write(task: Task, claim: Claim, policy: QuantPolicy, changes: dict[str, Any]) -> Flow[None]:
    until = int((policy.clock() + claim.lease) * 1000)
    entry = {"token": claim.token, "by": claim.worker, "until": until}
    body = {**changes, "metadata": {**task.metadata, CLAIM: entry}}
    yield from with_retries(calls.update_task(claim.task_id, body), policy.retries)


def _bury(task: Task, policy: QuantPolicy) -> Flow[None]:
    """Fail a task whose workers keep dying."""
    said = f"its workers died {(task.retry_count or 0) + 1} times without saying why"
    body = {"status": "failed", "error": said}
    yield from with_retries(calls.update_task(task.task_id, body), policy.retries)


def _claimed(task: Task, taken_over: int) -> dict[str, Any]:
    return {
        "state": "claimed",
        "retryCount": (task.retry_count or 0) + taken_over,
        "maxRetries": task.max_retries or 0,
    }


def _raise_taken(task: Task, claim: Claim) -> None:
    worker = _entry(task).get("by") or task.assigned_agent_id
    raise TaskTakenError(
        f"another worker has the task{': ' + str(worker) if worker else ''}",
        worker=worker,
        node=claim.node,
        run_id=claim.task_id,
    )
