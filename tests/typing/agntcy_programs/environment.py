"""Is told by its environment where to connect."""

import asyncio
import os

from acp_langgraph.agntcy import ACPClient, ApiClientConfiguration, AsyncACPClient
from acp_langgraph.agntcy.models import AgentSearchRequest

os.environ |= {
    "MAIL_COMPOSER_V1_HOST": os.environ["ACP_URL"],
    "MAIL_COMPOSER_V1_API_KEY": '{"x-api-key": "key"}',
    "MAIL_COMPOSER_V1_RETRIES": "1",
    "MAIL_COMPOSER_V1_TIMEOUT": "[2, 30]",
    "MAIL_COMPOSER_V1_DEBUG": "False",
    "MAIL_COMPOSER_V1_USERNAME": "ada",
    "OTHER_ENDPOINT": os.environ["ACP_URL"],
}
config = ApiClientConfiguration.fromEnvPrefix(env_var_prefix="mail-composer.v1_")
print(config.host == os.environ["ACP_URL"], config.api_key, config.retries, config.timeout)
print(config.debug, config.username, config.password)
given = ApiClientConfiguration.fromEnvPrefix("MAIL_COMPOSER_V1_", "http://other", retries=7)
print(given.host, given.retries, given.api_key)

with ACPClient.fromEnvPrefix("OTHER_") as client:
    print(len(client.search_agents(AgentSearchRequest(name="echo"))))
with ACPClient.fromConfiguration(host=os.environ["ACP_URL"], retries=1) as client:
    print(len(client.search_agents(AgentSearchRequest(name="echo"))))


async def main() -> None:
    async with AsyncACPClient.fromEnvPrefix("other_") as client:
        print(len(await client.search_agents(AgentSearchRequest(name="echo"))))
    async with AsyncACPClient.fromConfiguration(os.environ["ACP_URL"]) as client:
        print(len(await client.search_agents(AgentSearchRequest(name="echo"))))


asyncio.run(main())
