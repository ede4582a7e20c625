"""Where an A2A agent is reached, and how.

Where a card says that the agent is, requests go only if that is at the configured host: credentials and
the content of messages are meant for it, and a card is what somebody else wrote. Names that mean "this
machine" (`localhost`, `0.0.0.0`), which cards often carry to wherever they are served, are taken for the
configured host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeVar

from acp_langgraph import errors
from acp_langgraph.a2a import calls
from acp_langgraph.a2a.calls import Binding, Operation
from acp_langgraph.a2a.card import MOST_SHOWN, AgentCard, shown
from acp_langgraph.a2a.models import TaskList
from acp_langgraph.config import split_url
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.operations import JSONObject
from acp_langgraph.jobs.job import CannotFindError, FindsDone, JobPolicy, raise_what_passes

T = TypeVar("T")

_MODERN: Final[dict[str, type[Binding]]] = {"JSONRPC": calls.JsonRpc, "HTTP+JSON": calls.HttpJson}
_PAGE: Final = 100
_NO_LIST: Final = frozenset({"METHOD_NOT_FOUND", "UNSUPPORTED_OPERATION"})
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "::1", "::"})  # noqa: S104 - names, and nothing listens
_PATH: Final = re.compile(r"(/[\x21-\x7e]*)?")


@dataclass(slots=True)
class Peer(FindsDone):
    """An agent, and what is known of its server.

    Attributes:
        card: What it says of itself.
        bindings: How it may be called, the best way first.
        is_sure: Whether the first of these was found to be understood.
        lists: Whether tasks can be listed, as far as is known.
        keeps_context: Whether a context of the client's is kept; `None` if that is not known.
        makes_tasks: Whether messages are answered with tasks, and not only with messages; `None` if
            that is not known.
    """

    card: AgentCard
    bindings: list[Binding]
    is_sure: bool = False
    lists: bool = True
    keeps_context: bool | None = None
    makes_tasks: bool | None = None

    @property
    def binding(self) -> Binding:
        """How it is called."""
        return self.bindings[0]

    @property
    def can_list(self) -> bool:
        """Whether tasks can be listed, in the way that it is called."""
        return self.lists and self.binding.lists

    def asked(
        self, operation: Operation[T], params: JSONObject, policy: JobPolicy, *, tells: bool = True
    ) -> Flow[T]:
        """Have an operation performed, in the first way that the server understands.

        Args:
            operation: The operation.
            params: What it is given.
            policy: How patient to be.
            tells: Whether a server that does not know the operation does not speak this version.

        Raises:
            ApiException: The child class that stands for the refusal, whichever way it was told.
        """
        while True:
            binding = self.binding
            try:
                said: Any = yield from policy.repeat(binding.call(operation, params))
                answer = binding.read(operation, said)
            except (errors.UnauthorizedException, errors.ForbiddenException) as error:
                raise self._explained(error) from None
            except errors.ApiException as error:
                told = {"VERSION_NOT_SUPPORTED", *(["METHOD_NOT_FOUND"] if tells else [])}
                knows_better = not self.is_sure and len(self.bindings) > 1
                if not knows_better or calls.reason_of(error) not in told:
                    raise calls.by_reason(error) from None
                if self.binding is binding:  # and nobody else has found out meanwhile
                    self.bindings = self.bindings[1:]
            else:
                self.is_sure = self.is_sure or tells
                return answer

    def listed(self, params: JSONObject, policy: JobPolicy) -> Flow[TaskList]:
        """A page of its tasks.

        Args:
            params: Which; what is empty of these is left out.
            policy: How patient to be.

        Raises:
            CannotFindError: If the server cannot tell.
            ApiException: If it cannot tell now, or not us.
        """
        asked = {"pageSize": _PAGE, **{name: each for name, each in params.items() if each}}
        try:
            return (yield from self.asked(calls.LIST_TASKS, asked, policy, tells=False))
        except errors.ApiException as error:
            raise_what_passes(error)
            self.lists = self.lists and calls.reason_of(error) not in _NO_LIST
            raise CannotFindError(f"the server cannot list tasks ({error})") from None

    def _explained(self, error: errors.ApiException) -> errors.ApiException:
        """A refusal, with what the card says that the agent wants to be shown."""
        if not self.card.wants:
            return error
        return error.retold(
            f"{error.reason or 'refused'}; the agent's card wants {self.card.wants}. Give it with "
            "headers= or auth= of the node, or with api_key or access_token of the client configuration"
        )


def bindings_of(card: AgentCard, base_url: str, node: str = "") -> list[Binding]:
    """How an agent can be called, the best way first.

    1.0 comes before 0.3. Servers have been seen to declare 0.3, or no version, for an interface
    where they speak 1.0, so whatever is in `supportedInterfaces` is tried in 1.0 first.

    Args:
        card: Its card.
        base_url: The configured base URL.
        node: The node's name, for errors.

    Raises:
        NodeConfigurationError: If there is no way; says what the card offers.
    """
    found: list[tuple[int, Binding]] = []
    elsewhere = ""
    for each in card.interfaces:
        speaks = _MODERN.get(each.protocol_binding.upper())
        where = _below(each.url, base_url)
        if speaks is None or where is None:
            elsewhere = elsewhere or (each.url if speaks else "")
            continue
        is_old = each.protocol_version.startswith("0.")
        if card.supported_interfaces:
            found.append((is_old, speaks(where, each.tenant)))
        if is_old and speaks is calls.JsonRpc:
            found.append((2, calls.OldJsonRpc(where)))
    if found:
        return [binding for _, binding in sorted(found, key=itemgetter(0))]
    if elsewhere:
        raise errors.NodeConfigurationError(
            f"the card of {shown(card.name)!r} says that the agent is at {shown(elsewhere)}, and "
            f"messages and credentials go to {base_url} only. If you trust it, give that address as "
            "client_config, and the card as card=... where it is not served there",
            node=node,
        )
    offered = ", ".join(
        f"{shown(each.protocol_binding)} {shown(each.protocol_version)}".strip()
        for each in card.interfaces[:MOST_SHOWN]
    )
    raise errors.NodeConfigurationError(
        f"the agent {shown(card.name)!r} offers {offered or 'no interface'}; what is spoken here is "
        "A2A 1.0 over JSONRPC or HTTP+JSON, and 0.3 over JSONRPC",
        node=node,
    )


def _below(url: str, base_url: str) -> str | None:
    """Where an address is below the configured base URL; `None` if it is elsewhere."""
    address, base = split_url(url), split_url(base_url)
    if address is None or base is None or not _PATH.fullmatch(address.path):
        return None
    # Nothing but the path is taken from it; whether TLS is spoken is the configuration's business.
    place, root = (address.hostname, address.port), base.path.rstrip("/")
    is_there = place == (base.hostname, base.port) or address.hostname in _THIS_MACHINE
    is_below = address.path == root or address.path.startswith(f"{root}/")
    return address.path[len(root) :] if is_there and is_below else None
