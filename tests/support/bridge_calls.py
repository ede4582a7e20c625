"""Calling a bridge in either color."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

from support.colors import Color

from acp_langgraph.bridge.client import AsyncBridgeClient, BridgeClient

__all__ = ["call_bridge"]


def call_bridge(
    color: Color, where: Any, operation: str, *args: Any, client: Any = None, **options: Any
) -> Any:
    """Call one operation with a client of its own; `client` are the client's options."""
    settings = dict(client or {})
    own = settings.get("client")
    if color.name == "sync":
        with own or nullcontext(), BridgeClient(where, **settings) as bridge:
            return getattr(bridge, operation)(*args, **options)

    async def call() -> Any:
        async with own or nullcontext(), AsyncBridgeClient(where, **settings) as bridge:
            return await getattr(bridge, operation)(*args, **options)

    return asyncio.run(call())
