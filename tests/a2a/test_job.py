"""A task as a job, by hand: what is remembered, and in which order things are done."""

from __future__ import annotations

from typing import Any

from support.byhand import Hand, reply

from acp_langgraph.a2a.calls import JsonRpc
from acp_langgraph.a2a.card import AgentCard
from acp_langgraph.a2a.job import A2AJob
from acp_langgraph.a2a.listening import TaskCursor
from acp_langgraph.a2a.peer import Peer
from acp_langgraph.jobs.job import Entry
from acp_langgraph.jobs.life import run_job
from acp_langgraph.jobs.listening import Listening


def job(**options: Any) -> A2AJob:
    listening = Listening("baker", (), 1000, cursor_type=TaskCursor)
    peer = Peer(AgentCard(), [JsonRpc("/rpc")])
    return A2AJob("key-1", peer, listening, parts=[{"text": "pie"}], **options)


def told(result: Any) -> Any:
    return reply({"jsonrpc": "2.0", "id": "1", "result": result})


def task(state: str, **more: Any) -> dict[str, Any]:
    return {"id": "7", "contextId": job().context_id, "status": {"state": state}, **more}


def test_a_message_without_a_task_is_remembered_with_the_step_that_sent_for_it() -> None:
    first = Hand(run_job(job(), can_ask=True))
    said = {"messageId": "m7", "role": "ROLE_AGENT", "parts": [{"text": "only a message"}]}
    first.wants("SendMessage")
    first.give(told({"message": said}))
    assert first.result["groups"] == [[{"text": "only a message"}]]

    created = first.returned["create_run"]
    again = Hand(run_job(job(), can_ask=True, entry=Entry(again=True)), remembered=[created])
    assert again.done  # nothing is asked of a server that has nothing
    assert again.result == first.result


def test_a_task_is_begun_in_a_context_and_by_a_message_that_are_made_of_the_key() -> None:
    hand = Hand(run_job(job(), can_ask=True))
    sent = hand.wants("SendMessage").body["params"]
    assert sent["message"]["contextId"] == job().context_id != job().with_(key="key-1/2").context_id
    assert sent["message"]["messageId"] == job().message_id
    assert sent["configuration"] == {"returnImmediately": True}


def test_on_reentry_the_task_is_looked_up_by_its_context_before_it_is_begun() -> None:
    hand = Hand(run_job(job(), can_ask=True, entry=Entry(again=True)))
    assert hand.wants("ListTasks").body["params"]["contextId"] == job().context_id
    hand.give(told({"tasks": [task("TASK_STATE_WORKING")]}))
    hand.wants("GetTask")
    parts = [{"artifactId": "a", "parts": [{"text": "One "}, {"text": "pie"}]}]
    hand.give(told(task("TASK_STATE_COMPLETED", artifacts=parts)))
    assert hand.result["groups"] == [[{"text": "One "}, {"text": "pie"}]]


def test_of_several_tasks_of_one_key_it_is_always_the_same() -> None:
    for order in (("8", "7"), ("7", "8")):
        hand = Hand(run_job(job(), can_ask=True, entry=Entry(again=True)))
        hand.wants("ListTasks")
        hand.give(told({"tasks": [{**task("TASK_STATE_WORKING"), "id": each} for each in order]}))
        assert hand.wants("GetTask").body["params"]["id"] == "7"


def test_on_a_context_that_remembers_it_is_the_message_that_tells_its_task() -> None:
    wanted = job(thread="ours")
    hand = Hand(run_job(wanted, can_ask=True, entry=Entry(again=True)))
    hand.wants("ListTasks")
    said = [{"messageId": wanted.message_id, "role": "ROLE_USER", "parts": []}]
    others = {**task("TASK_STATE_WORKING"), "id": "6", "contextId": "ours"}
    ours = {**task("TASK_STATE_WORKING"), "contextId": "ours", "history": said}
    hand.give(told({"tasks": [others, ours]}))
    assert hand.wants("GetTask").body["params"]["id"] == "7"
