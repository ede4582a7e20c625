"""An agent as it is known here: its card, how it is called, and what was found out about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from acp_langgraph.a2a.calls import Binding, Operation, reason_of
from acp_langgraph.a2a.card import AgentCard, explained
from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import ApiException, ForbiddenException, UnauthorizedException
from acp_langgraph.jobs.job import JobPolicy

T = TypeVar("T")


@dataclass(slots=True)
class Peer:
    """An agent, and what is known of its server.

    Attributes:
        card: What it says of itself.
        bindings: How it may be called, the best way first.
        is_sure: Whether the first of these was found to be understood.
        streams: Whether tasks can be followed.
        lists: Whether tasks can be listed.
        keeps_context: Whether a context of the client's is kept; `None` if that is not known.
        makes_tasks: Whether messages are answered with tasks, and not only with messages; `None` if
            that is not known.
    """

    card: AgentCard
    bindings: list[Binding]
    is_sure: bool = False
    streams: bool = field(init=False)
    lists: bool = True
    keeps_context: bool | None = None
    makes_tasks: bool | None = None

    def __post_init__(self) -> None:
        self.streams = bool(self.card.capabilities.streaming)

    @property
    def binding(self) -> Binding:
        """How it is called."""
        return self.bindings[0]

    def asked(
        self, make: Callable[[Binding], Operation[T]], policy: JobPolicy, *, tells: bool = True
    ) -> Flow[T]:
        """Have an operation performed, in the first way that the server understands.

        Args:
            make: The operation, of a binding.
            policy: How patient to be.
            tells: Whether a server that does not know the operation does not speak this version.
        """
        while True:
            binding = self.binding
            try:
                answer = yield from make(binding).done(policy)
            except (UnauthorizedException, ForbiddenException) as error:
                raise explained(error, self.card) from None
            except ApiException as error:
                if not self._may_speak_otherwise(error, tells=tells):
                    raise
                if self.binding is binding:  # and nobody else has found out meanwhile
                    self.bindings = self.bindings[1:]
            else:
                self.is_sure = self.is_sure or tells
                return answer

    def _may_speak_otherwise(self, error: ApiException, *, tells: bool) -> bool:
        if self.is_sure or len(self.bindings) == 1:
            return False
        reason = reason_of(error)
        return reason == "VERSION_NOT_SUPPORTED" or (tells and reason == "METHOD_NOT_FOUND")
