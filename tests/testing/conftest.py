"""One pooled HTTP client for a test, in both colors behind one blocking function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

TLS = httpx.create_ssl_context()  # takes long to make, and every client would make its own
Send = Callable[..., httpx.Response]


@pytest.fixture(params=["sync", "async"])
def send(request) -> Iterator[Send]:
    """Performs a request, `send("POST", url, json=...)`, over the same connection if it can."""
    if request.param == "sync":
        with httpx.Client(timeout=5, verify=TLS) as client:
            yield client.request
        return
    with asyncio.Runner() as runner:
        async_client = httpx.AsyncClient(timeout=5, verify=TLS)
        yield lambda *args, **kwargs: runner.run(async_client.request(*args, **kwargs))
        runner.run(async_client.aclose())


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, verify=TLS) as client:
        yield client
