"""A model calls a remote agent as a tool, and the agent asks a question on the way.

    python examples/agent_as_tool.py

The model is a scripted one, so that no key is needed; any chat model with tools takes its place. The
agent's description and input come from its descriptor. One call is one remote run, also if the process
dies between question and answer.
"""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt

from acp_langgraph import ACPNode
from acp_langgraph.server import serve


class Order(TypedDict, total=False):
    """The agent's state."""

    pizza: str
    size: str


class ScriptedModel(GenericFakeChatModel):
    """Says what it was told to say, whatever tools it is given."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        """Take note of the tools."""
        for tool in tools:
            print(f"the model may call {tool.name}: {tool.description} It takes {list(tool.args)}")
        return self


def bake(state: Order) -> Order:
    """Ask for what is missing."""
    return {"size": interrupt(f"Which size should the {state['pizza']} have?")}


def main() -> None:
    """Order a pizza through a model."""
    agent = StateGraph(Order).add_node(bake).add_edge(START, "bake").compile()
    call = {"name": "baker", "args": {"pizza": "Margherita"}, "id": "call_1"}
    script = iter([AIMessage("", tool_calls=[call]), AIMessage("Your Margherita is on its way.")])
    with serve({"baker": agent}) as server:
        baker = ACPNode("baker", "baker", server.url)
        baker.describe()
        tool = baker.as_tool(description="Bakes a pizza.")
        model = ScriptedModel(messages=script).bind_tools([tool])

        builder = StateGraph(MessagesState)
        builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
        builder.add_node("tools", ToolNode([tool]))
        builder.add_edge(START, "model").add_conditional_edges("model", tools_condition)
        builder.add_edge("tools", "model")
        graph = builder.compile(checkpointer=InMemorySaver())

        config: RunnableConfig = {"configurable": {"thread_id": "table 5"}}
        paused = graph.invoke({"messages": [HumanMessage("A pizza, please.")]}, config)
        print("the agent asks:", paused["__interrupt__"][0].value)
        done = graph.invoke(Command(resume="L"), config)
        for message in done["messages"]:
            print(f"{message.type}: {message.content or message.tool_calls[0]['args']}")
        print(server.count_runs())


if __name__ == "__main__":
    main()
