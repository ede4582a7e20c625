"""A model with two remote agents as tools, and a human who answers one and approves the other.

    pip install langchain
    python examples/remote_tools.py

The writer asks a question of its own. The sender asks nothing, so LangChain's middleware has the human
approve the call before it is made. Both are interrupts of the one graph, and each call is one remote
run. The model is a scripted one, so that no key is needed; any chat model with tools takes its place.
"""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from acp_langgraph import ACPNode
from acp_langgraph.server import serve

try:
    from langchain.agents import create_agent
    from langchain.agents.middleware import HumanInTheLoopMiddleware
except ImportError as error:
    raise SystemExit(f"There is no {error.name}; see the top of {__file__}") from None


class Draft(TypedDict, total=False):
    """The writer's state."""

    subject: str
    mail: str


class Mail(TypedDict, total=False):
    """The sender's state."""

    mail: str
    sent: str


class ScriptedModel(GenericFakeChatModel):
    """Says what it was told to say, whatever tools it is given."""

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        """Leave the tools be."""
        return self


def write(state: Draft) -> Draft:
    """Write the mail, in the tone that somebody wants."""
    tone = interrupt(f"In which tone shall the mail about {state['subject']} be?")
    return {"mail": f"A {tone} mail about {state['subject']}"}


def send(state: Mail) -> Mail:
    """Stands for what cannot be undone."""
    return {"sent": f"Sent: {state['mail']}."}


def calling(tool: str, **arguments: str) -> AIMessage:
    """What a model says that wants a tool called."""
    return AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": tool}])


def main() -> None:
    """Have a mail written and sent."""
    says = [
        calling("writer", subject="the picnic"),
        calling("sender", mail="A cheerful mail about the picnic"),
        AIMessage("The mail is on its way."),
    ]
    writer = StateGraph(Draft).add_node(write).add_edge(START, "write").compile()
    sender = StateGraph(Mail).add_node(send).add_edge(START, "send").compile()
    with serve({"writer": writer, "sender": sender}) as server:
        agent: Any = create_agent(
            ScriptedModel(messages=iter(says)),
            [
                ACPNode.from_agent(server.url, "writer").as_tool(description="Writes a mail."),
                ACPNode.from_agent(server.url, "sender").as_tool(description="Sends a mail."),
            ],
            middleware=[HumanInTheLoopMiddleware(interrupt_on={"sender": True})],
            checkpointer=InMemorySaver(),
        )
        config: RunnableConfig = {"configurable": {"thread_id": "1"}}
        asked = agent.invoke({"messages": "Invite everybody to the picnic."}, config)
        print("the writer asks:", asked["__interrupt__"][0].value)

        asked = agent.invoke(Command(resume="cheerful"), config)
        (call,) = asked["__interrupt__"][0].value["action_requests"]
        print("to be approved:", call["name"], call["args"])

        done = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
        for message in done["messages"]:
            print(f"{message.type}: {message.text or message.tool_calls[0]['args']}")
        print(server.count_runs())


if __name__ == "__main__":
    main()
