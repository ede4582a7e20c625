"""The reference of this protocol in Python, `agntcy-acp`, by its names: a face of this package.

    from acp_langgraph.agntcy import ACPClient, ApiClientConfiguration     # was: from agntcy_acp import ...

A program that was written for `agntcy_acp` runs when that is `acp_langgraph.agntcy` in its import lines. What
differs all the same is told in docs/migrate/agntcy-acp.md. Beneath are this package's own clients, nodes and edges, which new
programs use directly.
"""

from importlib import import_module
from typing import Any

from acp_langgraph.lazy import lazily

ACP_VERSION, ACP_MAJOR_VERSION, ACP_MINOR_VERSION = "0.2.3", "0", "2"

_HOMES = {
    "api_client": ("ApiClient", "AsyncApiClient"),
    "client": ("ACPClient", "ApiResponse", "AsyncACPClient"),
    "configuration": ("ApiClientConfiguration",),
    "exceptions": (
        "ACPDescriptorValidationException",
        "ACPRunException",
        "ApiAttributeError",
        "ApiException",
        "ApiKeyError",
        "ApiTypeError",
        "ApiValueError",
        "BadRequestException",
        "ConflictException",
        "ForbiddenException",
        "NotFoundException",
        "OpenApiException",
        "ServiceException",
        "UnauthorizedException",
        "UnprocessableEntityException",
    ),
}

_MODULES = ("acp_v0", "exceptions", "langgraph", "models")

_find, __dir__ = lazily(__name__, _HOMES)

__all__ = sorted(name for names in _HOMES.values() for name in names)  # noqa: PLE0605 - checkers read __init__.pyi


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name == "manifest" or name.startswith("AGWS_"):
        from acp_langgraph.agntcy.manifests import elsewhere  # noqa: PLC0415 - rarely wanted

        raise elsewhere(name)
    return _find(name)
