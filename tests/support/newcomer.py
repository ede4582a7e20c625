"""Somebody who is new to this package, what he does wrong, and servers that are not what he thinks."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from support.colors import Color

from acp_langgraph import ACPNode, ApiClientConfiguration

__all__ = [
    "HI",
    "PATHS",
    "Mistake",
    "Newcomer",
    "State",
    "StateModel",
    "deaf_server",
    "tls_server",
]

HI: dict[str, Any] = {"question": {"text": "hi"}}
PATHS: dict[str, Any] = {"input_path": "question", "output_path": "answer"}


class State(TypedDict, total=False):
    question: Any
    answer: Any


class StateModel(BaseModel):
    question: Any = None
    answer: Any = None


class Newcomer:
    """Somebody with a server that serves `echo`, `asks` and `strict`, and a way to invoke things."""

    def __init__(self, url: str, color: Color, stack: ExitStack) -> None:
        self.url = url
        self._color = color
        self._stack = stack

    def quick(self, url: str | None = None, **settings: Any) -> ApiClientConfiguration:
        """A configuration with which nothing is tried again."""
        return ApiClientConfiguration(url or self.url, retries=0, **settings)

    def node(self, agent: Any = "echo", where: Any = "", **settings: Any) -> Any:
        settings = {**PATHS, **settings}
        return self.keep(ACPNode("reviewer", agent, self.url if where == "" else where, **settings))

    def keep(self, node: Any) -> Any:
        """The node, whose connections are closed in the end."""
        self._stack.callback(node.close)
        return node

    def graph(self, node: Any, state: Any = State, **options: Any) -> Any:
        builder = StateGraph(state)
        builder.add_node(node).add_edge(START, node.name)
        return builder.compile(**options)

    def invoke(self, node: Any, state: Any = HI, **options: Any) -> Any:
        return self._color.invoke(self.graph(node, **options), state)

    def run(self, runnable: Any, *arguments: Any) -> Any:
        return self._color.invoke(runnable, *arguments)

    @property
    def is_async(self) -> bool:
        return self._color.name == "async"


@dataclass(frozen=True)
class Mistake:
    sentence: str
    told: tuple[str, ...]
    make: Callable[[Newcomer], Any]
    kind: type[Exception] | tuple[type[Exception], ...]


@contextmanager
def deaf_server() -> Iterator[str]:
    """Answers anything like a server that was not spoken to in HTTP."""
    with answering(
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    ) as url:
        yield url


@contextmanager
def tls_server() -> Iterator[str]:
    """Speaks TLS; it has no certificate, but what is no TLS at all does not come that far."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with answering(lambda connection: context.wrap_socket(connection, server_side=True)) as url:
        yield url


@contextmanager
def answering(answer: Callable[[socket.socket], Any]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve_one() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    connection.recv(1, socket.MSG_PEEK)
                    answer(connection)
                except OSError:
                    pass  # which is what the client is told of

        thread = threading.Thread(target=serve_one)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            thread.join()
