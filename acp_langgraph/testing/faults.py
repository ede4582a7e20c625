"""What can go wrong between a client and a server, and to which requests it does.

A `Fault` is data. The server looks it up when the head of a request has been read, and acts on it
along the exchange:

    head read            drop_unread
    body read            drop_before_work, hold(at="work"), status, html, no_content, oversized
    work done            lose_answer, hold(at="answer"), truncated_json, status(after_work=True)
    answer being sent    drop_after(n), hold(at=n), trickle
    answer sent          hang_up, stale

Faults combine with `|`: `Fault.hold(gate, at="work") | Fault.status(503)`. `Faults` are the rules
of one server: which fault, for which requests, how often.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from itertools import repeat
from typing import Literal

from acp_langgraph.testing.requests import Matcher, RecordedRequest, Routes, Selector
from acp_langgraph.testing.responses import Gate, Response

_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which an exchange goes wrong; made by its class methods, combined with `|`.

    Attributes:
        name: How it shows in logs.
        drop_at: Where the connection ends: `unread`, before the `work`, before the `answer`, or
            after so many bytes of the answer.
        reset: End it with RST, as a crash or a firewall does, instead of FIN.
        wait: A gate, or seconds, to wait.
        wait_at: Where to wait: before the `work`, before the `answer`, or after so many bytes of it.
        alter: Makes the answer out of the real one, or of `None` where no work is done.
        works: Whether the server does its work although the answer is altered.
        pace: Bytes at a time, and the seconds in between.
        ending: What becomes of the connection after a complete answer.
    """

    name: str = "none"
    drop_at: Literal["unread", "work", "answer"] | int | None = None
    reset: bool = False
    wait: Gate | float | None = None
    wait_at: Literal["work", "answer"] | int | None = None
    alter: Callable[[Response | None], Response] | None = field(default=None, repr=False)
    works: bool = True
    pace: tuple[int, float] | None = None
    ending: Literal["hang_up", "stale"] | None = None

    def __repr__(self) -> str:
        return f"Fault.{self.name}"

    def __or__(self, other: Fault) -> Fault:
        """Both faults; where they contradict each other, the right one."""
        said = {
            attribute.name: getattr(other, attribute.name)
            for attribute in fields(other)
            if getattr(other, attribute.name) != attribute.default
        }
        return replace(self, **{**said, "name": f"{self.name} | {other.name}"})

    @classmethod
    def none(cls) -> Fault:
        """Nothing goes wrong: lets a request pass in a sequence of faults."""
        return cls()

    @classmethod
    def drop_unread(cls, *, reset: bool = False) -> Fault:
        """End the connection before the request's body is read."""
        return cls("drop_unread", drop_at="unread", reset=reset)

    @classmethod
    def drop_before_work(cls, *, reset: bool = False) -> Fault:
        """End the connection when the request has been read and nothing done yet."""
        return cls("drop_before_work", drop_at="work", reset=reset)

    @classmethod
    def lose_answer(cls, *, reset: bool = False) -> Fault:
        """Do the work, then end the connection without a byte of an answer."""
        return cls("lose_answer", drop_at="answer", reset=reset)

    @classmethod
    def drop_after(cls, n_bytes: int, *, reset: bool = False) -> Fault:
        """Do the work, then end the connection after `n_bytes` of the answer.

        Status line, headers and chunk sizes count. A shorter answer is sent whole, and then the
        connection ends as well.
        """
        return cls(f"drop_after({n_bytes})", drop_at=n_bytes, reset=reset)

    @classmethod
    def hold(cls, gate: Gate, *, at: Literal["work", "answer"] | int = "answer") -> Fault:
        """Wait at a gate: before the work, before the answer, or after `at` bytes of it."""
        return cls(f"hold({gate.name})", wait=gate, wait_at=at)

    @classmethod
    def delay(cls, seconds: float, *, at: Literal["work", "answer"] | int = "answer") -> Fault:
        """Wait for real time; a `Gate` makes faster and steadier tests."""
        return cls(f"delay({seconds})", wait=seconds, wait_at=at)

    @classmethod
    def trickle(cls, bytes_at_a_time: int = 1, *, seconds: float = 0.001) -> Fault:
        """Send the answer in small pieces, with `seconds` between them."""
        return cls(f"trickle({bytes_at_a_time})", pace=(bytes_at_a_time, seconds))

    @classmethod
    def respond(cls, response: Response, *, after_work: bool = False) -> Fault:
        """Answer something of the test's own; the work is not done unless `after_work`."""
        return cls(f"respond({response.status})", alter=_always(response), works=after_work)

    @classmethod
    def status(
        cls,
        status: int,
        body: str | None = None,
        *,
        retry_after: float | datetime | None = None,
        after_work: bool = False,
    ) -> Fault:
        """Answer a status with a line of plain text.

        Args:
            status: The status.
            body: The text; the status's phrase if left out.
            retry_after: Sent as `Retry-After`, seconds as a number, a moment as an HTTP date.
            after_work: Do the work all the same, as a proxy that lost patience.
        """
        headers: Mapping[str, str] = (
            {} if retry_after is None else {"retry-after": _retry_after(retry_after)}
        )
        text = HTTPStatus(status).phrase if body is None else body
        response = Response.text(text, status, headers=headers)
        return cls(f"status({status})", alter=_always(response), works=after_work)

    @classmethod
    def html(cls, status: int = 200, *, after_work: bool = False) -> Fault:
        """Answer an HTML page, as proxies and login walls do."""
        title = f"{status} {HTTPStatus(status).phrase}"
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        response = Response.text(page, status, "text/html; charset=utf-8")
        return cls(f"html({status})", alter=_always(response), works=after_work)

    @classmethod
    def no_content(cls, *, after_work: bool = False) -> Fault:
        """Answer 204, without a body."""
        return cls("no_content", alter=_always(Response.empty()), works=after_work)

    @classmethod
    def truncated_json(cls, keep: int | None = None) -> Fault:
        """Do the work and answer only the beginning of the body, as if that were all.

        Args:
            keep: How many bytes are left; half of them if left out.
        """

        def cut(real: Response | None) -> Response:
            response = (real or Response.json({})).read()
            body = b"".join(piece for piece in response.pieces() if isinstance(piece, bytes))
            kept = body[: len(body) // 2 if keep is None else keep]
            headers = tuple(h for h in response.headers if h[0].lower() != "content-length")
            return replace(response, headers=headers, body=kept)

        return cls("truncated_json", alter=cut)

    @classmethod
    def oversized(cls, n_bytes: int, *, announced: bool = True) -> Fault:
        """Answer a JSON string of `n_bytes`, with its length `announced` or in chunks."""
        length = (("content-length", str(n_bytes)),) if announced else ()
        headers = (("content-type", "application/json"), *length)

        def answer(_: Response | None) -> Response:
            whole, rest = divmod(max(n_bytes - 2, 0), _PIECE)
            pieces = [b'"', *repeat(b"a" * _PIECE, whole), b"a" * rest, b'"']
            return Response(200, headers, filter(None, pieces))

        return cls(f"oversized({n_bytes})", alter=answer, works=False)

    @classmethod
    def hang_up(cls) -> Fault:
        """Answer well and close the connection at once, without having announced it."""
        return cls("hang_up", ending="hang_up")

    @classmethod
    def stale(cls) -> Fault:
        """Answer well and keep the connection, but meet the next request on it with a reset.

        What a client sees that takes a connection out of its pool just when the server gives it up:
        ECONNRESET, although the next request was never read. It is not in the log either.
        """
        return cls("stale", ending="stale")


def _always(response: Response) -> Callable[[Response | None], Response]:
    return lambda _: response


def _retry_after(value: float | datetime) -> str:
    if isinstance(value, datetime):
        return format_datetime(value.astimezone(UTC), usegmt=True)
    return f"{value:g}"


@dataclass(slots=True, eq=False)
class FaultRule:
    """One fault and the requests it is for.

    Attributes:
        fault: What happens.
        on: Which requests, as it was said.
        skip: How many of them pass first.
        times: How many are hit after that; `None` for all.
        seen: How many of them have come since the rule was added.
        hits: How many of them were hit.
    """

    fault: Fault
    on: Selector
    matches: Matcher = field(repr=False)
    skip: int = 0
    times: int | None = 1
    seen: int = 0
    hits: int = 0

    @property
    def spent(self) -> bool:
        """Whether the rule has hit all that it was for."""
        return self.times is not None and self.hits >= self.times


class Faults:
    """The rules of one server, consulted in the order in which they were added.

    A request meets at most one rule: the first that is meant for it and not yet spent. The fault
    `default` meets all others.

        server.faults.add(Fault.lose_answer(), on="POST /runs")              # the next one
        server.faults.add(Fault.status(503, retry_after=1), on="*", times=3) # the next three
        server.faults.add(Fault.html(502), on="wait_for_stateless_run_output", nth=2)
        server.faults.add(Fault.none(), Fault.drop_after(40), on="GET /*")   # the second of two
        server.faults.default = Fault.trickle(7)
    """

    def __init__(self, routes: Routes) -> None:
        self.default = Fault.none()
        self._routes = routes
        self._rules: list[FaultRule] = []
        self._lock = threading.Lock()

    def add(
        self,
        *faults: Fault,
        on: Selector = "*",
        times: int | None = 1,
        nth: int = 1,
    ) -> FaultRule:
        """Add a fault, or several to happen one after another.

        Args:
            faults: What happens.
            on: To which requests: `"start"`, whatever starts a run (on LangGraph's servers and A2A agents
                an answer is such a request, too); an operation's name in the protocol
                (`"create_stateless_run"`); a method and path (`"POST /runs/{run_id}"`, where `{...}` is one
                segment and `*` is anything); or a function that tells of a `RecordedRequest`.
            times: To how many of them, for each of the faults; `None` for ever.
            nth: Beginning with which of them, counted from now.

        Returns:
            The rule of the last fault, whose `hits` tell whether it came to that.

        Raises:
            ValueError: If no fault is given, or `on` means nothing.
        """
        if not faults:
            raise ValueError("no fault to add; see the class methods of Fault")
        matches = self._routes.matcher(on)
        rules = [FaultRule(fault, on, matches, skip=nth - 1, times=times) for fault in faults]
        with self._lock:
            self._rules += rules
        return rules[-1]

    def clear(self) -> None:
        """Take all rules back, the default too."""
        with self._lock:
            self._rules.clear()
            self.default = Fault.none()

    def choose(self, request: RecordedRequest) -> Fault:
        """The fault that meets a request; the server's business."""
        with self._lock:
            chosen: FaultRule | None = None
            for rule in self._rules:
                if not rule.matches(request):
                    continue
                rule.seen += 1
                if chosen is None and rule.seen > rule.skip and not rule.spent:
                    chosen = rule
            if chosen is None:
                return self.default
            chosen.hits += 1
            return chosen.fault
