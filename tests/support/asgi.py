"""Any ASGI application, served from a thread on a free port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from acp_langgraph.server.serving import _bind, _url

__all__ = ["served"]


@contextmanager
def served(app: Any) -> Iterator[httpx.Client]:
    """A client of an application, for as long as the block lasts."""
    bound = _bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        with httpx.Client(base_url=_url("127.0.0.1", bound), timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(30)
        bound.close()
