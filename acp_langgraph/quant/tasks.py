"""The life of one task in the hands of a worker, as a flow.

    (create_task)             the task is created, where the worker brings it along
    wait_for_dependencies     until all are completed, or one never will be
    claim_task                see `acp_langgraph.quant.claims`
    work_on_task              what the worker does                                <-+
    record_task               result, error, retries                              --+ while it may

Tasks are records: the server enforces no dependency, retries nothing and unblocks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, NoReturn

from acp_langgraph.core.flow import Flow, OutOfTimeError, Pause, Progress, Step, left_until, within
from acp_langgraph.core.retry import Backoff, with_retries
from acp_langgraph.core.wire import came, is_certain
from acp_langgraph.errors import (
    NotFoundException,
    RunExpiredError,
    RunTimeoutError,
    TaskDependencyError,
    TaskFailedError,
    TaskTakenError,
    UnknownOutcomeError,
)
from acp_langgraph.jobs.once import Trace
from acp_langgraph.quant import calls
from acp_langgraph.quant.claims import Claim, claim_task, held, released, renew_claim
from acp_langgraph.quant.polling import QuantPolicy
from acp_langgraph.quant.starting import Order, Started, start_once
from acp_langgraph.quant.task_models import Task, TaskCreated

DependencyPolicy = Literal["fail", "cancel", "block", "run"]

_KEY: Final = "acp_langgraph_key"
_PAGE: Final = 100
_HOPELESS: Final = frozenset({"failed", "cancelled", "gone"})
_LAST_LOOK: Final = 2.0  # seconds
_SKEW: Final = 60.0  # seconds by which the server's clock may differ from ours


@dataclass(frozen=True, slots=True)
class TaskRules:
    """What to do when things go wrong.

    Attributes:
        on_dependency_failure: What becomes of a task that depends on one that failed, was cancelled
            or is gone: it is marked `fail`ed, `cancel`led or `block`ed with a reason; or it is `run`
            all the same.
        on_failure: Whether a task that failed, now or before, is an error (`raise`), or an outcome
            (`keep`).
        backoff: Seconds between tries of the work.
    """

    on_dependency_failure: DependencyPolicy = "fail"
    on_failure: Literal["raise", "keep"] = "raise"
    backoff: Backoff = field(default_factory=Backoff)


def work_on(
    claim: Claim,
    rules: TaskRules,
    policy: QuantPolicy,
    since: float,
    work: Callable[[Task, Mapping[str, Any]], Flow[dict[str, Any]]],
) -> Flow[dict[str, Any]]:
    """Do a task, once it can be done, unless someone else does.

    Args:
        claim: The task, and who wants to do it.
        rules: What to do when things go wrong.
        policy: How often to look, and for how long to wait for dependencies.
        since: When the waiting began, on the policy's clock.
        work: Does it. Takes the task and the results of what it depends on; returns
            `{"ok": True, "result": ...}` or `{"ok": False, "error": "..."}`.

    Returns:
        `taskId`, `status`, `result`, `error`. A status of `taken` says that another worker has it.

    Raises:
        TaskFailedError: If it failed, and that is an error.
        TaskDependencyError: If it was not done because of a dependency, and that is an error.
        TaskTakenError: If another worker has it, or took it over.
        RunTimeoutError: If the dependencies are not completed in time.
    """
    wait = partial(_wait_for_dependencies, claim, rules, policy, since)
    ready = yield from Step("wait_for_dependencies", wait)
    if ready["state"] != "ready":
        if rules.on_failure == "raise" and ready["unmet"]:
            raise TaskDependencyError(
                f"the task was {ready['state']}, because of what it depends on",
                dependencies=ready["unmet"],
                node=claim.node,
                run_id=claim.task_id,
            )
        return (yield from _outcome(claim, rules, policy))
    claimed = yield from Step("claim_task", partial(_claim, claim, policy, since))
    if claimed["state"] == "taken":
        return {"taskId": claim.task_id, "status": "taken", "result": None, "error": None}
    if claimed["state"] != "claimed":
        return (yield from _outcome(claim, rules, policy))
    waits = rules.backoff.waits()
    retries = claimed["retryCount"]
    while True:
        done = yield from Step("work_on_task", partial(_work, claim, policy, work))
        again = not done["ok"] and retries < claimed["maxRetries"]
        record = partial(_record, claim, policy, done, retries, again=again)
        yield from Step("record_task", record)
        if not again:
            break
        retries += 1
        yield Pause(next(waits))
    if not done["ok"] and rules.on_failure == "raise":
        _raise_failed(claim, done["error"])
    status = "completed" if done["ok"] else "failed"
    return {
        "taskId": claim.task_id,
        "status": status,
        "result": done.get("result"),
        "error": done.get("error"),
    }


def create_once(
    body: Mapping[str, Any], key: str, policy: QuantPolicy, trace: Trace, node: str = ""
) -> Flow[str]:
    """Create a task, unless that was done already; its id.

    The task is marked in its metadata, and looked for among the latest hundred of its list.

    Raises:
        UnknownOutcomeError: If more than that were created since.
    """

    def read(created: TaskCreated) -> Flow[Started]:
        yield from ()
        return {"taskId": created.task_id}

    marked = {**body, "metadata": {**(body.get("metadata") or {}), _KEY: key}}
    order = Order(
        "the task",
        "create_task",
        key,
        calls.create_task(marked),
        read,
        find=partial(_find, body.get("taskListId"), key, policy, node),
        node=node,
    )
    started = yield from start_once(order, policy, trace)
    return str(started["taskId"])


def load_tasks(task_list_id: str) -> Flow[list[Task]]:
    """All tasks of a list, whole.

    The ids come from the dependency graph, for a list ends after a hundred.
    """
    graph = yield from with_retries(calls.get_dependency_graph(task_list_id), 3)
    ids = list(graph.graph)
    if not ids:
        listed = calls.list_tasks(task_list_id=task_list_id, limit=_PAGE)
        ids = [task.task_id for task in (yield from with_retries(listed, 3)).tasks]
    tasks = []
    for task_id in ids:
        task = yield from with_retries(calls.get_task(task_id), 3)
        tasks.append(task)
    return tasks


def _find(
    task_list_id: str | None, key: str, policy: QuantPolicy, node: str, at: float
) -> Flow[Started | None]:
    call = calls.list_tasks(task_list_id=task_list_id, limit=_PAGE)
    page = (yield from with_retries(call, policy.retries)).tasks
    unread = came(page) - len(page)
    since = at - _SKEW
    recent = [t for t in page if not is_certain(t.created_at) or t.created_at.timestamp() >= since]
    for item in recent:
        task = yield from with_retries(calls.get_task(item.task_id), policy.retries)
        if task.metadata.get(_KEY) == key:
            return {"taskId": task.task_id}
    if (unread or len(recent) >= _PAGE) and policy.on_unknown == "raise":
        why = f"{unread} in the list cannot be read" if unread else f"more than {_PAGE} were since"
        raise UnknownOutcomeError(
            f"it cannot be told whether the task was created: {why}. Look for "
            f"one with {key!r} under {_KEY!r} in its metadata",
            key=key,
            node=node,
        )
    return None


def _claim(claim: Claim, policy: QuantPolicy, since: float) -> Flow[dict[str, Any]]:
    """Get the task within the time that there is to wait for it."""
    deadline = _deadline(policy, since)
    until = None if deadline is None else max(deadline, policy.clock() + _LAST_LOOK)
    try:
        return (yield from within(left_until(until, policy.clock), claim_task(claim, policy)))
    except OutOfTimeError:
        raise RunTimeoutError(
            f"another worker still has the task after {policy.pace.deadline} s",
            node=claim.node,
            run_id=claim.task_id,
        ) from None


def _wait_for_dependencies(
    claim: Claim, rules: TaskRules, policy: QuantPolicy, since: float
) -> Flow[dict[str, Any]]:
    """Wait until the task can be done: `state` `ready`, or what became of it instead."""
    try:
        left = left_until(_deadline(policy, since), policy.clock)
        return (yield from within(left, _until_ready(claim, rules, policy)))
    except OutOfTimeError:
        pass
    last = left_until(policy.clock() + _LAST_LOOK, policy.clock)
    with suppress(OutOfTimeError):
        found = yield from within(last, _readiness(claim, rules, policy))
        if found is not None:
            return found
    raise RunTimeoutError(
        f"what the task depends on was not completed within {policy.pace.deadline} s; the "
        "task is left as it is",
        node=claim.node,
        run_id=claim.task_id,
    )


def _until_ready(claim: Claim, rules: TaskRules, policy: QuantPolicy) -> Flow[dict[str, Any]]:
    waits = policy.pace.waits()
    while True:
        found = yield from _readiness(claim, rules, policy)
        if found is not None:
            return found
        yield Pause(next(waits), may_leave=True)


def _readiness(claim: Claim, rules: TaskRules, policy: QuantPolicy) -> Flow[dict[str, Any] | None]:
    """One look at the task and what it depends on; `None` if it has to wait."""
    try:
        task = yield from with_retries(calls.get_task(claim.task_id), policy.retries)
    except NotFoundException:
        raise RunExpiredError(
            "the service does not know the task, or no longer",
            node=claim.node,
            run_id=claim.task_id,
        ) from None
    if task.status in {"completed", "failed", "cancelled"}:
        return {"state": task.status, "unmet": {}}
    statuses = yield from _statuses(task, policy)
    yield from Progress("dependencies", task.task_id, statuses)
    hopeless = _HOPELESS | ({"blocked"} if rules.on_dependency_failure == "block" else set())
    unmet = {each: status for each, status in statuses.items() if status in hopeless}
    if unmet and rules.on_dependency_failure != "run" and task.status != "in_progress":
        state = yield from _dispose(task, unmet, rules, policy)
        return {"state": state, "unmet": unmet}
    if all(status == "completed" or each in unmet for each, status in statuses.items()):
        if task.status != "blocked":
            return {"state": "ready", "unmet": unmet}
        if set(task.blocked_by_task_ids) and set(task.blocked_by_task_ids) <= set(statuses):
            # What blocked it is done; the server clears the reason with the status.
            body = {"status": "pending"}
            yield from with_retries(calls.update_task(task.task_id, body), policy.retries)
            return {"state": "ready", "unmet": unmet}
    return None


def _deadline(policy: QuantPolicy, since: float) -> float | None:
    return None if policy.pace.deadline is None else since + policy.pace.deadline


def _statuses(task: Task, policy: QuantPolicy) -> Flow[dict[str, str]]:
    """How the tasks are that a task depends on; one request where its list tells."""
    statuses: dict[str, str] = {}
    if len(task.depends_on) > 1 and task.task_list_id:
        call = calls.list_tasks(task_list_id=task.task_list_id, limit=_PAGE)
        page = yield from with_retries(call, policy.retries)
        statuses = {item.task_id: item.status for item in page.tasks}
    for each in task.depends_on:
        if each not in statuses:
            try:
                found = yield from with_retries(calls.get_task(each), policy.retries)
            except NotFoundException:
                statuses[each] = "gone"
            else:
                statuses[each] = found.status
    return {each: statuses[each] for each in task.depends_on}


def _dispose(
    task: Task, unmet: Mapping[str, str], rules: TaskRules, policy: QuantPolicy
) -> Flow[str]:
    """Mark a task that cannot be done because of what it depends on; its new status."""
    why = "depends on " + ", ".join(f"{each} ({status})" for each, status in unmet.items())
    body: dict[str, Any]
    match rules.on_dependency_failure:
        case "cancel":
            body = {"status": "cancelled", "error": why}
        case "block":
            body = {"status": "blocked", "blockedReason": why, "blockedByTaskIds": list(unmet)}
        case _:
            body = {"status": "failed", "error": why}
    if task.status != body["status"]:
        yield from with_retries(calls.update_task(task.task_id, body), policy.retries)
    return str(body["status"])


def _work(
    claim: Claim,
    policy: QuantPolicy,
    work: Callable[[Task, Mapping[str, Any]], Flow[dict[str, Any]]],
) -> Flow[dict[str, Any]]:
    # The step may be entered long after the task was claimed: a human was asked, a process died.
    task = yield from renew_claim(claim, policy)
    if task is None:
        _raise_lost(claim, "it was not begun here")
    results: dict[str, Any] = {}
    for each in task.depends_on:
        try:
            found = yield from with_retries(calls.get_task(each), policy.retries)
        except NotFoundException:
            continue
        results[each] = found.result
    return (yield from work(task, results))


def _record(
    claim: Claim, policy: QuantPolicy, done: Mapping[str, Any], retries: int, *, again: bool
) -> Flow[None]:
    """Write what came of the work, if the task is still ours; to write it twice changes nothing."""
    task = yield from with_retries(calls.get_task(claim.task_id), policy.retries)
    if not held(task, claim.token):
        _raise_lost(claim, "what came of it here was not recorded")
    body: dict[str, Any]
    if done["ok"]:
        result = done["result"]
        result = result if isinstance(result, dict) else {"result": result}
        body = {"status": "completed", "progress": 1, "result": result, "error": None}
    elif again:
        body = {"retryCount": retries + 1, "error": done["error"], "progress": 0}
    else:
        body = {"status": "failed", "error": done["error"]}
    if not again:
        body["metadata"] = released(task)
    yield from with_retries(calls.update_task(claim.task_id, body), policy.retries)
    yield from Progress("recorded", claim.task_id)


def _outcome(claim: Claim, rules: TaskRules, policy: QuantPolicy) -> Flow[dict[str, Any]]:
    """What a task has come to by somebody else's work, or by its dependencies."""

    def read() -> Flow[dict[str, Any]]:
        task = yield from with_retries(calls.get_task(claim.task_id), policy.retries)
        error = task.error or task.blocked_reason
        result = task.result
        return {"taskId": task.task_id, "status": task.status, "result": result, "error": error}

    outcome = yield from Step("read_task", read)
    if outcome["status"] != "completed" and rules.on_failure == "raise":
        _raise_failed(claim, outcome["error"] or outcome["status"])
    return outcome


def _raise_lost(claim: Claim, what: str) -> NoReturn:
    raise TaskTakenError(
        f"another worker took the task over; {what}. A longer lease makes that rarer",
        node=claim.node,
        run_id=claim.task_id,
    )


def _raise_failed(claim: Claim, error: str) -> NoReturn:
    raise TaskFailedError(f"the task failed: {error}", node=claim.node, run_id=claim.task_id)
