"""Finding a server's assistants, and what one's graph takes and gives.

What is found is told as an ACP descriptor, as every agent's is here: its schemas are the graph's, and what
the protocol itself says of every assistant stands under its capabilities.
"""

from __future__ import annotations

import difflib
from typing import Any, Final

from acp_langgraph.acp.agents import FoundAgent, descriptor_of
from acp_langgraph.agent_protocol import calls
from acp_langgraph.agent_protocol.calls import Assistant, Schemas
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.retry import with_retries
from acp_langgraph.core.wire import came
from acp_langgraph.errors import (
    ApiConnectionError,
    ApiException,
    ForbiddenException,
    NotFoundException,
    OpenApiException,
    UnauthorizedException,
    UnexpectedStatusException,
    UnknownAgentError,
    UnreadableAnswerException,
)

_PAGE: Final = 100
_MOST: Final = 1000
_NAMED: Final = 10


def find_assistant(assistant: str, retries: int) -> Flow[FoundAgent]:
    """An assistant by its id, its graph's name, or its own.

    Of a graph's assistants the one that the server itself has made is meant.

    Raises:
        UnknownAgentError: If there is none; names what the server has.
        OpenApiException: If the server cannot be asked.
    """
    offered = yield from list_assistants(retries)
    named = [each for each in offered if each.assistant_id == assistant]
    of_graph = [each for each in offered if each.graph_id == assistant]
    named += sorted(of_graph, key=lambda each: not each.is_the_servers)
    named += [each for each in offered if each.name == assistant]
    if not named:
        names = sorted({each.graph_id for each in offered} | {each.name for each in offered})
        near = difflib.get_close_matches(assistant, names, n=3) or names[:_NAMED]
        hint = f"; it has {', '.join(map(repr, near))}" if near else ""
        raise UnknownAgentError(f"the server has no assistant {assistant!r}{hint}")
    return (yield from describe_assistant(named[0]))


def list_assistants(retries: int) -> Flow[list[Assistant]]:
    """All assistants that a server lists; at most 1000."""
    found: dict[str, Assistant] = {}
    for offset in range(0, _MOST, _PAGE):
        try:
            page = yield from with_retries(calls.search_assistants(_PAGE, offset), retries)
        except (NotFoundException, UnexpectedStatusException, UnreadableAnswerException) as error:
            raise _no_server(error) from None
        found |= {each.assistant_id: each for each in page}
        if came(page) < _PAGE:
            break
    return list(found.values())


def describe_assistant(assistant: Assistant) -> Flow[FoundAgent]:
    """An assistant with what its graph takes and gives, as far as the server can tell.

    Not all can: LangGraph's own fails on some schemas, and knows none of a `typing.TypedDict` before Python
    3.12. The state's schema then stands for those of input and output.
    """
    try:
        schemas = yield from calls.get_schemas(assistant.assistant_id)  # a failure of it lasts
    except (UnauthorizedException, ForbiddenException, ApiConnectionError):
        raise
    except OpenApiException:
        schemas = Schemas()
    state = schemas.state_schema or {}
    descriptor = descriptor_of(
        _name(assistant),
        str(assistant.version or ""),
        assistant.description,
        ("values", "custom", "messages"),
        input=schemas.input_schema or state,
        output=schemas.output_schema or _without_defaults(state),
        config=schemas.config_schema or {},
        thread_state=state,
    )
    return FoundAgent(assistant.assistant_id, descriptor)


def _name(assistant: Assistant) -> str:
    own = assistant.is_the_servers or not assistant.name
    return assistant.graph_id if own else assistant.name


def _without_defaults(state: dict[str, Any]) -> dict[str, Any]:
    """A state's schema without the nulls that its channels are said to begin with, and do not hold."""
    properties = state.get("properties")
    if not isinstance(properties, dict):
        return state
    bare = {
        name: {key: rule[key] for key in rule if key != "default"}
        if isinstance(rule, dict)
        else rule
        for name, rule in properties.items()
    }
    return {**state, "properties": bare}


def _no_server(error: ApiException) -> ApiException:
    """The same error, telling that the server seems to be another one than was meant."""
    return error.retold(
        f"{error.reason or 'nothing more'}. A server of LangGraph's Agent Protocol (LangGraph Server, "
        "langgraph dev) lists its assistants there; is the host one, without a path that is not its own?"
    )
