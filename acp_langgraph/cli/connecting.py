"""What the commands that ask a server have in common: where, as whom, by which protocol, and errors for people."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NoReturn, TypeAlias, TypeVar

import typer
from rich.console import Console
from rich.text import Text

import acp_langgraph
from acp_langgraph import errors
from acp_langgraph.json_schema.reading import printable


def needing(extra: str, module: str) -> Any:
    """A module of this package that needs an extra; ends with a hint where that is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        fail(f'{error.name} is missing: pip install "acp-langgraph[{extra}]"', 2)


def fail(message: str, code: int) -> NoReturn:
    """End with an error message and an exit code."""
    said = Text.assemble(("error: ", "red"), printable(message))
    Console(stderr=True, soft_wrap=True).print(said, highlight=False)
    sys.exit(code)


T = TypeVar("T")

Host: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="HOST",
        help="URL of the server, e.g. http://127.0.0.1:8000; or a file in which an agent is described: "
        "an ACP descriptor, an A2A card, or a manifest or record of AGNTCY's.",
    ),
]
ApiKey: TypeAlias = Annotated[
    str | None,
    typer.Option(envvar="ACP_LANGGRAPH_API_KEY", help="Key to send, as x-api-key."),
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option(envvar="ACP_LANGGRAPH_TOKEN", help="Token to send, as Authorization: Bearer."),
]
Header: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--header", "-H", metavar="NAME:VALUE", help="Header to send; may be given several times."
    ),
]

_TIMEOUT = 20.0  # seconds; a person waits
_RETRIES = 1
_FAILED = 500
_NOT_IMPLEMENTED = 501  # what servers of files say to a POST


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and as whom it is asked."""

    host: str
    api_key: str | None = None
    token: str | None = None
    header: list[str] | None = None

    @property
    def configuration(self) -> acp_langgraph.ApiClientConfiguration:
        """Where and as whom to connect."""
        try:
            return acp_langgraph.ApiClientConfiguration(
                self.host,
                api_key=self.api_key,
                access_token=self.token,
                headers=dict(map(_parted, self.header or ())),
                timeout=_TIMEOUT,
                retries=_RETRIES,
            )
        except errors.ApiValueError as error:
            fail(str(error), 2)

    def run(self, flow: Any) -> Any:
        """What a flow comes to; ends with an error for people."""
        from acp_langgraph.transport import Transport  # noqa: PLC0415 - not for --help

        configuration = self.configuration
        with Transport(configuration) as transport, self._explained(configuration.base_url):
            return transport.run(flow)

    @contextmanager
    def _explained(self, url: str) -> Iterator[None]:
        try:
            yield
        except errors.UnknownAgentError as error:
            fail(f"{error}\nList them: acp-langgraph agents {url}", 1)
        except (errors.UnauthorizedException, errors.ForbiddenException) as error:
            fail(f"{url} {self._refusal()} ({error.status})", 1)
        except errors.ApiTimeoutError:
            fail(f"{url} does not answer in time", 1)
        except errors.ApiConnectionError as error:
            fail(f"{url} cannot be reached: {_why(error)}", 1)
        except errors.UnprocessableEntityException as error:
            fail(f"{url} does not list its agents; name one ({error})", 1)
        except errors.ApiException as error:
            if error.status < _FAILED or error.status == _NOT_IMPLEMENTED:
                fail(f"there is no ACP server at {url}, or not as it should be: {error}", 1)
            fail(f"{url} failed: {error}", 1)
        except errors.OpenApiException as error:
            fail(str(error), 1)

    def _refusal(self) -> str:
        if self.api_key or self.token or self.header:
            return "does not accept these credentials"
        return "wants credentials: give --api-key or --token, or set ACP_LANGGRAPH_API_KEY"


def _parted(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon or not name.strip():
        fail("a header is written NAME:VALUE, e.g. --header 'x-tenant: acme'", 2)
    return name.strip(), value.strip()


def _why(error: Exception) -> str:
    """What an error says after the place where it was."""
    return str(error).partition(": ")[2].removeprefix("cannot connect: ")


class Protocol(StrEnum):
    """What a server may speak."""

    ACP = "acp"
    LANGGRAPH = "langgraph"
    A2A = "a2a"


ProtocolOption: TypeAlias = Annotated[
    Protocol | None,
    typer.Option(
        "--protocol",
        help="What the server speaks: AGNTCY's ACP, LangGraph's Agent Protocol, or A2A. By default it "
        "is asked.",
    ),
]


def spoken(retries: int) -> Any:
    """The protocol that a server speaks, as a flow; ACP where it cannot be told, for its errors to tell."""
    from acp_langgraph import errors  # noqa: PLC0415 - not for --help
    from acp_langgraph.a2a.card import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.calls import search_agents  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.calls import search_assistants  # noqa: PLC0415 - not for --help
    from acp_langgraph.core.retry import with_retries  # noqa: PLC0415 - not for --help

    unknown_there = (
        errors.NotFoundException,
        errors.UnexpectedStatusException,
        errors.UnreadableAnswerException,
    )
    asking = {
        Protocol.ACP: with_retries(search_agents({"limit": 1}), retries),
        Protocol.LANGGRAPH: with_retries(search_assistants(1), retries),
        Protocol.A2A: find_card("", retries),
    }
    for protocol, question in asking.items():
        try:
            yield from question
        except unknown_there:
            continue
        except errors.AcpLangGraphError:
            break  # which says as much of whoever is there
        return protocol
    return Protocol.ACP


def found(agent: str, retries: int, protocol: Protocol | None) -> Any:
    """An agent with what it says of itself, as a flow."""
    from acp_langgraph.a2a.card import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.agents import find_agent  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.assistants import find_assistant  # noqa: PLC0415 - not for --help

    protocol = protocol or (yield from spoken(retries))
    finding: dict[Protocol, Any] = {
        Protocol.ACP: find_agent,
        Protocol.LANGGRAPH: find_assistant,
        Protocol.A2A: find_card,
    }
    return (yield from finding[protocol](agent, retries))


def listed(retries: int, protocol: Protocol | None) -> Any:
    """All agents, with what they say of themselves where they do, as a flow."""
    from acp_langgraph.a2a.card import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.agents import FoundAgent, describe_agent, list_agents  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.models import Agent  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.assistants import describe_assistant, list_assistants  # noqa: PLC0415 - not for --help

    protocol = protocol or (yield from spoken(retries))
    pairs: list[tuple[Agent, Any]] = []
    if protocol is Protocol.ACP:
        for each in (yield from list_agents(retries)):
            descriptor = yield from describe_agent(each.agent_id, retries)
            pairs.append((each, descriptor))
        return pairs
    told: list[FoundAgent] = []
    if protocol is Protocol.A2A:
        told.append((yield from find_card("", retries)))
    else:
        for assistant in (yield from list_assistants(retries)):
            described = yield from describe_assistant(assistant)
            told.append(described)
    return [
        (Agent(agent_id=each.agent_id, metadata=each.descriptor.metadata), each.descriptor)
        for each in told
    ]
