"""A server that answers at once and does nothing: what is measured against it is the client.

It speaks what is needed of ACP, of LangGraph's Agent Protocol (below `/threads`) and of A2A (at `/rpc`).

    python tests/benchmarks/stub.py          # prints its URL, ends with its standard input

Below `/hold`, runs are created at once but not done before `POST /release`. `GET /counts` tells how
many connections and requests there were, and how many runs are waited for.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from typing import Any, Final

RUN: Final = {
    "run_id": "3f2c9a7e-0000-4000-8000-000000000001",
    "agent_id": "3f2c9a7e-0000-4000-8000-0000000000aa",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:01Z",
    "status": "success",
    "creation": {"input": {"text": "hi"}, "metadata": {}},
}


def answer(body: object, kind: str = "application/json") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def events(*told: tuple[str, object]) -> bytes:
    rows = (f"event: {kind}\r\ndata: {json.dumps(data)}\r\n\r\n" for kind, data in told)
    return answer("".join(rows).encode(), "text/event-stream")


DONE: Final = answer({"run": RUN, "output": {"type": "result", "values": {"text": "hi"}}})
CREATED: Final = answer({**RUN, "status": "pending"})

VALUES: Final = {"ask": {"text": "hi"}, "answer": {"text": "hi"}}
STATE: Final = {"values": VALUES, "next": [], "tasks": [], "metadata": {"run_id": RUN["run_id"]}}
GRAPHS: Final = {
    b"/runs/wait": answer(VALUES),
    b"/state": answer(STATE),
    b"/runs/stream": events(
        ("metadata", {"run_id": RUN["run_id"], "attempt": 1}),
        ("values", {"ask": VALUES["ask"]}),
        ("updates", {"node": {"answer": VALUES["answer"]}}),
        ("values", VALUES),
    ),
}
"""What is answered to requests of LangGraph's Agent Protocol, by how their paths end."""


def task(request: dict[str, Any]) -> bytes:
    """What is answered to a request of A2A's: a task that is done by the time that it is looked at."""
    params = request["params"]
    message = params.get("message") or params
    is_early = (params.get("configuration") or {}).get("returnImmediately", False)
    state = "TASK_STATE_SUBMITTED" if is_early else "TASK_STATE_COMPLETED"
    found: dict[str, Any] = {"id": RUN["run_id"], "contextId": message.get("contextId", "1")}
    found |= {"status": {"state": state, "timestamp": RUN["updated_at"]}}
    if not is_early:
        found["artifacts"] = [{"artifactId": "1", "parts": [{"data": {"text": "hi"}}]}]
    result: dict[str, Any] = found
    if request["method"] == "SendMessage":
        result = {"task": found}
    if request["method"] == "ListTasks":
        result = {"tasks": [found], "nextPageToken": "", "pageSize": 1, "totalSize": 1}
    return answer({"jsonrpc": "2.0", "id": request["id"], "result": result})


class Counts:
    """What happened so far."""

    connections = 0
    requests = 0
    held: Final[list[asyncio.Transport]] = []
    released = False


class Stub(asyncio.Protocol):
    """Takes requests that arrive whole or in pieces, and answers each at once, or holds it."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Counts.connections += 1
        self.transport = transport  # type: ignore[assignment]  # TCP's is one
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = 0
            if (at := head.find(b"content-length:")) >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self.take(head[: head.index(b" http/1.1")], body)

    def take(self, request: bytes, body: bytes) -> None:
        match request:
            case b"get /counts":
                counts = {"connections": Counts.connections, "requests": Counts.requests}
                self.transport.write(answer({**counts, "held": len(Counts.held)}))
                return
            case b"post /release":
                for held in Counts.held:
                    held.write(DONE)
                Counts.held.clear()
                Counts.released = True
                self.transport.write(answer({}))
                return
        Counts.requests += 1
        if request.startswith(b"post /rpc"):
            self.transport.write(task(json.loads(body)))
        elif b" /threads/" in request:
            path = request.partition(b"?")[0]
            self.transport.write(next(each for end, each in GRAPHS.items() if path.endswith(end)))
        elif request.endswith(b"/runs/search"):
            creation = {"input": {}, "metadata": json.loads(body)["metadata"]}
            self.transport.write(answer([{**RUN, "creation": creation}]))
        elif request.endswith(b"/runs"):
            self.transport.write(CREATED)
        elif b" /hold/" in request and not request.endswith(b"/wait"):
            self.transport.write(CREATED)  # how a run is that is waited for
        elif b" /hold/" in request and not Counts.released:
            Counts.held.append(self.transport)
        else:
            self.transport.write(DONE)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    asyncio.run(main())
