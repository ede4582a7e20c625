"""The demo's mail composer, served over A2A with the A2A project's own SDK, as a node.

    pip install "a2a-sdk[http-server]" && python examples/a2a_sdk/mail_composer.py

`GraphExecutor` serves any compiled graph that has a checkpointer: each task is a thread of it, what the
graph asks is the task's `input-required`, and its last state is the task's artifact.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import uvicorn
from a2a.helpers import get_data_parts, new_data_part, new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from starlette.applications import Starlette

from acp_langgraph import A2ANode
from acp_langgraph.demo import mailcomposer


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
        (said,) = get_data_parts(context.message.parts)
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
            await updater.add_artifact([new_data_part(state)], name="state")
            await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """End a task."""
        assert context.task_id is not None  # noqa: S101 - see execute
        assert context.context_id is not None  # noqa: S101 - see execute
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def application(url: str) -> Starlette:
    """The mail composer as an A2A agent at this address."""
    composer = mailcomposer.build().builder.compile(checkpointer=InMemorySaver())
    interface = AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")
    does = "Drafts a mail from a brief and changes it until a human approves."
    card = AgentCard(
        name="mailcomposer",
        description=does,
        version="1.0.0",
        supported_interfaces=[interface],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["application/json"],
        default_output_modes=["application/json"],
        skills=[AgentSkill(id="compose", name="Composing", description=does, tags=["mail"])],
    )
    handler = DefaultRequestHandler(GraphExecutor(composer), InMemoryTaskStore(), card)
    routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/")]
    return Starlette(routes=routes)


@contextmanager
def served() -> Iterator[str]:
    """The agent in a thread, on a free port; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server = uvicorn.Server(uvicorn.Config(application(url), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield url
        server.should_exit = True
        thread.join()


class State(TypedDict, total=False):
    """The state of the graph that has mails written."""

    brief: dict[str, Any]
    draft: dict[str, Any]


def main() -> None:
    """Have a mail written, and approve it."""
    with served() as url:
        node = A2ANode.from_card(url, input_path="brief", output_path="draft")
        builder = StateGraph(State).add_node(node).add_edge(START, node.name)
        graph = builder.compile(checkpointer=InMemorySaver())
        config: RunnableConfig = {"configurable": {"thread_id": "1"}}
        brief = {"text": "We open a second bakery on Monday.", "audience": "general"}
        (question,) = graph.invoke({"brief": brief}, config)["__interrupt__"]
        print(question.value["question"])
        print(graph.invoke(Command(resume={"approve": True}), config)["draft"])


if __name__ == "__main__":
    main()
