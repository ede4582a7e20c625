"""An ACP server that answers at once and does nothing: what is measured against it is the client.

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
from typing import Final

RUN: Final = {
    "run_id": "3f2c9a7e-0000-4000-8000-000000000001",
    "agent_id": "3f2c9a7e-0000-4000-8000-0000000000aa",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:01Z",
    "status": "success",
    "creation": {"input": {"text": "hi"}, "metadata": {}},
}


def answer(body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


DONE: Final = answer({"run": RUN, "output": {"type": "result", "values": {"text": "hi"}}})
CREATED: Final = answer({**RUN, "status": "pending"})


class Counts:
    """What happened so far."""

    connections = 0
    requests = 0
    held: Final[list[asyncio.Transport]] = []


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
                self.transport.write(answer({}))
                return
        Counts.requests += 1
        if request.endswith(b"/runs/search"):
            creation = {"input": {}, "metadata": json.loads(body)["metadata"]}
            self.transport.write(answer([{**RUN, "creation": creation}]))
        elif request.endswith(b"/runs"):
            self.transport.write(CREATED)
        elif b" /hold/" in request:
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
