"""Lists agents and reads what one says of itself."""

import os

from acp_langgraph.agntcy import ACPClient, ApiClient, ApiClientConfiguration
from acp_langgraph.agntcy.models import AgentSearchRequest

configuration = ApiClientConfiguration(host=os.environ["ACP_URL"], retries=2)
with ApiClient(configuration) as api_client:
    client = ACPClient(api_client)
    agents = client.search_agents(agent_search_request=AgentSearchRequest(name="echo"))
    for agent in agents:
        print(agent.metadata.ref.name, agent.metadata.ref.version, agent.to_dict())
    found = client.get_agent_by_id(agents[0].agent_id)
    print(found == agents[0], found.to_json())
    descriptor = client.get_acp_descriptor_by_id(found.agent_id)
    print(descriptor.specs.capabilities.threads, sorted(descriptor.specs.input["properties"]))
    print(descriptor.specs.interrupts, descriptor.metadata.description == "")
    every = client.search_agents(AgentSearchRequest(limit=50, offset=0))
    print(sorted(each.metadata.ref.name for each in every))
