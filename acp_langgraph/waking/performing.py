"""Who performs the flows of this folder: they do work here, and pause; all else is the nodes' own."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from acp_langgraph.core.flow import Pause, Work


class _Blocking:
    def work(self, work: Work[Any]) -> Any:
        return work.blocking()

    def pause(self, pause: Pause) -> None:
        time.sleep(pause.seconds)


class _Awaiting:
    async def work(self, work: Work[Any]) -> Any:
        return await work.awaiting()

    async def pause(self, pause: Pause) -> None:
        await asyncio.sleep(pause.seconds)


BLOCKING: Final[Any] = _Blocking()
AWAITING: Final[Any] = _Awaiting()
