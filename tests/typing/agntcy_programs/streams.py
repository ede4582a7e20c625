"""Follows what agents say while they work, blocking and awaiting."""

import asyncio
import os

from acp_langgraph.agntcy import ACPClient, ApiClientConfiguration, AsyncACPClient
from acp_langgraph.agntcy.models import (
    CustomRunResultUpdate,
    RunCreateStateless,
    RunOutputStream,
    StreamingMode,
    StreamMode,
    ValueRunInterruptUpdate,
    ValueRunResultUpdate,
)

configuration = ApiClientConfiguration(host=os.environ["ACP_URL"])


def shown(event: RunOutputStream) -> str:
    update = event.data.actual_instance
    if isinstance(update, ValueRunResultUpdate):
        return f"{event.event} values {update.status} {update.values}"
    if isinstance(update, CustomRunResultUpdate):
        return f"{event.event} custom {update.update}"
    if isinstance(update, ValueRunInterruptUpdate):
        return f"{event.event} asks {update.interrupt}"
    return f"{event.event} {update}"


def wanted(name: str, mode: StreamMode | None) -> RunCreateStateless:
    return RunCreateStateless(agent_id=os.environ[name], input={"text": "hi"}, stream_mode=mode)


MODES = (
    None,
    StreamMode(StreamingMode.VALUES),
    StreamMode([StreamingMode.VALUES, StreamingMode.CUSTOM]),
    StreamMode(actual_instance=StreamingMode.CUSTOM),
)

events: dict[str, str] = {}  # one that came twice is one
client = ACPClient(configuration=configuration)
for mode in MODES:
    events.clear()
    for event in client.create_and_stream_stateless_run_output(wanted("STREAMING_ID", mode)):
        events[event.id] = shown(event)
    print(list(events.values()))


async def main() -> None:
    async with AsyncACPClient(configuration=configuration) as client:
        events.clear()
        async for event in client.create_and_stream_stateless_run_output(wanted("ASKING_ID", None)):
            events[event.id] = shown(event)
        print(list(events.values()))


asyncio.run(main())
