"""One test body for both clients."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Literal, TypeAlias

from acp_langgraph.acp.client import ACPClient, AsyncACPClient
from acp_langgraph.config import ApiClientConfiguration

Color: TypeAlias = Literal["sync", "async"]


def call_acp(
    color: Color, url: str, name: str, *args: Any, raw: bool = False, **kwargs: Any
) -> Any:
    """Call one method of a fresh client; a stream's events come as a list."""
    configuration = ApiClientConfiguration(url, retries=0)
    if color == "sync":
        with ACPClient(configuration) as client:
            target = client.with_raw_response if raw else client
            result = getattr(target, name)(*args, **kwargs)
            return list(result) if inspect.isgenerator(result) else result

    async def call() -> Any:
        async with AsyncACPClient(configuration) as client:
            target = client.with_raw_response if raw else client
            result = getattr(target, name)(*args, **kwargs)
            if inspect.isasyncgen(result):
                return [event async for event in result]
            return await result

    return asyncio.run(call())
