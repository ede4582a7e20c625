"""The demo's agents, served over A2A with the A2A project's own SDK.

    pip install "a2a-sdk[http-server]" && python examples/a2a_sdk/campaign.py
    acp-langgraph demo --agents http://127.0.0.1:8009 --protocol a2a

`GraphExecutor` serves any compiled graph that has a checkpointer: each task is a thread of it, what the
graph asks is the task's `input-required`, and its last state is the task's artifact.
"""

from __future__ import annotations

import argparse
import socket
from typing import Any

import uvicorn
from a2a.helpers import get_data_parts, get_text_parts, new_data_part, new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic_core import to_jsonable_python
from starlette.applications import Starlette
from starlette.routing import Mount

from acp_langgraph.demo import email_reviewer, mailcomposer

AGENTS = {
    "mailcomposer": (
        mailcomposer.build(),
        "Drafts a mail from a brief and changes it until a human approves.",
    ),
    "email_reviewer": (
        email_reviewer.build(),
        "Finds problems in a mail and corrects those that it can.",
    ),
}


class GraphExecutor(AgentExecutor):
    """Does A2A tasks with a compiled graph.

    Args:
        graph: The graph; it must have a checkpointer, which keeps what a question interrupted.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Begin a task, or go on with one that was answered."""
        assert context.message is not None  # noqa: S101 - the handler has seen to it
        parts = context.message.parts
        values: list[Any] = [*get_data_parts(parts), *get_text_parts(parts)]
        (said,) = values
        task = context.current_task
        given: Any = Command(resume=said) if task is not None else said
        if task is None:
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        thread: RunnableConfig = {"configurable": {"thread_id": task.id}}
        state = await self._graph.ainvoke(given, thread)
        if questions := state.get("__interrupt__"):
            asked = updater.new_agent_message([new_data_part(questions[0].value)])
            await updater.requires_input(asked)
        else:
            await updater.add_artifact([new_data_part(to_jsonable_python(state))], name="state")
            await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """End a task."""
        assert context.task_id is not None  # noqa: S101 - see execute
        assert context.context_id is not None  # noqa: S101 - see execute
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def served(name: str, url: str) -> Mount:
    """One of the agents, under its name below a URL."""
    graph, does = AGENTS[name]
    address = f"{url}/{name}/"
    card = AgentCard(
        name=name,
        description=does,
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=address, protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["application/json"],
        default_output_modes=["application/json"],
        skills=[AgentSkill(id=name, name=name, description=does, tags=["mail"])],
    )
    executor = GraphExecutor(graph.builder.compile(checkpointer=InMemorySaver()))
    handler = DefaultRequestHandler(executor, InMemoryTaskStore(), card)
    routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/")]
    return Mount(f"/{name}", routes=routes)


def main() -> None:
    """Serve them until Ctrl-C."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8009, help="0 for a free one")
    with socket.create_server(("127.0.0.1", parser.parse_args().port)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = Starlette(routes=[served(name, url) for name in AGENTS])
        print(f"acp-langgraph demo --agents {url} --protocol a2a", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listening])


if __name__ == "__main__":
    main()
