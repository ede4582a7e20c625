"""One test body for both of the clients of `acp_langgraph.agntcy`."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from support.colors import Color

from acp_langgraph import agntcy


def call_agntcy(color: Color, configuration: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call one method of a fresh client; a stream's events come as a list, a raw answer is read."""
    if color.name == "sync":
        with agntcy.ACPClient(configuration=configuration) as client:
            result = getattr(client, name)(*args, **kwargs)
            if name.endswith("_without_preload_content"):
                return result, result.read()
            return list(result) if inspect.isgenerator(result) else result

    async def call() -> Any:
        async with agntcy.AsyncACPClient(configuration=configuration) as client:
            result = getattr(client, name)(*args, **kwargs)
            if inspect.isasyncgen(result):
                return [event async for event in result]
            answer = await result
            if name.endswith("_without_preload_content"):
                return answer, await answer.read()
            return answer

    return asyncio.run(call())
