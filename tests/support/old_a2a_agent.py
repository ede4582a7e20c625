"""An agent made with the A2A project's SDK of 0.3, for its own environment; see `support.a2a_agent`.

    .old-a2a/bin/python tests/support/old_a2a_agent.py

The first line on standard output is its URL, as JSON. `/told` tells what a `Baker` has as attributes, and
`/when/held` and `/when/canceled` answer once that has happened.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from a2a.server.agent_execution import AgentExecutor
from a2a.server.apps import A2AStarletteApplication
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentSkill, DataPart, Part, TextPart
from a2a.utils import new_agent_text_message, new_task
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.baking import Baking, Release


def _data(value: Any) -> Part:
    # Only objects are data there.
    return Part(root=DataPart(data=value if isinstance(value, dict) else {"value": value}))


def _value(part: Any) -> Any:
    return part.root.text if isinstance(part.root, TextPart) else part.root.data


RELEASE = Release(
    updater=TaskUpdater,
    new_task=new_task,
    new_message=new_agent_text_message,
    text=lambda text: Part(root=TextPart(text=text)),
    data=_data,
    value=_value,
)


class Baker(Baking, AgentExecutor):
    """The agent, and what it tells of itself."""

    def __init__(self) -> None:
        self.held, self.ended = asyncio.Event(), asyncio.Event()
        super().__init__(RELEASE, self._wait, self.ended.set)

    async def _wait(self) -> None:
        self.held.set()
        await asyncio.Event().wait()

    async def told(self, _: Request) -> JSONResponse:
        names = ("executed", "inputs", "answers", "canceled")
        return JSONResponse({name: getattr(self, name) for name in names})

    async def when(self, request: Request) -> JSONResponse:
        await (self.held if request.path_params["what"] == "held" else self.ended).wait()
        return JSONResponse(None)


def main() -> None:
    agent = Baker()
    card = AgentCard(
        name="baker",
        description="Bakes pies.",
        url="http://localhost/",
        version="1.2.3",
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain", "application/json"],
        default_output_modes=["text/plain", "application/json"],
        skills=[AgentSkill(id="bake", name="Baking", description="Pies.", tags=["pie"])],
    )
    handler = DefaultRequestHandler(agent_executor=agent, task_store=InMemoryTaskStore())
    app = A2AStarletteApplication(agent_card=card, http_handler=handler).build()
    app.routes.append(Route("/told", agent.told))
    app.routes.append(Route("/when/{what}", agent.when))
    listening = socket.create_server(("127.0.0.1", 0))
    print(json.dumps(f"http://127.0.0.1:{listening.getsockname()[1]}"), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
