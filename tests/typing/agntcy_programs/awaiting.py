"""The awaiting client, as AGNTCY's own examples make it."""

import asyncio
import os

from acp_langgraph.agntcy import ApiClientConfiguration, AsyncACPClient
from acp_langgraph.agntcy.acp_v0.async_client.api_client import ApiClient as AsyncApiClient
from acp_langgraph.agntcy.acp_v0.models import AgentSearchRequest, RunCreateStateless, RunResult


async def main() -> None:
    config = ApiClientConfiguration(host=os.environ["ACP_URL"], api_key={"x-api-key": "key"})
    async with AsyncApiClient(config) as api_client:
        client = AsyncACPClient(api_client)
        agents = await client.search_agents(AgentSearchRequest(name="echo"))
        print([each.metadata.ref.name for each in agents])
        runs = (
            client.create_and_wait_for_stateless_run_output(
                RunCreateStateless(agent_id=agents[0].agent_id, input={"text": f"number {n}"})
            )
            for n in range(5)
        )
        for answer in await asyncio.gather(*runs):
            output = answer.output.actual_instance if answer.output else None
            if isinstance(output, RunResult):
                print(output.values)
    async with AsyncACPClient(configuration=config) as client:
        run = await client.create_stateless_run(
            RunCreateStateless(agent_id=agents[0].agent_id, input={"text": "one more"})
        )
        waited = await client.wait_for_stateless_run_output(run.run_id)
        print(waited.output.to_dict() if waited.output else None)
        await client.delete_stateless_run(run.run_id)


asyncio.run(main())
