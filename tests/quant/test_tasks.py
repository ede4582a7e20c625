"""The life of a task in the hands of a worker, stepped through by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.byhand import Hand, reply

from acp_langgraph.core.flow import Ask
from acp_langgraph.errors import (
    ApiConnectionError,
    RunTimeoutError,
    TaskDependencyError,
    TaskFailedError,
    TaskTakenError,
    UnknownOutcomeError,
)
from acp_langgraph.jobs.once import Trace
from acp_langgraph.quant.claims import CLAIM, Claim, renew_claim
from acp_langgraph.quant.polling import Pace, QuantPolicy
from acp_langgraph.quant.tasks import TaskRules, create_once, load_tasks, work_on

NOW = 1_800_000_000.0
ME, OTHER = "me", "other"
DONE = {"ok": True, "result": {"n": 1}}
BROKEN = {"ok": False, "error": "ValueError: no"}


class Server:
    """A task list that a flow's calls are performed on."""

    def __init__(self, **task: Any) -> None:
        self.now = NOW
        self.tasks = {"t": {"taskId": "t", "status": "pending", "maxRetries": 1, **task}}
        self.writes: list[dict[str, Any]] = []

    @property
    def task(self) -> dict[str, Any]:
        return self.tasks["t"]

    def depend(self, **statuses: str) -> None:
        self.task["dependsOn"] = list(statuses)
        for name, status in statuses.items():
            self.tasks[name] = {"taskId": name, "status": status, "result": {"from": name}}

    def perform(self, call: Any) -> Any:
        if call.operation == "list_tasks":
            return reply({"tasks": list(self.tasks.values())})
        task = self.tasks.get(call.path.split("/")[-1])
        if task is None:
            return reply({"error": "Task not found"}, 404)
        if call.operation == "update_task":
            self.writes.append(call.body)
            task.update(call.body)
        return reply(task)


def claimed_by(token: str, until: float, status: str = "in_progress") -> dict[str, Any]:
    entry = {"token": token, "by": token, "until": until * 1000}
    return {"status": status, "metadata": {"mine": 1, CLAIM: entry}}


class Worker(Hand):
    """A worker whose calls the server performs; it stops where the work is to be done."""

    def __init__(self, server: Server, rules: TaskRules | None = None, **changes: Any) -> None:
        self.server = server
        policy = QuantPolicy(
            Pace(1, 1, changes.pop("deadline", 100.0)), clock=lambda: server.now, retries=0
        )
        claim = replace(Claim("t", ME, ME, node="n", settle=0.1), **changes)

        def work(task: Any, results: Any) -> Any:
            return (yield from Ask({"title": task.title, "results": dict(results)}))

        super().__init__(work_on(claim, rules or TaskRules(), policy, NOW, work))

    def run(self, until: Any = lambda: False) -> Any:
        """Perform calls until there is work to do, or the flow is done."""
        while not self.done and not isinstance(self.next, Ask) and not until():
            self.give(self.server.perform(self.next))
        return self.next

    def _sender(self, value: Any) -> Any:
        self.server.now += sum(self.pauses)
        self.pauses.clear()
        return super()._sender(value)

    def do(self, done: Any) -> None:
        self.run()
        self.give(done)
        self.run()


def test_a_task_is_claimed_done_and_recorded() -> None:
    server = Server(title="Review", metadata={"mine": 1})
    worker = Worker(server)
    worker.do(DONE)
    assert worker.result == {
        "taskId": "t",
        "status": "completed",
        "result": {"n": 1},
        "error": None,
    }
    assert server.task["status"] == "completed"
    assert server.task["assignedAgentId"] == ME
    assert server.task["progress"] == 1
    assert server.task["metadata"]["mine"] == 1
    steps = ["wait_for_dependencies", "claim_task", "work_on_task", "record_task"]
    assert worker.steps == steps


def test_a_result_that_is_no_object_is_wrapped() -> None:
    server = Server()
    Worker(server).do({"ok": True, "result": [1]})
    assert server.task["result"] == {"result": [1]}


def test_the_worker_is_given_the_results_of_what_the_task_depends_on() -> None:
    server = Server()
    server.depend(a="completed", b="completed")
    assert Worker(server).run().payload["results"] == {"a": {"from": "a"}, "b": {"from": "b"}}


@pytest.mark.parametrize("listed", [True, False])
def test_a_task_waits_until_all_that_it_depends_on_is_completed(listed: bool) -> None:
    server = Server(taskListId="l" if listed else None)
    server.depend(a="completed", b="in_progress", c="pending")
    worker = Worker(server)
    worker.run(lambda: server.now > NOW + 3)
    assert server.task["status"] == "pending"
    server.tasks["b"]["status"] = server.tasks["c"]["status"] = "completed"
    worker.do(DONE)
    assert worker.result["status"] == "completed"


