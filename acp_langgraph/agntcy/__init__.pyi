from acp_langgraph.agntcy.api_client import ApiClient as ApiClient
from acp_langgraph.agntcy.api_client import AsyncApiClient as AsyncApiClient
from acp_langgraph.agntcy.client import ACPClient as ACPClient
from acp_langgraph.agntcy.client import ApiResponse as ApiResponse
from acp_langgraph.agntcy.client import AsyncACPClient as AsyncACPClient
from acp_langgraph.agntcy.configuration import ApiClientConfiguration as ApiClientConfiguration
from acp_langgraph.agntcy.exceptions import (
    ACPDescriptorValidationException as ACPDescriptorValidationException,
)
from acp_langgraph.agntcy.exceptions import ACPRunException as ACPRunException
from acp_langgraph.agntcy.exceptions import ApiAttributeError as ApiAttributeError
from acp_langgraph.agntcy.exceptions import ApiException as ApiException
from acp_langgraph.agntcy.exceptions import ApiKeyError as ApiKeyError
from acp_langgraph.agntcy.exceptions import ApiTypeError as ApiTypeError
from acp_langgraph.agntcy.exceptions import ApiValueError as ApiValueError
from acp_langgraph.agntcy.exceptions import BadRequestException as BadRequestException
from acp_langgraph.agntcy.exceptions import ConflictException as ConflictException
from acp_langgraph.agntcy.exceptions import ForbiddenException as ForbiddenException
from acp_langgraph.agntcy.exceptions import NotFoundException as NotFoundException
from acp_langgraph.agntcy.exceptions import OpenApiException as OpenApiException
from acp_langgraph.agntcy.exceptions import ServiceException as ServiceException
from acp_langgraph.agntcy.exceptions import UnauthorizedException as UnauthorizedException
from acp_langgraph.agntcy.exceptions import (
    UnprocessableEntityException as UnprocessableEntityException,
)

ACP_VERSION: str
ACP_MAJOR_VERSION: str
ACP_MINOR_VERSION: str
