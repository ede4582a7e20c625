"""The campaign: reading its brief, and a graph whose work is done elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, get_args

from langgraph.graph import END, START, StateGraph

from acp_langgraph.bridge.calls import APIBridgeOutput
from acp_langgraph.demo.outbox import SEND, Brief, Draft, Review, address
from acp_langgraph.mapping import coalesce
from acp_langgraph.nodes.a2a import A2ANode
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.nodes.bridge import APIBridgeAgentNode
from acp_langgraph.nodes.remote_graph import RemoteGraphNode

SAMPLE: Final = """\
To: Ada Lovelace <ada@example.com>
From: Meadow Robotics <hello@meadow.example>
Sign: Grace at Meadow Robotics

Meet Clover, the lawn mower that listens!!! Clover mows while you sleep , and it is definately the
the quietest machine we ever built.

it finds its way without a wire, comes home when it rains, and stops for hedgehogs. Order before
the first of May and recieve a spare set of blades.
"""

_LARGEST: Final = 100_000
_HEAD: Final = re.compile(r"(?i)(to|from|sign|audience)\s*:\s*(.+)")
_AUDIENCES: Final = ("general", "technical", "business")


class BriefError(ValueError):
    """A brief that cannot be used; says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the campaign is started with.

    Attributes:
        brief: What the mail is about.
        sender: Address the mail is from.
        recipient: Address the mail is to.
    """

    brief: Brief
    sender: str
    recipient: str


def read_brief(
    file: Path | None, *, sender: str | None = None, recipient: str | None = None
) -> Order:
    """Read a brief from a file, or take the sample.

    The first lines may be `To:`, `From:`, `Sign:` and `Audience:` (general, technical or business).
    Without a `To:`, the first mail address in the text is the recipient.

    Args:
        file: The file, UTF-8 text.
        sender: Overrides the file's `From:`.
        recipient: Overrides the file's `To:`.

    Raises:
        BriefError: If it cannot be read, or an address in it is none.
    """
    head, text = _split(_read(file) if file else SAMPLE)
    if not text:
        raise BriefError(f"the brief {file} is empty; write in it what the mail is about")
    audience = head.get("audience", "general").lower()
    if audience not in _AUDIENCES:
        raise BriefError(f"the audience {audience!r} is not known; use {', '.join(_AUDIENCES)}")
    mentioned = re.search(r"[^\s<>@()\[\]]+@[^\s<>@()\[\]]+\.[^\s<>@.,;:()\[\]]+", text)
    to = recipient or head.get("to") or (mentioned[0] if mentioned else "customers@example.com")
    from_ = sender or head.get("from") or "Marketing <marketing@example.com>"
    for each in (to, from_):
        try:
            address(each)
        except ValueError as error:
            raise BriefError(str(error)) from None
    signed = head.get("sign") or address(from_).display_name or "The team"
    brief = Brief(text=text, audience=_audience(audience), sender_name=signed)
    return Order(brief, from_, to)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except OSError as error:
        raise BriefError(f"the brief {file} cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise BriefError(f"the brief {file} is longer than {_LARGEST} bytes; a page will do")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BriefError(f"the brief {file} is no text in UTF-8; save it as such") from None


def _split(text: str) -> tuple[dict[str, str], str]:
    head: dict[str, str] = {}
    lines = text.strip().splitlines()
    while lines and (found := _HEAD.fullmatch(lines[0].strip())):
        head[found[1].lower()] = found[2].strip()
        lines.pop(0)
    return head, "\n".join(lines).strip()


def _audience(text: str) -> Literal["general", "technical", "business"]:
    field = Brief.model_fields["audience"].annotation
    return next(value for value in get_args(field) if value == text)


class Campaign(TypedDict, total=False):
    """The campaign's state."""

    brief: Brief
    sender: str
    recipient: str
    draft: Draft
    review: Review
    mail: Draft
    sent: APIBridgeOutput


def _over_a2a(name: str, agent: str, agents: str, **options: Any) -> A2ANode:
    """A server of A2A has an agent per address."""
    return A2ANode(name, f"{agents.rstrip('/')}/{agent}", **options)


NODES: Final[dict[str, Any]] = {
    "acp": ACPNode,
    "langgraph": RemoteGraphNode,
    "a2a": _over_a2a,
}
"""Makes the node for an agent, by what its server speaks; all take the same."""


def build(agents: str, bridge: str, protocol: str = "acp") -> StateGraph[Any, Any, Any, Any]:
    """The graph, still to be compiled with a checkpointer.

    Args:
        agents: URL of the server with the agents.
        bridge: URL of the gateway with the API Bridge.
        protocol: What the server with the agents speaks; one of `NODES`.
    """
    node = NODES[protocol]
    mailcomposer = node(
        "mailcomposer",
        "mailcomposer",
        agents,
        input_path="brief",
        input_type=Brief,
        output_path="draft",
        output_type=Draft,
        on_cancel="detach",
    )
    email_reviewer = node(
        "email_reviewer",
        "email_reviewer",
        agents,
        input_path="draft",
        input_type=Draft,
        # What needed no correction goes out as it was drafted.
        output={"review": "", "mail": coalesce("corrected", "state:draft")},
        output_type=Review,
        state_type=Campaign,
        on_cancel="detach",
    )
    sendgrid = APIBridgeAgentNode(
        "sendgrid",
        bridge,
        "sendgrid",
        input=SEND,
        output_path="sent",
        state_type=Campaign,
        check="accepted",  # a bridge answers 200 whatever the service said
    )
    builder = StateGraph(Campaign, input_schema=Order)
    builder.add_node(mailcomposer)
    builder.add_node(email_reviewer)
    builder.add_node(sendgrid)
    builder.add_edge(START, "mailcomposer")
    builder.add_edge("mailcomposer", "email_reviewer")
    builder.add_edge("email_reviewer", "sendgrid")
    builder.add_edge("sendgrid", END)
    return builder