def test_dependencies_that_take_too_long_are_a_time_out_that_leaves_the_task_alone() -> None:
    server = Server()
    server.depend(a="in_progress")
    with pytest.raises(RunTimeoutError):
        Worker(server, deadline=5.0).run()
    assert server.writes == []


@pytest.mark.parametrize("status", ["failed", "cancelled", "gone"])
@pytest.mark.parametrize(
    ("policy", "becomes"), [("fail", "failed"), ("cancel", "cancelled"), ("block", "blocked")]
)
def test_what_depends_on_a_failure_is_disposed_of_by_policy(
    status: str, policy: Any, becomes: str
) -> None:
    server = Server()
    server.depend(a=status)
    if status == "gone":
        del server.tasks["a"]
    with pytest.raises(TaskDependencyError, match=f"a \\({status}\\)|{becomes}") as caught:
        Worker(server, TaskRules(policy)).run()
    assert caught.value.dependencies == {"a": status}
    assert server.task["status"] == becomes
    if policy == "block":
        assert server.task["blockedByTaskIds"] == ["a"]
        assert f"a ({status})" in server.task["blockedReason"]
    kept = Worker(server, TaskRules(policy, "keep"))
    kept.run()
    assert kept.result["status"] == becomes


def test_a_task_may_be_run_although_what_it_depends_on_failed() -> None:
    server = Server()
    server.depend(a="failed")
    worker = Worker(server, TaskRules("run"))
    worker.do(DONE)
    assert worker.result["status"] == "completed"


def test_a_blocked_task_is_unblocked_once_what_blocked_it_is_completed() -> None:
    server = Server(status="blocked", blockedByTaskIds=["a"], blockedReason="depends on a")
    server.depend(a="completed")
    worker = Worker(server)
    worker.do(DONE)
    assert server.writes[0] == {"status": "pending"}
    assert worker.result["status"] == "completed"


def test_a_task_that_somebody_blocked_is_waited_for() -> None:
    server = Server(status="blocked", blockedReason="waits for paint")
    worker = Worker(server)
    worker.run(lambda: server.now > NOW + 3)
    assert server.writes == []
    server.task["status"] = "pending"
    worker.do(DONE)
    assert worker.result["status"] == "completed"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_task_that_has_ended_is_not_worked_on(status: str) -> None:
    server = Server(status=status, result={"by": "them"}, error="e")
    worker = Worker(server, TaskRules(on_failure="keep"))
    worker.run()
    assert (worker.result["status"], worker.result["result"]) == (status, {"by": "them"})
    assert server.writes == []


# Who has it


def test_a_worker_that_comes_back_goes_on_with_its_own_task() -> None:
    server = Server(**claimed_by(ME, NOW - 50))
    worker = Worker(server)
    worker.do(DONE)
    assert worker.result["status"] == "completed"
    assert server.task.get("retryCount") is None


def test_a_task_of_a_living_worker_is_waited_for_and_its_result_taken() -> None:
    server = Server(**claimed_by(OTHER, NOW + 1000))
    worker = Worker(server)
    worker.run(lambda: server.now > NOW + 3)
    server.task.update(status="completed", result={"by": "other"})
    worker.run()
    assert worker.result["result"] == {"by": "other"}
    assert server.writes == []


def test_a_task_of_a_dead_worker_is_taken_over_and_that_counts_as_a_retry() -> None:
    server = Server(**claimed_by(OTHER, NOW + 5))
    worker = Worker(server)
    worker.do(DONE)
    assert server.now > NOW + 5
    assert worker.result["status"] == "completed"
    assert server.task["retryCount"] == 1


def test_a_task_whose_workers_keep_dying_fails() -> None:
    server = Server(**claimed_by(OTHER, NOW - 1), retryCount=1)
    with pytest.raises(TaskFailedError, match="workers died 2 times"):
        Worker(server).run()
    assert server.task["status"] == "failed"


def test_a_task_in_progress_without_a_lease_is_only_taken_over_if_that_was_said() -> None:
    server = Server(status="in_progress", updatedAt=(NOW - 100) * 1000)
    worker = Worker(server, on_taken="skip")
    worker.run()
    assert worker.result["status"] == "taken"
    bold = Worker(server, stale_after=60.0)
    bold.do(DONE)
    assert bold.result["status"] == "completed"


def test_a_taken_task_may_be_an_error_that_names_who_has_it() -> None:
    server = Server(**claimed_by(OTHER, NOW + 1000))
    with pytest.raises(TaskTakenError, match="other") as caught:
        Worker(server, on_taken="raise").run()
    assert (caught.value.worker, caught.value.run_id, caught.value.node) == (OTHER, "t", "n")


def test_of_two_who_claim_at_the_same_time_the_last_writer_has_the_task() -> None:
    server = Server()
    worker = Worker(server)
    worker.run(lambda: len(server.writes) == 1)
    server.task.update(claimed_by(OTHER, NOW + 1000))  # between the write and the second look
    worker.run(lambda: server.now > NOW + 5)
    assert not worker.done
    server.task.update(status="completed", result={"by": "other"})
    worker.run()
    assert worker.result["result"] == {"by": "other"}


