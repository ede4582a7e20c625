"""Answers with what HTTP says of them, and answers whose body is read by hand."""

import asyncio
import json
import os

from acp_langgraph.agntcy import ACPClient, ApiClient, ApiClientConfiguration, AsyncACPClient
from acp_langgraph.agntcy.models import AgentSearchRequest, RunCreateStateless

configuration = ApiClientConfiguration(host=os.environ["ACP_URL"])
agent_id = os.environ["ECHO_ID"]
body = RunCreateStateless(agent_id=agent_id, input={"text": "raw"})
client = ACPClient(ApiClient(configuration))

whole = client.create_and_wait_for_stateless_run_output_with_http_info(body)
print(whole.status_code, (whole.headers or {})["content-type"], type(whole.raw_data).__name__)
print(whole.data.output.to_dict() if whole.data.output else None)
print(json.loads(whole.raw_data)["output"])

raw = client.get_agent_by_id_without_preload_content(agent_id)
print(raw.status, raw.reason, raw.headers["content-type"])
print(json.loads(raw.data) == json.loads(raw.data), json.loads(raw.data)["agent_id"] == agent_id)

missing = client.get_agent_by_id_without_preload_content("11111111-1111-1111-1111-111111111111")
print(missing.status, missing.reason, len(missing.read()) > 0)

stream = client.create_and_stream_stateless_run_output_without_preload_content(body)
print(stream.status, stream.headers["Content-Type"].partition(";")[0])
text = b"".join(stream.stream(1024)).decode()
print([line for line in text.splitlines() if line.startswith("event:")][:1])


async def main() -> None:
    async with AsyncACPClient(configuration=configuration) as client:
        agents = await client.search_agents_with_http_info(AgentSearchRequest(name="echo"))
        print(agents.status_code, [each.agent_id == agent_id for each in agents.data])
        raw = await client.get_agent_by_id_without_preload_content(agent_id)
        print(raw.status, raw.reason, (await raw.json())["agent_id"] == agent_id)
        async with await client.create_and_stream_stateless_run_output_without_preload_content(
            body
        ) as stream:
            lines = [line async for line in stream.content]
        print(stream.status, any(line.startswith(b"data:") for line in lines))


asyncio.run(main())
