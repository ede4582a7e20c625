"""What a node is made with if it is made from what its agent says of itself alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from langchain_core.runnables.config import ensure_config
from pydantic import AfterValidator
from typing_extensions import is_typeddict

from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.json_schema.reading import Document, Schema, printable, said
from acp_langgraph.json_schema.types import type_from_json_schema
from acp_langgraph.mapping.typeinfo import strip
from acp_langgraph.nodes.agent import PlacedOptions
from acp_langgraph.nodes.identity import Identity
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.transport.per_call import AsyncPerCallTransport, PerCallTransport

Mode: TypeAlias = Literal["values", "custom"]

_LONGEST_NAME: Final = 100


class NodeOptions(PlacedOptions, total=False):
    """What `ACPNode` takes beside its name, its agent and where that is; see there."""

    config_path: str | None
    config_type: Any
    multitask_strategy: Literal["reject", "rollback", "interrupt", "enqueue"]
    stream_mode: Literal["auto"] | Mode | Sequence[Mode] | None


Finding: TypeAlias = Callable[[str, int], Flow[FoundAgent]]
"""Finds an agent by its name or id, with so many retries."""


def look_up(
    finding: Finding,
    client_config: ApiClientConfiguration | str | None,
    agent: str,
    options: NodeOptions,
) -> FoundAgent:
    """Ask the server for the agent, as the node will ask it."""
    identity = _identity(options)
    with Transport(
        client_config,
        client=options.get("client"),
        auth=identity.httpx_auth,
        headers=identity.headers,
    ) as transport:
        asking = PerCallTransport(transport, lambda: identity.credentials(ensure_config()))
        return asking.run(finding(str(agent), transport.retries))


async def alook_up(
    finding: Finding,
    client_config: ApiClientConfiguration | str | None,
    agent: str,
    options: NodeOptions,
) -> FoundAgent:
    """`look_up`, awaiting."""
    identity = _identity(options)
    async with AsyncTransport(
        client_config,
        client=options.get("async_client"),
        auth=identity.httpx_auth,
        headers=identity.headers,
    ) as transport:
        asking = AsyncPerCallTransport(transport, lambda: identity.credentials(ensure_config()))
        return await asking.run(finding(str(agent), transport.retries))


def _identity(options: NodeOptions) -> Identity:
    headers = options.get("headers")
    return Identity(
        "", options.get("auth_header") if headers is None else headers, options.get("auth")
    )


def node_name(agent: FoundAgent) -> str:
    """The agent's name, as far as it can be a node's."""
    name = re.sub(r"[\s:|]+", "_", printable(agent.name)[:_LONGEST_NAME]).strip("_")
    return name or "agent"


def options_for(agent: FoundAgent, name: str, given: NodeOptions) -> NodeOptions:
    """The options that were given, and what the agent's descriptor says where they say nothing.

    Raises:
        NodeConfigurationError: If the agent does not offer, take or give what that would need.
    """
    specs = agent.descriptor.specs
    options = NodeOptions(**given)
    _refuse_what_is_not_offered(agent, name, given)
    by_path = given.get("input") is None
    if by_path and given.get("input_path") is None and "input_type" not in given:
        _demand_fields("takes", specs.input, name, "input_path='...', where in the state it is")
    if given.get("output") is None and given.get("output_path") is None:
        _refuse_no_object(specs.output, name)
    options.setdefault("input_type", _type(specs.input, f"{name} input", given.get("input_path")))
    output = _type(specs.output, f"{name} output", None)
    if given.get("output") is None and given.get("output_path") is None:
        # Nobody named what is written, so it must not do more than to be read.
        output = Annotated[output, AfterValidator(_without_orders)]
    options.setdefault("output_type", output)
    if given.get("config_path") is not None:
        options.setdefault(
            "config_type", _type(specs.config, f"{name} config", given["config_path"])
        )
    return options


def _refuse_what_is_not_offered(agent: FoundAgent, name: str, given: NodeOptions) -> None:
    specs = agent.descriptor.specs
    if given.get("use_threads") and not specs.capabilities.threads:
        raise NodeConfigurationError(
            f"agent {agent.name!r} offers no threads; leave use_threads out", node=name
        )
    wanted = given.get("stream_mode") or ()
    modes = [wanted] if isinstance(wanted, str) else wanted
    for mode in modes:
        if mode != "auto" and not getattr(specs.capabilities.streaming, str(mode), None):
            raise NodeConfigurationError(
                f"agent {agent.name!r} does not stream {mode!r}; leave stream_mode out to be passed "
                "what it does",
                node=name,
            )
    needed = _needed(specs.config)
    if needed and given.get("config_path") is None:
        raise NodeConfigurationError(
            f"agent {agent.name!r} demands a config with {', '.join(needed)}; give "
            "config_path='...', where in the state it is",
            node=name,
        )


def _needed(schema: Schema) -> list[str]:
    """The fields without which nothing fits."""
    forms = Document(schema).forms(schema)
    if not all(form.get("type") == "object" for form in forms):
        return []
    names = [form.get("required") or [] for form in forms]
    return (
        [printable(str(each)) for each in names[0] if all(each in one for one in names)]
        if names
        else []
    )


def _without_orders(answer: Any) -> Any:
    """An answer whose messages only say something.

    Raises:
        ValueError: If one would remove others, speak for the graph's author, or have a tool called.
    """
    for name, value in answer.items() if isinstance(answer, Mapping) else ():
        messages = [each for each in _listed(value) if isinstance(each, Mapping)]
        done = {each.get("tool_call_id") for each in messages}
        for each in messages:
            kinds = {each.get("type"), each.get("role")}
            calls = [call for call in _listed(each.get("tool_calls")) if isinstance(call, Mapping)]
            if "remove" in kinds:
                what = "would remove messages"
            elif kinds & {"system", "developer"}:
                what = "is a system message"
            elif "content" in each and any(call.get("id") not in done for call in calls):
                what = "has a tool called here"
            else:
                continue
            raise ValueError(
                f"a message in {printable(str(name))!r} {what}; whoever wants that of this agent "
                "names where it goes: output_path='...' or output={...}"
            )
    return answer


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _demand_fields(does: str, schema: Schema, name: str, advice: str) -> None:
    if not is_typeddict(strip(type_from_json_schema(schema))):
        words = said(schema, Document(schema))
        raise NodeConfigurationError(
            f"the agent {does} {words}, whose fields cannot be told from the channels of the state; "
            f"give {advice}",
            node=name,
        )


def _refuse_no_object(schema: Schema, name: str) -> None:
    document = Document(schema)
    if not any(form.get("type") in {"object", None} for form in document.forms(schema)):
        raise NodeConfigurationError(
            f"the agent gives {said(schema, document)}, which has no fields that could be channels; "
            "give output_path='...', where in the state it goes",
            node=name,
        )


def _type(schema: Schema, name: str, path: str | None) -> Any:
    declared = type_from_json_schema(schema, name)
    bare = strip(declared)
    if not is_typeddict(bare):
        return declared
    further = schema.get("additionalProperties") if isinstance(schema, Mapping) else None
    # A bare TypedDict says what is sent of whatever is there; of an object of the agent's own, what
    # the agent declares to be further fields is sent as well.
    return Annotated[bare, "with further fields"] if further and path else bare