def test_what_was_done_on_a_lost_task_is_not_recorded() -> None:
    server = Server()
    worker = Worker(server)
    worker.run()
    server.task.update(claimed_by(OTHER, NOW + 1000))
    with pytest.raises(TaskTakenError, match="not recorded"):
        worker.do(DONE)
    assert server.task["status"] == "in_progress"


def test_work_is_not_begun_on_a_task_that_was_lost_since_it_was_claimed() -> None:
    server = Server()
    worker = Worker(server)
    worker.run(lambda: worker.steps[-1] == "work_on_task")
    server.task.update(claimed_by(OTHER, NOW + 1000))
    with pytest.raises(TaskTakenError, match="not begun"):
        worker.run()


@pytest.mark.parametrize(("token", "ours"), [(ME, True), (OTHER, False)])
def test_a_lease_is_renewed_with_progress_unless_it_was_lost(token: str, ours: bool) -> None:
    server = Server(**claimed_by(token, NOW + 1))
    policy = QuantPolicy(Pace(1, 1, None), clock=lambda: NOW)
    hand = Hand(renew_claim(Claim("t", ME, ME), policy, {"progress": 0.5}))
    while not hand.done:
        hand.give(server.perform(hand.next))
    assert (hand.result is not None) is ours
    if ours:
        assert server.task["progress"] == 0.5
        assert server.task["metadata"][CLAIM]["until"] == (NOW + 60) * 1000
        assert server.task["metadata"]["mine"] == 1


# When the work fails


def test_work_that_fails_is_tried_again_as_often_as_the_task_says() -> None:
    server = Server(maxRetries=2)
    worker = Worker(server)
    worker.do(BROKEN)
    assert (server.task["retryCount"], server.task["error"]) == (1, "ValueError: no")
    assert server.task["status"] == "in_progress"
    worker.do(BROKEN)
    with pytest.raises(TaskFailedError, match="ValueError: no") as caught:
        worker.do(BROKEN)
    assert caught.value.run_id == "t"
    assert (server.task["status"], server.task["retryCount"]) == ("failed", 2)


def test_work_that_succeeds_in_the_end_leaves_no_error() -> None:
    server = Server()
    worker = Worker(server)
    worker.do(BROKEN)
    worker.do(DONE)
    assert (server.task["status"], server.task["error"]) == ("completed", None)


# Creating


def creating(**changes: Any) -> Hand:
    policy = replace(QuantPolicy(Pace(1, 1, None), clock=lambda: NOW, retries=1), **changes)
    return Hand(create_once({"title": "T", "taskListId": "l"}, "key-1", policy, Trace()))


def test_a_task_is_created_with_a_mark() -> None:
    hand = creating()
    call = hand.wants("create_task")
    assert call.body["metadata"] == {"acp_langgraph_key": "key-1"}
    hand.give(reply({"taskId": "t"}, 201))
    assert hand.result == "t"


@pytest.mark.parametrize("found", [True, False])
def test_a_task_whose_creation_got_no_answer_is_looked_for_by_its_mark(found: bool) -> None:
    hand = creating()
    hand.give(ApiConnectionError("the connection broke", sent=True))
    old = {"taskId": "old", "createdAt": (NOW - 1000) * 1000}
    page = reply({"tasks": [{"taskId": "t", "createdAt": NOW * 1000}, old]})
    for _ in range(1 if found else 2):
        hand.wants("list_tasks")
        hand.give(page)
        assert hand.wants("get_task").path == "/tasks/t"
        key = "key-1" if found else "another"
        hand.give(reply({"taskId": "t", "metadata": {"acp_langgraph_key": key}}))
    if found:
        assert hand.result == "t"
    else:
        hand.wants("create_task")


def test_a_creation_that_too_many_others_hide_is_unknown() -> None:
    hand = creating()
    hand.give(ApiConnectionError("the connection broke", sent=True))
    hand.give(reply({"tasks": [{"taskId": str(n), "createdAt": NOW} for n in range(100)]}))
    for _ in range(99):
        hand.give(reply({"taskId": "x"}))
    with pytest.raises(UnknownOutcomeError, match="more than 100"):
        hand.give(reply({"taskId": "x"}))


# Lists


@pytest.mark.parametrize("graph", [{"a": {}, "b": {}}, {}])
def test_all_tasks_of_a_list_are_read_whole(graph: Any) -> None:
    hand = Hand(load_tasks("l"))
    hand.wants("get_dependency_graph")
    hand.give(reply({"graph": graph}))
    if not graph:
        hand.wants("list_tasks")
        hand.give(reply({"tasks": [{"taskId": "a"}, {"taskId": "b"}]}))
    for task_id in ("a", "b"):
        assert hand.wants("get_task").path == f"/tasks/{task_id}"
        hand.give(reply({"taskId": task_id, "dependsOn": []}))
    assert [task.task_id for task in hand.result] == ["a", "b"]
