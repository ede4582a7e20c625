"""Remote agents as LangGraph nodes: AGNTCY's Agent Connect Protocol 0.2.3.

    from acp_langgraph import ACPNode

Names are imported when they are first used, so that a client costs no graph and a graph no server. The
server and the fakes for tests have modules of their own: `acp_langgraph.server` (extra `server`) and
`acp_langgraph.testing`.

Nothing is printed unless the application configures logging. `acp_langgraph.runs` tells of the life of
remote runs, `acp_langgraph.nodes` of what deserves a warning, `acp_langgraph.http` of every exchange (with
`debug=True` in the configuration), `acp_langgraph.server` of the server.
"""

import logging
from typing import Any

from acp_langgraph.lazy import lazily

logging.getLogger(__name__).addHandler(logging.NullHandler())


_HOMES = {
    "a2a.parts": ("FilePart",),
    "acp.client": ("ACPClient", "AsyncACPClient"),
    "acp.agents": ("validate_descriptor",),
    "auth": ("HeaderAuth", "TokenAuth"),
    "bridge.client": ("AsyncBridgeClient", "BridgeClient"),
    "bridge.calls": ("APIBridgeInput", "APIBridgeOutput"),
    "checking.check": ("acheck_graph", "achecked", "check_graph", "checked"),
    "checking.findings": ("Finding", "GraphReport"),
    "config": ("ApiClientConfiguration",),
    "core.flow": ("RemoteEvent",),
    "core.operations": ("ApiResponse",),
    "core.wake_urls": ("WakeURL",),
    "errors": (
        "A2ATaskCanceledError",
        "A2ATaskError",
        "A2ATaskRejectedError",
        "ACPDescriptorValidationException",
        "ACPRunException",
        "AcpLangGraphError",
        "AnswerRejectedError",
        "AnswerTooLargeError",
        "ApiConnectionError",
        "ApiException",
        "ApiTimeoutError",
        "ApiTypeError",
        "ApiValueError",
        "BadRequestException",
        "BridgeError",
        "BridgeInternalError",
        "BridgeSetupError",
        "CheckpointerRequiredError",
        "ConflictException",
        "CredentialsUnavailableError",
        "EventStreamError",
        "ForbiddenException",
        "GatewayError",
        "GatewayTimeoutError",
        "GraphCheckError",
        "MappingError",
        "MissingCredentialsError",
        "ModelGenerationError",
        "NoMatchingOperationError",
        "NoServiceError",
        "NodeConfigurationError",
        "NodeError",
        "NodeInputError",
        "NodeOutputError",
        "NotFoundException",
        "OpenApiException",
        "RemoteGraphError",
        "QuantRunError",
        "QueryNotUnderstoodError",
        "QueryPassedThroughError",
        "QueryRefusedError",
        "QueryTooLargeError",
        "RequestTimeoutException",
        "RunError",
        "RunExpiredError",
        "RunLostError",
        "RunOutputError",
        "RunTimeoutError",
        "ServiceException",
        "TaskDependencyError",
        "TaskError",
        "TaskFailedError",
        "TaskTakenError",
        "TooManyRequestsException",
        "UnauthorizedException",
        "UnexpectedStatusException",
        "UnknownAgentError",
        "UnknownOutcomeError",
        "UnprocessableEntityException",
        "UnreadableAnswerException",
    ),
    "mapping.edges": ("add_io_mapped_conditional_edge", "add_io_mapped_edge"),
    "mapping.metadata": ("FieldMetadata", "IOMappingAgentMetadata"),
    "nodes.a2a": ("A2ANode",),
    "nodes.acp": ("ACPNode",),
    "nodes.bridge": ("APIBridgeAgentNode",),
    "nodes.drawing": ("describe_graph",),
    "nodes.remote_graph": ("RemoteGraphNode",),
    "nodes.suspending": ("is_suspended", "split_interrupts"),
    "nodes.quant": ("QuantChatNode", "QuantOrchestrationNode", "QuantTaskNode", "QuantToolNode"),
    "quant.client": ("AsyncQuantClient", "QuantClient"),
    "waking.app": ("WakeApp",),
    "waking.langgraph_server": ("LangGraphServer",),
    "waking.locks": ("thread_lock",),
    "waking.sweeping": ("Sweeper",),
}

__all__ = sorted(name for names in _HOMES.values() for name in names)  # noqa: PLE0605 - checkers read __init__.pyi

_find, __dir__ = lazily(__name__, _HOMES)

# What is looked for here and is elsewhere.
_ELSEWHERE = {
    **dict.fromkeys(("FakeACPServer", "FakeBridge", "FakeQuant"), "acp_langgraph.testing"),
    **dict.fromkeys(("create_app", "serve"), "acp_langgraph.server (extra server)"),
    **dict.fromkeys(("exceptions", "models"), "acp_langgraph.agntcy"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - rarely wanted

        return version("acp-langgraph")
    if name in _ELSEWHERE:
        raise _moved(name, _ELSEWHERE[name])
    if name not in __all__ and name[:1].isupper():
        from acp_langgraph import agntcy  # noqa: PLC0415 - only for a name that is not there
        from acp_langgraph.agntcy import models  # noqa: PLC0415 - as above

        if name in agntcy.__all__:
            raise _moved(name, "acp_langgraph.agntcy, which has all the names of agntcy_acp")
        if name in models.__all__:
            told = "acp_langgraph.agntcy.models, as in agntcy_acp; plain ones are in acp_langgraph.acp.models"
            raise _moved(name, told)
    return _find(name)


def _moved(name: str, where: str) -> ImportError:
    # An AttributeError's words are not shown by `from acp_langgraph import ...`.
    return ImportError(f"{name} is in {where}", name=__name__)
