"""Answers what an agent asks, of a run by itself and of one on a thread."""

import os

from acp_langgraph.agntcy import ACPClient, ApiClientConfiguration
from acp_langgraph.agntcy.models import (
    RunCreateStateful,
    RunCreateStateless,
    RunInterrupt,
    RunResult,
    ThreadCreate,
)

client = ACPClient(configuration=ApiClientConfiguration(host=os.environ["ACP_URL"]))
agent_id = os.environ["ASKING_ID"]
asked = client.create_and_wait_for_stateless_run_output(
    RunCreateStateless(agent_id=agent_id, input={"text": "x"})
)
assert asked.run
assert asked.output
question = asked.output.actual_instance
assert isinstance(question, RunInterrupt)
print(asked.run.status, question.interrupt)
run = client.resume_stateless_run(run_id=asked.run.run_id, body={"ok": True})
print(run.run_id == asked.run.run_id)
done = client.wait_for_stateless_run_output(run.run_id)
result = done.output.actual_instance if done.output else None
print(isinstance(result, RunResult) and result.values)

thread = client.create_thread(ThreadCreate())
on_thread = client.create_and_wait_for_thread_run_output(
    thread.thread_id, RunCreateStateful(agent_id=agent_id, input={"text": "y"})
)
assert on_thread.run
print(client.get_thread(thread.thread_id).status)
client.resume_thread_run(thread.thread_id, on_thread.run.run_id, {"ok": False})
last = client.wait_for_thread_run_output(thread.thread_id, on_thread.run.run_id)
print(last.output.to_json() if last.output else None)
