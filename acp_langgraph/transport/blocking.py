"""The transport that blocks, over `httpx.Client`."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any, TypeVar

import httpx

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.drive import drive
from acp_langgraph.core.flow import Ask, Flow, Listen, Pause, Progress, Step, Work
from acp_langgraph.core.retry import exchange, with_retries
from acp_langgraph.transport.closing import Closing
from acp_langgraph.transport.exchange import Endpoint, refuse_other_color, refuse_to_ask

__all__ = ["Transport"]

T = TypeVar("T")


class Transport(Closing):
    """Performs calls with one pooled `httpx.Client`, and runs flows outside of a graph.

    Args:
        configuration: Where and as whom to connect; a URL will do.
        client: A client of the caller's own, which stays open when this is closed.
        auth: Authentication of the caller's own.
        headers: Sent with every request.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        client: httpx.Client | None = None,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        refuse_other_color(client, httpx.Client)
        self.endpoint = Endpoint(configuration, client, headers)
        self.retries = self.endpoint.configuration.retries
        self._auth = auth
        self._given = client
        self._made: httpx.Client | None = None
        self._lock = threading.Lock()

    def exchange(self, call: Call[Any]) -> Reply:
        """Perform one exchange, without retries; an error status is a reply like any other.

        Raises:
            ApiValueError: If the body cannot be sent.
            ApiConnectionError: If no answer came.
            AnswerTooLargeError: If the answer is larger than configured.
        """
        client = self._client()
        request = self.endpoint.request(client, call)
        with self.endpoint.explained(request):
            response = client.send(request, stream=True, **self._sending())
            try:
                body = self.endpoint.body(response)
                for piece in response.iter_bytes():
                    body.add(piece)
            finally:
                response.close()
        return self.endpoint.reply(response, body.bytes())

    def stream(self, call: Call[Any]) -> Generator[bytes]:
        """Perform a call and yield its body as it arrives; closing the iterator hangs up.

        Raises:
            ApiException: If the server answers with an error status, or with something else than
                the stream that was asked for.
            ApiConnectionError: If the connection breaks.
        """
        client = self._client()
        request = self.endpoint.request(client, call)
        with self.endpoint.explained(request):
            response = client.send(request, stream=True, **self._sending())
            try:
                if not call.is_streamed_by(self.endpoint.reply(response, b"")):
                    body = self.endpoint.body(response)
                    for piece in response.iter_bytes():
                        body.add(piece)
                    call.read(self.endpoint.reply(response, body.bytes()))
                yield from response.iter_bytes()
            finally:
                response.close()

    def send(self, call: Call[T]) -> T:
        """Perform a call, repeating it where that does no harm, and read its result."""
        return drive(with_retries(call, self.retries), self)

    def reply(self, call: Call[Any]) -> Reply:
        """Like `send`, but the reply as it came, error statuses included."""
        return drive(exchange(call, self.retries), self)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end; its steps are performed and not remembered."""
        return drive(flow, self)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    # The performer's side: what a flow's effects mean outside of a graph.

    call = exchange

    def listen(self, listen: Listen, tell: Callable[[Progress], None] | None = None) -> None:
        """Read a stream, telling what it says before reading on."""
        with closing(self.stream(listen.call)) as pieces:
            for piece in pieces:
                for progress in listen.reader.feed(piece):
                    (tell or self.progress)(progress)
                if listen.reader.done:
                    return

    def ask(self, ask: Ask) -> Any:
        """Refuse: outside of a graph nobody is there to answer."""
        return refuse_to_ask(ask)

    def pause(self, pause: Pause) -> None:
        """Sleep."""
        time.sleep(pause.seconds)

    def progress(self, progress: Progress) -> None:
        """Nobody listens."""

    def work(self, work: Work[Any]) -> Any:
        """Do it."""
        return work.blocking()

    def step(self, step: Step[Any]) -> Any:
        """Run the step's body."""
        return drive(step.body(), self)

    def _client(self) -> httpx.Client:
        if self._given is not None:
            return self._given
        if self._made is None:
            with self._lock:
                if self._made is None:
                    made = httpx.Client(
                        verify=self.endpoint.tls(),
                        proxy=self.endpoint.proxy(),
                        trust_env=False,  # the endpoint decides about proxies, once
                        auth=self._auth,
                        limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
                        **self.endpoint.client_options(),
                    )
                    weakref.finalize(self, made.close)  # nobody has to remember close()
                    self._made = made
        return self._made

    def _sending(self) -> dict[str, Any]:
        auth = {"auth": self._auth} if self._auth is not None else {}
        # Credentials go to the configured origin only, whatever a client of the caller's own does.
        return {"follow_redirects": False, **auth}
