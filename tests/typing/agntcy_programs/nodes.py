"""A graph with a remote agent that asks."""

import os
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel

from acp_langgraph.agntcy import ApiClientConfiguration, ApiException
from acp_langgraph.agntcy.langgraph.acp_node import ACPNode


class Given(BaseModel):
    text: str


class Came(BaseModel):
    text: str
    notes: list[Any] = []


class State(BaseModel):
    given: Given | None = None
    came: Came | None = None


def node(agent_id: str) -> ACPNode:
    return ACPNode(
        name="remote",
        agent_id=agent_id,
        client_config=ApiClientConfiguration(host=os.environ["ACP_URL"]),
        input_path="given",
        input_type=Given,
        output_path="came",
        output_type=Came,
        config_path="for_agent",
        auth_header={},
    )


def graph(agent_id: str) -> Any:
    builder = StateGraph(State)
    remote = node(agent_id)
    builder.add_node(remote.get_name(), remote)
    builder.add_edge(START, remote.get_name())
    builder.add_edge(remote.get_name(), END)
    return builder.compile(checkpointer=InMemorySaver())


def config(thread_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "for_agent": {"tone": "kind"}}}


echo = graph(os.environ["ECHO_ID"])
print(echo.invoke({"given": Given(text="hi")}, config("1"))["came"])
asking = graph(os.environ["ASKING_ID"])
asked = asking.invoke({"given": Given(text="hi")}, config("2"))
print(asked["__interrupt__"][0].value)
print(asking.invoke(Command(resume={"fine": True}), config("2"))["came"])
try:
    graph("11111111-1111-1111-1111-111111111111").invoke({"given": Given(text="")}, config("3"))
except (ApiException, LookupError) as error:
    print("agent" in str(error) or "404" in str(error))
