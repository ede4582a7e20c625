"""What agents say of themselves, on file.

Read are ACP's descriptors (and the manifests of AGNTCY's first year, which add `deployment` to one), A2A's
cards, and AGNTCY's agent records (OASF), which hold either: what an agent says in ACP as `acp` in the data
of an extension (OASF 0.3, `.../features/runtime/manifest`) or of a module (`integration/acp_manifest`, which
OASF calls deprecated since 0.8.0), a card as `card_data` (`integration/a2a`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from acp_langgraph.cli.connecting import Protocol, fail
from acp_langgraph.json_schema.reading import one_line

_LARGEST: Final = 10_000_000  # bytes
_MOST_SHOWN: Final = 5
_MOST_FAULTS: Final = 50


def is_file(where: str) -> bool:
    """Whether a file is meant, and no server."""
    return "://" not in where and (where.endswith(".json") or Path(where).is_file())


def describes_an_agent(path: str) -> bool:
    """Whether a file is about an agent, and is no `langgraph.json`."""
    if not path.endswith(".json") or not Path(path).is_file():
        return False
    return "graphs" not in _object(path)


def described(path: str, agent: str | None, protocol: Protocol | None) -> Any:
    """The agent that a file describes; ends with an error for people if it describes none.

    Args:
        path: The file.
        agent: Nothing: a file describes only one.
        protocol: By which protocol the agent is asked; by default ACP, which tells more, where it may be either.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - not for --help

    from acp_langgraph.a2a.card import AgentCard, described  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.agents import FoundAgent  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.models import AgentACPDescriptor  # noqa: PLC0415 - not for --help

    if agent is not None:
        fail(f"{path} is a file, which describes one agent; leave {agent!r} out", 2)
    spoken, content = _said_in(path, protocol)
    try:
        if spoken is Protocol.ACP:
            return FoundAgent("", AgentACPDescriptor.model_validate(content))
        return described(AgentCard.model_validate(content))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        faults = (f"\n- {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
        fail(f"{path} is not as it should be:{''.join([*faults][:_MOST_FAULTS])}", 1)


def _said_in(path: str, protocol: Protocol | None) -> tuple[Protocol, Mapping[str, Any]]:
    document = _object(path)
    found: dict[Protocol, Mapping[str, Any]] = {}
    for each, content in _descriptions(document):
        found.setdefault(each, content)
    wanted = protocol or (Protocol.ACP if Protocol.ACP in found else Protocol.A2A)
    if wanted not in found:
        if found:
            fail(f"{path} describes an agent that speaks {next(iter(found))}, not {wanted}", 2)
        names = [one_line(str(each.get("name")), 60) for each in _modules(document)][:_MOST_SHOWN]
        holds = f"; its modules are {', '.join(names)}" if names else ""
        fail(
            f"{path} describes no agent: it is no ACP descriptor, no A2A card, and no record of AGNTCY's with "
            f"one of them in it{holds}",
            2,
        )
    return wanted, found[wanted]


def _descriptions(document: Mapping[str, Any]) -> Iterator[tuple[Protocol, Mapping[str, Any]]]:
    if "specs" in document:
        yield Protocol.ACP, document
    elif "capabilities" in document and "name" in document:
        yield Protocol.A2A, document
    for data in (each.get("data") for each in _modules(document)):
        match data:
            case {"acp": {**specs}}:
                ref = {name: document.get(name) for name in ("name", "version")}
                metadata = {"ref": ref, "description": document.get("description")}
                yield Protocol.ACP, {"metadata": metadata, "specs": specs}
            case {"card_data": {"name": _, **_other} as card}:
                yield Protocol.A2A, card


def _modules(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("modules", "extensions"):
        entries = document.get(name)
        for each in entries if isinstance(entries, list) else ():
            if isinstance(each, dict):
                yield each


def _object(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            fail(
                f"{path} has more than {_LARGEST // 1_000_000} MB, which no agent's description has",
                2,
            )
        document = json.loads(content.decode("utf-8-sig"))
    except FileNotFoundError:
        fail(f"there is no file {path}; a server is named with http:// or https://", 2)
    except (OSError, ValueError, RecursionError) as error:
        fail(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", 2)
    if not isinstance(document, dict):
        fail(f"{path} holds no JSON object", 2)
    return document
