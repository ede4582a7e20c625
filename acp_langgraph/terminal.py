"""Showing in a terminal what a graph waits for, and since when (extra `cli`).

    from acp_langgraph.terminal import Waiting

    with Waiting() as waiting:
        for event in graph.stream(value, config, stream_mode="custom"):
            waiting.show(event)

It is made from the `progress` events that remote nodes tell whoever watches; see `RemoteEvent`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

try:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text
except ImportError as error:
    raise ImportError(
        'acp_langgraph.terminal needs rich: pip install "acp-langgraph[cli]"'
    ) from error

__all__ = ["Waiting"]

_AT_WORK: Final = frozenset({"created", "waiting", "resumed"})
_DOES: Final = {
    "created": "started",
    "waiting": "is at work",
    "resumed": "was answered and goes on",
    "asked": "asks",
    "finished": "is done",
    "failed": "failed",
}
_LONGEST: Final = 60  # characters of anything that a server says
_REFRESHED: Final = 8  # times a second
_MINUTE: Final = 60
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class _Job:
    """A remote job, as last heard of."""

    node: str
    agent: str
    run_id: str
    state: str
    status: str
    since: float


class Waiting:
    """Shows what remote agents a graph waits for, and for how long.

    In a terminal there is a line for each, which moves, and goes when the wait is over. Elsewhere, in
    a file or a pipe, there is a plain line whenever something begins or ends, without any control
    characters. What is printed in between stands above.

    Args:
        console: Where to; the standard output by default.
        after: Seconds that a wait lasts before it is shown in a terminal.
        lines: Whether to write lines where there is no terminal.
    """

    def __init__(
        self, console: Console | None = None, *, after: float = 0.5, lines: bool = True
    ) -> None:
        self._console = console or Console()
        self._after = after
        self._lines = lines
        self._jobs: dict[tuple[str, str], _Job] = {}
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._shown,
                refresh_per_second=_REFRESHED,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        live, self._live = self._live, None
        self._jobs.clear()
        if live is not None:
            live.stop()

    def show(self, item: Any) -> None:
        """Take note of what a graph streamed; what is no progress of a remote job is left alone.

        Args:
            item: What `stream` or `astream` yields, with or without the mode and the namespace.
        """
        event = item[-1] if isinstance(item, tuple) and item else item
        if not isinstance(event, dict) or event.get("kind") != "progress":
            return
        job = _job(event)
        if job is None:
            return
        self._jobs.pop((job.node, ""), None)  # its id is known now
        before = self._jobs.pop((job.node, job.run_id), None)
        if job.state in _AT_WORK:
            self._jobs[job.node, job.run_id] = job
        if self._live is None and self._lines and _is_news(job, before):
            self._console.print(_line(job), markup=False, highlight=False, soft_wrap=True)

    def _shown(self) -> Group:
        now = time.time()
        jobs = [job for job in list(self._jobs.values()) if now - job.since >= self._after]
        if not jobs:
            return Group()
        spinner = self._spinner.render(time.monotonic())
        head = spinner if isinstance(spinner, Text) else Text("*")
        return Group(*(_one_line(head, " ", _waiting(job, now)) for job in jobs))


def _job(event: dict[str, Any]) -> _Job | None:
    payload = event.get("payload")
    if not isinstance(payload, dict) or not isinstance(payload.get("since"), int | float):
        return None
    return _Job(
        node=_printable(event.get("node")),
        agent=_printable(event.get("agent")),
        run_id=_printable(event.get("run_id")),
        state=_printable(payload.get("state")),
        status=_printable(payload.get("status")),
        since=float(payload["since"]),
    )


def _is_news(job: _Job, before: _Job | None) -> bool:
    """Whether a line of its own is worth it: not that what was just started is at work."""
    if before is None:
        return job.state != "waiting" or not job.run_id
    return replace(before, status="", since=0.0) != replace(job, status="", since=0.0) and not (
        job.state == "waiting" and before.state in _AT_WORK
    )


def _waiting(job: _Job, now: float) -> Text:
    status = "" if job.status in {"", "pending"} else f", {job.status}"
    return Text.assemble(
        (job.node, "bold"),
        f" waits for {job.agent} ",
        (_duration(now - job.since), "cyan"),
        (f", since {_clock(job.since)}{_run(job)}{status}", "dim"),
    )


def _one_line(*parts: Text | str) -> Text:
    line = Text.assemble(*parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _line(job: _Job) -> Text:
    when = f"at {_clock(time.time())}"
    if job.state not in _AT_WORK:
        when += f", after {_duration(time.time() - job.since)}"
    return Text(f"{job.node}: {job.agent} {_DOES.get(job.state, job.state)} {when}{_run(job)}")


def _run(job: _Job) -> str:
    return f", run {job.run_id}" if job.run_id else ""


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))


def _duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{max(seconds, 0.0):.1f} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def _printable(text: Any) -> str:
    """What a server said, as it may be shown: no control characters, and not too long."""
    if not isinstance(text, str):
        return ""
    return "".join(each if each.isprintable() else "?" for each in text[:_LONGEST])
