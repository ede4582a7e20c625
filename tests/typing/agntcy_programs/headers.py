"""Shows who it is, for all requests and for single ones. What the server got is for it to tell."""

import os

from acp_langgraph.agntcy import ACPClient, ApiClient, ApiClientConfiguration
from acp_langgraph.agntcy.models import AgentSearchRequest

config = ApiClientConfiguration(os.environ["ACP_URL"], {"x-api-key": "the-key-of-all"})
config.api_key_prefix = {"x-api-key": "Token"}
print(config.get_api_key_with_prefix("x-api-key"), config.get_api_key_with_prefix("other"))
with ApiClient(config, header_name="x-team", header_value="mail", cookie="crumb=1") as api:
    api.user_agent = "a-program/1"
    api.set_default_header("x-more", "yes")
    client = ACPClient(api)
    request = AgentSearchRequest(name="x")
    print(len(client.search_agents(request)))
    print(len(client.search_agents(request, _headers={"authorization": "Bearer of-one-request"})))
    print(len(client.search_agents(request, _request_timeout=5.0)))
    print(len(client.search_agents(request, _request_timeout=(2.0, 5.0), _host_index=0)))
    print(len(client.search_agents(request, _content_type="application/json")))
    config.api_key["x-api-key"] = "not-this-one"
