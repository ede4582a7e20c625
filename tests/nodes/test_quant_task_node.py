"""`QuantTaskNode` and graphs of tasks, over real HTTP to the fake service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from support.colors import Color

from acp_langgraph.errors import (
    NodeConfigurationError,
    NodeInputError,
    RunExpiredError,
    TaskFailedError,
    TaskTakenError,
)
from acp_langgraph.nodes.quant import QuantTaskNode, report_progress, task_graph
from acp_langgraph.quant.claims import CLAIM
from acp_langgraph.quant.client import QuantClient
from acp_langgraph.quant.polling import Pace
from acp_langgraph.quant.task_models import Task
from acp_langgraph.quant.tasks import load_tasks
from acp_langgraph.testing import Fault, Gate
from acp_langgraph.testing.quant import FakeQuant

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
QUICK: dict[str, Any] = {"organisation": "acme", "pace": Pace(0.01, 0.03, 20.0), "settle": 0.01}


class State(TypedDict, total=False):
    task: Any
    text: str
    answer: Any


@pytest.fixture
def server() -> Iterator[FakeQuant]:
    with FakeQuant() as running:
        yield running


def do(told: dict[str, Any]) -> dict[str, Any]:
    return {"did": told["task"]["title"], "input": told["input"]}


def node(server: FakeQuant, runnable: Any = do, **changes: Any) -> QuantTaskNode:
    settings = {**QUICK, "task_path": "task", "output_path": "answer"}
    return QuantTaskNode("worker", runnable, server.url, **{**settings, **changes})


def remembered(made: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node(made)
    builder.add_edge(START, made.name)
    builder.add_edge(made.name, END)
    return builder.compile(checkpointer=InMemorySaver())


def test_a_task_is_claimed_done_and_recorded(server: FakeQuant, color: Color) -> None:
    task = server.add_task("Review")
    state = {"task": task.task_id, "text": "hi"}
    graph = remembered(node(server, input_path="text"))
    answer = color.invoke(graph, state, ON_A_THREAD)["answer"]
    result = {"did": "Review", "input": "hi"}
    assert answer == {
        "taskId": task.task_id,
        "status": "completed",
        "result": result,
        "error": None,
    }
    assert task.history == ["pending", "in_progress", "completed"]
    assert (task.fields["result"], task.fields["assignedAgentId"]) == (result, "worker")


def test_a_task_may_be_brought_along_and_is_created_once(server: FakeQuant, color: Color) -> None:
    server.faults.add(Fault.lose_answer(), on="create_task")
    graph = remembered(node(server))
    color.invoke(graph, {"task": {"title": "New", "taskListId": "l"}}, ON_A_THREAD)
    (task,) = server.tasks.values()
    assert (task.status, task.fields["title"]) == ("completed", "New")


def test_work_that_fails_is_tried_again_and_counted(server: FakeQuant, color: Color) -> None:
    tries: list[int] = []

    def fail_once(told: Any) -> str:
        tries.append(told["task"]["retryCount"])
        if len(tries) == 1:
            raise ValueError("no ink")
        return "ok"

    task = server.add_task("Review")
    answer = color.invoke(node(server, fail_once), {"task": task.task_id})["answer"]
    assert (answer["result"], tries) == ("ok", [0, 1])
    assert (task.fields["result"], task.fields["error"]) == ({"result": "ok"}, None)


def test_work_that_always_fails_fails_the_task(server: FakeQuant, color: Color) -> None:
    def fail(told: Any) -> None:
        raise ValueError("no ink")

    task = server.add_task("Review", maxRetries=1)
    with pytest.raises(TaskFailedError, match="ValueError: no ink"):
        color.invoke(node(server, fail), {"task": task.task_id})
    assert (task.status, task.fields["error"]) == ("failed", "ValueError: no ink")
    kept = node(server, fail, on_failure="keep")
    assert color.invoke(kept, {"task": task.task_id})["answer"]["status"] == "failed"


def test_the_lease_is_renewed_and_progress_told_while_the_work_goes_on(
    server: FakeQuant, color: Color
) -> None:
    task = server.add_task("Review")
    done = threading.Event()

    def work(told: Any) -> None:
        report_progress(0.5, "half")
        before = len(task.writes)
        server.wait_until(lambda: len(task.writes) >= before + 2)
        done.set()

    runnable = work if color.name == "sync" else RunnableLambda(work)
    color.invoke(node(server, runnable, lease=0.1), {"task": task.task_id})
    assert done.is_set()
    told = [write for write in task.writes if write.get("progress") == 0.5]
    assert [write["progressMessage"] for write in told] == ["half"]
    leases = [write["metadata"][CLAIM]["until"] for write in task.writes if "metadata" in write]
    assert leases[:-1] == sorted(leases[:-1])
    assert leases[-1] == 0
    report_progress(0.9)  # nobody listens, and nobody minds


def test_progress_is_nobodys_business_outside_of_a_task() -> None:
    report_progress(0.5)


def test_a_task_that_was_taken_over_is_not_recorded_twice(server: FakeQuant, color: Color) -> None:
    task = server.add_task("Review")
    theirs = {CLAIM: {"token": "theirs", "by": "them", "until": 9e15}}

    def lose(told: Any) -> None:
        task.fields["metadata"] = theirs

    with pytest.raises(TaskTakenError, match="not recorded"):
        color.invoke(node(server, lose), {"task": task.task_id})
    assert task.status == "in_progress"


def test_a_task_that_the_service_does_not_know_has_expired_and_that_names_task_and_node(
    server: FakeQuant, color: Color
) -> None:
    made = node(server, pace=Pace(0.01, 0.03, 0.2))
    with pytest.raises(RunExpiredError, match=r"'worker'.*task-unknown") as caught:
        color.invoke(made, {"task": "task-unknown"})
    assert caught.value.run_id == "task-unknown"


def test_work_may_ask_and_goes_on_with_the_answer(server: FakeQuant, color: Color) -> None:
    task = server.add_task("Review")
    asked = RunnableLambda(lambda told: {"color": interrupt("color?")})
    graph = remembered(node(server, asked))
    paused = color.invoke(graph, {"task": task.task_id}, ON_A_THREAD)
    assert paused["__interrupt__"][0].value == "color?"
    assert task.status == "in_progress"
    answer = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)["answer"]
    assert answer["result"] == {"color": "blue"}
    assert task.fields["result"] == {"color": "blue"}


def test_a_graph_may_do_the_work(server: FakeQuant, color: Color) -> None:
    class Told(TypedDict, total=False):
        task: dict[str, Any]
        input: Any
        did: str

    builder = StateGraph(Told)
    builder.add_node("do", lambda state: {"did": state["task"]["title"]})
    builder.add_edge(START, "do")
    task = server.add_task("Review")
    worker = builder.compile() | RunnableLambda(lambda state: {"did": state["did"]})
    graph = remembered(node(server, worker))
    answer = color.invoke(graph, {"task": task.task_id}, ON_A_THREAD)["answer"]
    assert answer["result"] == {"did": "Review"}


@pytest.mark.parametrize("said", [7, None, []])
def test_a_task_that_is_none_is_refused(server: FakeQuant, color: Color, said: Any) -> None:
    with pytest.raises(NodeInputError, match="an id or what to create"):
        color.invoke(node(server), {"task": said})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task_path": None}, "either task_id or task_path"),
        ({"task_id": "t"}, "either task_id or task_path"),
        ({"lease": 0.005}, "lease"),
    ],
)
def test_a_node_that_can_never_work_is_refused_when_it_is_made(
    server: FakeQuant, changes: Any, says: str
) -> None:
    with pytest.raises(NodeConfigurationError, match=says):
        node(server, **changes)


# Lists


def diamond(server: FakeQuant) -> dict[str, Any]:
    """a, then b and c, then d and e, then f; c fails."""
    a = server.add_task("a", taskListId="l")
    b = server.add_task("b", a, taskListId="l")
    c = server.add_task("c", a, taskListId="l", maxRetries=0)
    d = server.add_task("d", b, taskListId="l")
    e = server.add_task("e", c, taskListId="l")
    server.add_task("f", d, e, taskListId="l")
    return {task.fields["title"]: task for task in server.tasks.values()}


def tasks_of(server: FakeQuant) -> list[Task]:
    with QuantClient(server.url, "acme") as client:
        return client.run(load_tasks("l"))


def work(told: dict[str, Any]) -> dict[str, Any]:
    if told["task"]["title"] == "c":
        raise ValueError("no ink")
    return {"did": told["task"]["title"], "after": len(told["dependencies"])}


DONE = {"a": "completed", "b": "completed", "c": "failed", "d": "completed"}


@pytest.mark.parametrize(
    ("policy", "e", "f"),
    [
        ("fail", "failed", "failed"),
        ("cancel", "cancelled", "cancelled"),
        ("block", "blocked", "blocked"),
        ("run", "completed", "completed"),
    ],
)
def test_a_diamond_of_six_tasks_with_one_that_fails(
    server: FakeQuant, color: Color, policy: Any, e: str, f: str
) -> None:
    made = diamond(server)
    builder = task_graph(tasks_of(server), work, server.url, on_dependency_failure=policy, **QUICK)
    graph = builder.compile(checkpointer=InMemorySaver())
    outcomes = color.invoke(graph, {}, ON_A_THREAD)["tasks"]
    expected = {**DONE, "e": e, "f": f}
    assert {name: task.status for name, task in made.items()} == expected
    told = {made[name].task_id: status for name, status in expected.items()}
    assert {task_id: outcome["status"] for task_id, outcome in outcomes.items()} == told
    assert made["c"].fields["error"] == "ValueError: no ink"
    if policy == "block":
        assert made["e"].fields["blockedByTaskIds"] == [made["c"].task_id]


def test_what_was_blocked_is_done_by_a_later_run_once_the_failed_task_is_done(
    server: FakeQuant, color: Color
) -> None:
    made = diamond(server)
    first = task_graph(tasks_of(server), work, server.url, on_dependency_failure="block", **QUICK)
    color.invoke(first.compile(), {})
    made["c"].write({"status": "completed", "result": {"by": "hand"}}, server.clock.now())
    again = task_graph(tasks_of(server), work, server.url, on_dependency_failure="block", **QUICK)
    color.invoke(again.compile(), {})
    assert {task.status for task in made.values()} == {"completed"}
    assert made["e"].fields["blockedReason"] is None


def test_independent_tasks_run_in_parallel(server: FakeQuant, color: Color) -> None:
    for name in ("one", "two", "three"):
        server.add_task(name, taskListId="l")
    together = threading.Barrier(3, timeout=10)
    builder = task_graph(tasks_of(server), lambda told: together.wait() >= 0, server.url, **QUICK)
    color.invoke(builder.compile(), {})
    assert {task.status for task in server.tasks.values()} == {"completed"}


def test_two_agents_work_off_a_list_together(server: FakeQuant, color: Color) -> None:
    made = diamond(server)
    done: list[str] = []

    def note(told: dict[str, Any]) -> None:
        done.append(told["task"]["title"])

    def agent(name: str) -> dict[str, Any]:
        builder = task_graph(
            tasks_of(server), note, server.url, **{**QUICK, "settle": 0.1, "worker": name}
        )
        return color.invoke(builder.compile(), {})["tasks"]  # type: ignore[no-any-return]

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(agent, ["ada", "bob"]))
    assert {task.status for task in made.values()} == {"completed"}
    assert sorted(done) == ["a", "b", "c", "d", "e", "f"]
    assert outcomes[0].keys() == outcomes[1].keys()


def test_workers_are_chosen_by_the_agent_that_a_task_is_assigned_to(
    server: FakeQuant, color: Color
) -> None:
    server.add_task("one", taskListId="l", assignedAgentId="ada")
    server.add_task("two", taskListId="l")
    workers = {"ada": lambda told: {"by": "ada"}, "": lambda told: {"by": "anyone"}}
    builder = task_graph(tasks_of(server), workers, server.url, **QUICK)
    outcomes = color.invoke(builder.compile(), {})["tasks"].values()
    assert sorted(outcome["result"]["by"] for outcome in outcomes) == ["ada", "anyone"]
    with pytest.raises(NodeConfigurationError, match="no worker for the task 'two'"):
        task_graph(tasks_of(server), {"ada": work}, server.url, **QUICK)


def test_tasks_that_depend_on_each_other_in_a_circle_are_refused() -> None:
    tasks = [
        Task.model_validate({"taskId": "1", "title": "one", "dependsOn": ["2"]}),
        Task.model_validate({"taskId": "2", "title": "two", "dependsOn": ["1"]}),
    ]
    with pytest.raises(NodeConfigurationError, match=r"circle: (one -> two|two -> one)"):
        task_graph(tasks, work, "http://127.0.0.1:1", **QUICK)


def test_nodes_are_named_by_titles_as_far_as_those_can_be_names() -> None:
    titles = ["Same", "Same", "a:b|c", ""]
    tasks = [
        Task.model_validate({"taskId": str(n), "title": title}) for n, title in enumerate(titles)
    ]
    builder = task_graph(tasks, work, "http://127.0.0.1:1", **QUICK)
    assert sorted(builder.nodes) == ["Same 0", "Same 1", "a b c", "task"]


def test_a_task_that_waits_for_another_list_waits_on_the_server(
    server: FakeQuant, color: Color
) -> None:
    gate = Gate()
    elsewhere = server.add_task("elsewhere")
    server.add_task("here", elsewhere, taskListId="l")
    server.faults.add(
        Fault.hold(gate), on=lambda request: request.path.endswith(elsewhere.task_id), nth=2
    )
    builder = task_graph(tasks_of(server), work, server.url, **QUICK)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(color.invoke, builder.compile(), {})
        gate.wait_arrival()
        elsewhere.write({"status": "completed"}, server.clock.now())
        gate.open()
        (outcome,) = job.result()["tasks"].values()
    assert outcome["status"] == "completed"
