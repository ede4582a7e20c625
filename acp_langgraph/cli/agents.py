"""`acp-langgraph agents`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from acp_langgraph.cli.connecting import ApiKey, Header, Host, Server, Token


def agents(
    host: Host,
    agent: Annotated[
        str | None,
        typer.Argument(metavar="AGENT", help="Show this one: its name, or its id."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    api_key: ApiKey = None,
    token: Token = None,
    header: Header = None,
) -> None:
    """List a server's agents, or show what one takes, gives and asks.

    ```
    acp-langgraph agents http://127.0.0.1:8000
    acp-langgraph agents http://127.0.0.1:8000 mailcomposer
    acp-langgraph agents http://127.0.0.1:8000 --json | jq -r '.[].name'
    ```
    """
    from acp_langgraph.acp.agents import find_agent  # noqa: PLC0415 - not for --help
    from acp_langgraph.cli.agent_view import show_agent, show_agents  # noqa: PLC0415 - as above
    from acp_langgraph.core.wire import dump  # noqa: PLC0415 - not for --help

    server = Server(host, api_key, token, header)
    url = server.configuration.base_url
    if agent is not None:
        found = server.run(find_agent(agent, server.configuration.retries))
        if as_json:
            _print_json({"agent_id": found.agent_id, **dump(found.descriptor)})
        else:
            show_agent(found, url)
        return
    listed = server.run(_described(server.configuration.retries))
    if as_json:
        _print_json([_as_json(*each) for each in listed])
    else:
        show_agents(listed, url)


def _described(retries: int) -> Any:
    """All agents, with their descriptors where they give one."""
    from acp_langgraph.acp.agents import describe_agent, list_agents  # noqa: PLC0415 - as above

    found = []
    for each in (yield from list_agents(retries)):
        descriptor = yield from describe_agent(each.agent_id, retries)
        found.append((each, descriptor))
    return found


def _as_json(agent: Any, descriptor: Any) -> dict[str, Any]:
    from acp_langgraph.core.wire import dump  # noqa: PLC0415 - not for --help

    metadata = agent.metadata
    return {
        "agent_id": agent.agent_id,
        "name": metadata.ref.name,
        "version": metadata.ref.version,
        "description": metadata.description,
        "capabilities": None if descriptor is None else dump(descriptor.specs.capabilities),
    }


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))  # in ASCII: nothing in it can move the cursor
