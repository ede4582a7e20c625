"""A configuration is an object with settings that are read and written."""

import copy
import logging
import os

from acp_langgraph.agntcy import ACPClient, ApiClient, ApiClientConfiguration
from acp_langgraph.agntcy.models import AgentSearchRequest

url = os.environ["ACP_URL"]
config = ApiClientConfiguration(
    url, {"a": "1"}, {"a": "Key"}, "ada", "pass", None, None, None, None, 2, 30.0, None, debug=False
)
print(config.host == url, config.api_key, config.api_key_prefix, config.username, config.retries)
print(config.timeout, config.debug, config.server_variables, config.access_token)
print(config.get_api_key_with_prefix("a"), config.get_basic_auth_token(), config.auth_settings())
print(config.get_host_settings(), config.get_host_from_settings(None) == url)
config.host = "http://127.0.0.1:1"
twin = copy.deepcopy(config)
config.host = url
print(config.host == url, twin.host, twin.api_key == config.api_key)
config.verify_ssl = False
config.timeout = 5
config.proxy = None
print(config.verify_ssl, config.timeout, config.logger_format)
print(len(ACPClient(configuration=config).search_agents(AgentSearchRequest(name="echo"))))

ApiClientConfiguration.set_default(config)
print(
    ApiClientConfiguration.get_default() is config,
    ApiClientConfiguration.get_default_copy().host == url,
)
ApiClient.set_default(ApiClient(config))
print(len(ACPClient().search_agents(AgentSearchRequest(name="echo"))))
ApiClient.set_default(None)
ApiClientConfiguration.set_default(None)
print([line.split(":")[0] for line in config.to_debug_report().splitlines()])
print([each.level for each in config.logger.values()][:1], logging.WARNING)
