"""The places that names of `agntcy_acp` have below it, and that programs import them from."""

from acp_langgraph.agntcy.api_client import ApiClient as ApiClient
from acp_langgraph.agntcy.configuration import ApiClientConfiguration
from acp_langgraph.agntcy.exceptions import ApiAttributeError as ApiAttributeError
from acp_langgraph.agntcy.exceptions import ApiException as ApiException
from acp_langgraph.agntcy.exceptions import ApiKeyError as ApiKeyError
from acp_langgraph.agntcy.exceptions import ApiTypeError as ApiTypeError
from acp_langgraph.agntcy.exceptions import ApiValueError as ApiValueError
from acp_langgraph.agntcy.exceptions import OpenApiException as OpenApiException
from acp_langgraph.agntcy.models import *  # noqa: F403 - all of them
from acp_langgraph.core.operations import ApiResponse as ApiResponse

Configuration = ApiClientConfiguration
