"""`acp-langgraph agents`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from acp_langgraph.cli.connecting import (
    ApiKey,
    Header,
    Host,
    ProtocolOption,
    Server,
    Token,
    found,
    listed,
)
from acp_langgraph.cli.files import described, is_file


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
    protocol: ProtocolOption = None,
) -> None:
    """List a server's agents, or show what one takes, gives and asks; also one that a file describes.

    ```
    acp-langgraph agents http://127.0.0.1:8000
    acp-langgraph agents http://127.0.0.1:8000 mailcomposer
    acp-langgraph agents http://127.0.0.1:8000 --json | jq -r '.[].name'
    acp-langgraph agents http://127.0.0.1:2024 --protocol langgraph
    acp-langgraph agents https://baker.example baker --protocol a2a
    acp-langgraph agents manifest.json
    ```
    """
    from acp_langgraph.cli.agent_view import show_agent, show_agents  # noqa: PLC0415 - as above
    from acp_langgraph.core.wire import dump  # noqa: PLC0415 - not for --help

    server, url = Server(host, api_key, token, header), host
    told = described(host, agent, protocol) if is_file(host) else None
    if told is None:
        url = server.configuration.base_url
        if agent is not None:
            told = server.run(found(agent, server.configuration.retries, protocol))
    if told is not None:
        if as_json:
            _print_json({"agent_id": told.agent_id, **dump(told.descriptor)})
        else:
            show_agent(told, url)
        return
    pairs = server.run(listed(server.configuration.retries, protocol))
    if as_json:
        _print_json([_as_json(*each) for each in pairs])
    else:
        show_agents(pairs, url)


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
