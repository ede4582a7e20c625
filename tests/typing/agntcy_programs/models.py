"""Makes models of dicts and JSON, and these of models."""

from pydantic import ValidationError

from acp_langgraph.agntcy.models import (
    Config,
    Content,
    Message,
    RunCreateStateful,
    RunCreateStateless,
    RunOutput,
    RunOutputStream,
    RunResult,
    RunStateless,
    RunStatus,
    StreamEventPayload,
    StreamingMode,
    StreamMode,
    Thread,
    ThreadCreate,
    ValueRunResultUpdate,
)

run = RunCreateStateless(agent_id="a", input={"x": None}, config=Config(tags=["t"]))
print(run.to_dict(), run.to_json())
run.metadata = {"later": True}
print(run.to_dict()["metadata"], RunCreateStateless.from_json(run.to_json()) is not None)
print(RunCreateStateful(stream_mode=None, stream_subgraphs=True).to_dict())
print(StreamMode(StreamingMode.VALUES).to_json(), StreamMode.from_dict(["custom"]) is not None)
output = RunOutput.from_dict({"type": "result", "values": {"a": [1]}, "unknown": 1})
assert output is not None
print(output.to_dict(), isinstance(output.actual_instance, RunResult))
print(RunOutput(RunResult(type="result")).to_json())
print(Message(role="user", content=Content("hi")).to_dict())
when = "2026-01-02T03:04:05Z"
stored = RunStateless.from_dict(
    {
        "run_id": "r",
        "agent_id": "a",
        "created_at": when,
        "updated_at": when,
        "status": "interrupted",
        "creation": {"agent_id": "a", "stream_mode": ["values"]},
    }
)
assert stored is not None
print(stored.status is RunStatus.INTERRUPTED, stored.to_json())
print(stored.created_at.isoformat(), stored.to_dict()["creation"])
print(ThreadCreate(metadata={"a": 1}).to_dict(), ThreadCreate.from_dict({"thread_id": "t"}))
print(Thread.from_dict(None), [each.value for each in RunStatus])
event = RunOutputStream(
    id="1",
    event="agent_event",
    data=StreamEventPayload(
        ValueRunResultUpdate(type="values", run_id="r", status=RunStatus.PENDING, values={})
    ),
)
print(event.to_dict(), event.data.actual_instance)
for wrong in ({"on_disconnect": "never"}, {"after_seconds": "soon"}):
    try:
        RunCreateStateless.from_dict(wrong)
    except ValidationError as error:
        print(type(error).__name__, error.error_count())
