"""A fake ACP server: the whole protocol in front of scripted agents, with faults and quirks.

A test of a client, or of a graph with an `ACPNode`, needs no more than this:

    from acp_langgraph.testing import Answer, Ask, FakeACPServer, Fault

    def test_a_lost_answer_does_not_start_a_second_run():
        script = [Ask({"question": "Send it?"}), Answer({"text": "sent"})]
        with FakeACPServer(script) as server:
            server.faults.add(Fault.lose_answer(), on="start")
            ...                          # run the graph against server.url and server.agent_id
            assert server.created == server.completed == 1
            assert server.run.answers == ["yes"]

Agents play scripts (`acp_langgraph.testing.runs`), runs are counted where they happen (`FakeRun`),
servers differ (`ACPBehavior`), and networks fail (`acp_langgraph.testing.faults`). Webhooks are not
called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

from acp_langgraph.testing.behavior import AGNTCY, ACPBehavior
from acp_langgraph.testing.operations import ACPOperations
from acp_langgraph.testing.runs import Answer, FakeAgent, FakeRun, Script


class FakeACPServer(ACPOperations):
    """An ACP server of scripted agents.

    Attributes:
        agents: Its agents.
        runs: Every run that was ever created, oldest first, deleted and forgotten ones included.
        threads: The threads, by id.
        behavior: How it keeps to the protocol; may be changed while it runs.

    Args:
        script: What the runs of its one agent do, or a script for each agent by name. Without one,
            a run answers with its input.
        agents: Agents with more than a name and a script.
        behavior: How the server keeps to the protocol.
        port: A port to listen on; a free one if 0.
        **options: Fields of `ACPBehavior`, e.g. `search="none"`, `cancel=False`.
    """

    def __init__(
        self,
        script: Script | Mapping[str, Script] | None = None,
        *,
        agents: Iterable[FakeAgent] = (),
        behavior: ACPBehavior | None = None,
        port: int = 0,
        **options: Any,
    ) -> None:
        offered = list(agents)
        if script is not None or not offered:
            echo = [Answer(lambda run: run.input)]
            scripts = script if isinstance(script, Mapping) else {"agent": script or echo}
            offered += [FakeAgent(name, moves) for name, moves in scripts.items()]
        super().__init__(offered, replace(behavior or ACPBehavior(), **options), port=port)

    @classmethod
    def like_agntcy(
        cls, script: Script | Mapping[str, Script] | None = None, **options: Any
    ) -> Self:
        """A server that answers as AGNTCY's reference server does (workflow-srv 0.3.0)."""
        return cls(script, behavior=AGNTCY, **options)

    # What a test asks

    @property
    def agent_id(self) -> str:
        """The id of the first agent."""
        return self.agents[0].agent_id

    def runs_with(self, status: str | None = None, **metadata: Any) -> list[FakeRun]:
        """The runs of a status, or with these entries in their metadata."""
        self._advance()
        return [
            run
            for run in self.runs
            if status in {None, run.status} and metadata.items() <= run.metadata.items()
        ]

    def forget(self, *runs: FakeRun) -> None:
        """Lose some runs, or all runs and threads; a client gets 404 about them.

        The records stay in `runs`. Lost runs do not go on.
        """
        with self.changed:
            for run in runs or self.runs:
                run.lose()
            if not runs:
                self.threads.clear()
            self.changed.notify_all()
