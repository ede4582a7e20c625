"""Keeps a conversation on a thread."""

import os
import uuid

from acp_langgraph.agntcy import ACPClient, ApiClientConfiguration, ConflictException
from acp_langgraph.agntcy.models import (
    RunCreateStateful,
    ThreadCreate,
    ThreadPatch,
    ThreadSearchRequest,
    ThreadStatus,
)

mark = str(uuid.uuid4())
agent_id = os.environ["ECHO_ID"]
client = ACPClient(configuration=ApiClientConfiguration(host=os.environ["ACP_URL"]))
thread = client.create_thread(thread_create=ThreadCreate(metadata={"mark": mark}))
print(thread.status, thread.metadata == {"mark": mark}, thread.values)
try:
    client.create_thread(ThreadCreate(thread_id=thread.thread_id))
except ConflictException as error:
    print("there is one", error.status, error.reason)
client.create_thread(ThreadCreate(thread_id=thread.thread_id, if_exists="do_nothing"))
for text in ("one", "two"):
    answer = client.create_and_wait_for_thread_run_output(
        thread.thread_id, RunCreateStateful(agent_id=agent_id, input={"text": text})
    )
    print(answer.output.to_dict() if answer.output else None)
run = client.create_thread_run(
    thread.thread_id, run_create_stateful=RunCreateStateful(agent_id=agent_id, input={"text": "3"})
)
print(client.wait_for_thread_run_output(thread.thread_id, run.run_id).output is not None)
print(client.get_thread_run(thread.thread_id, run.run_id).status, run.thread_id == thread.thread_id)
print(len(client.list_thread_runs(thread.thread_id, limit=2, offset=0)))
history = client.get_thread_history(thread.thread_id, limit=2)
print(len(history), all(each.checkpoint.checkpoint_id for each in history))
patched = client.patch_thread(thread.thread_id, ThreadPatch(metadata={"more": 1}))
print(sorted(patched.metadata))
copy = client.copy_thread(thread.thread_id)
print(copy.thread_id != thread.thread_id, copy.values)
found = client.search_threads(
    ThreadSearchRequest(metadata={"mark": mark}, status=ThreadStatus.IDLE, limit=10)
)
print(sorted(each.thread_id == thread.thread_id for each in found))
client.delete_thread_run(thread.thread_id, run.run_id)
client.delete_thread(copy.thread_id)
client.delete_thread(thread_id=thread.thread_id)
