"""Sending calls by a transport, in both colors."""

from __future__ import annotations

import asyncio
from typing import Any

from support.colors import Color

from acp_langgraph.core.calls import Call
from acp_langgraph.transport import AsyncTransport, Transport

__all__ = ["send"]


def send(color: Color, configuration: Any, *calls: Call[Any], **options: Any) -> list[Any]:
    """Send calls one after the other with one transport."""
    if color.name == "sync":
        with Transport(configuration, **options) as transport:
            return [transport.send(call) for call in calls]

    async def run() -> list[Any]:
        async with AsyncTransport(configuration, **options) as transport:
            return [await transport.send(call) for call in calls]

    return asyncio.run(run())
