"""What becomes of a remote job, told to whoever watches the graph.

A node's flow says what it does (`acp_langgraph.core.flow.Progress`), and much of that is only a sign
of life. Here it becomes a `RemoteEvent` of the kind `progress`, once for every state that a job gets
into. It is told from the process that saw it: a step that was remembered tells nothing again.
"""

from __future__ import annotations

import time
from typing import Any, Final

from acp_langgraph.core.flow import Progress, RemoteEvent

__all__ = ["ProgressTeller"]

_STATES: Final = {
    "created": "created",
    "started": "created",
    "waiting": "waiting",
    "sending": "waiting",
    "dependencies": "waiting",
    "asked": "asked",
    "resumed": "resumed",
    "answered": "finished",
    "ended": "finished",
    "failed": "failed",
}


class ProgressTeller:
    """Makes events of what one execution of a node says of its progress.

    Args:
        node: The node's name.
        agent: What does the work, as the node names it.
    """

    def __init__(self, node: str, agent: str) -> None:
        self._node = node
        self._agent = agent
        self._run_id = ""
        self._since = 0.0
        self._last: tuple[str, str, Any] | None = None

    def event(self, progress: Progress) -> RemoteEvent | None:
        """The event to tell, if it tells anything new.

        The payload is `{"state", "since"}`, and `status` where the server has a word for it. `since`
        is when the job began to work, or to work on after an answer, in seconds since the epoch.
        """
        state = _STATES.get(progress.kind)
        if state is None or (state == "failed" and self._last is None):
            return None
        said = progress.payload if isinstance(progress.payload, dict) else {}
        status = said.get("status")
        self._run_id = progress.run_id or self._run_id
        now = (self._run_id, state, status)
        if now == self._last:
            return None
        before, self._last = self._last, now
        began = before is None or before[0] not in {"", self._run_id} or state == "resumed"
        self._since = said.get("since") or (time.time() if began else self._since)
        payload = {"state": state, "since": self._since}
        if isinstance(status, str):
            payload["status"] = status
        return RemoteEvent(
            node=self._node,
            agent=self._agent,
            run_id=self._run_id,
            kind="progress",
            payload=payload,
        )
