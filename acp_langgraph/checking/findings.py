"""What checking a graph finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from acp_langgraph.errors import GraphCheckError

Level: TypeAlias = Literal["error", "warning", "unchecked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit.

    Attributes:
        level: `error` for what is certain to be wrong: nothing that may stand at the place fits.
            `warning` for what may go well: some of it fits. `unchecked` where it could not be told,
            because the agent could not be asked.
        node: Where in the graph the node is, e.g. `reviewer`, or `team:reviewer` in a subgraph.
        agent: The agent, as the node names it; empty where the node runs none.
        path: What it is about, e.g. `input.mail.subject`, `output_path`, `use_threads`.
        problem: What is wrong.
        advice: What to do.
    """

    level: Level
    node: str
    agent: str
    path: str
    problem: str
    advice: str

    def __str__(self) -> str:
        agent = f" (agent {self.agent})" if self.agent else ""
        return f"{self.level}: {self.node}{agent}, {self.path}: {self.problem}; {self.advice}"


@dataclass(frozen=True, slots=True)
class CheckedNode:
    """A remote node that was looked at.

    Attributes:
        node: Where in the graph it is.
        agent: The agent, as the node names it; empty where the node runs none.
        version: The agent's version; empty where it is not known.
        url: The server.
        compared: What was compared with the agent's descriptor: `input`, `output`, `config`. What
            has no declared type on either side cannot be.
    """

    node: str
    agent: str
    version: str
    url: str
    compared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphReport:
    """What checking a graph came to.

    Attributes:
        nodes: The remote nodes of the graph, in its order.
        findings: What does not fit, in the order of the nodes.
    """

    nodes: tuple[CheckedNode, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What is certain to be wrong."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What may go well, and may not."""
        return self._of("warning")

    @property
    def unchecked(self) -> tuple[Finding, ...]:
        """What could not be told."""
        return self._of("unchecked")

    def raise_for_errors(self, *, strict: bool = False) -> None:
        """Raise if anything is wrong, or could not be told.

        Args:
            strict: Whether warnings count too.

        Raises:
            GraphCheckError: With every finding that counts.
        """
        counted: Sequence[Finding] = [
            finding for finding in self.findings if strict or finding.level != "warning"
        ]
        if counted:
            raise GraphCheckError(counted)

    def _of(self, level: Level) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == level)
