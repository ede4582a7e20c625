"""A user's typed graph: only type checkers read this file, nothing runs it.

What must be refused is marked with an ignore for each checker, and both complain about an ignore
that they do not need: a wrong use that is accepted fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict, assert_type, cast

import httpx
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import RetryPolicy
from pydantic import BaseModel

import acp_langgraph
from acp_langgraph import (
    A2ANode,
    ACPClient,
    ACPNode,
    APIBridgeAgentNode,
    ApiClientConfiguration,
    ApiConnectionError,
    ApiException,
    ApiResponse,
    AsyncACPClient,
    AsyncBridgeClient,
    AsyncQuantClient,
    BridgeClient,
    FieldMetadata,
    FilePart,
    Finding,
    GraphReport,
    HeaderAuth,
    IOMappingAgentMetadata,
    MappingError,
    QuantChatNode,
    QuantClient,
    QuantOrchestrationNode,
    QuantTaskNode,
    QuantToolNode,
    RemoteEvent,
    RemoteGraphNode,
    RunError,
    TokenAuth,
    UnknownOutcomeError,
    acheck_graph,
    add_io_mapped_conditional_edge,
    add_io_mapped_edge,
    check_graph,
    checked,
)
from acp_langgraph.acp.models import Agent, RunStateless
from acp_langgraph.mapping import MappingPlan, coalesce, compile_input
from acp_langgraph.server import RunningServer, ServedAgent, serve
from acp_langgraph.testing import Answer, FakeACPServer, Fault


class Mail(TypedDict):
    subject: str
    body: str


class Review(BaseModel):
    correct: bool
    corrected: str | None = None


class State(TypedDict, total=False):
    mail: Mail
    review: Review


# Configuration

configuration = ApiClientConfiguration("https://agents.example.com", api_key="key", timeout=None)
assert_type(configuration.timeout, float | None)
assert_type(ApiClientConfiguration.from_env_prefix("MAIL_"), ApiClientConfiguration)
assert_type(acp_langgraph.__version__, str)

# Nodes

reviewer = ACPNode(
    "reviewer",
    "email_reviewer",
    configuration,
    input_path="mail",
    input_type=Mail,
    output_path="review",
    output_type=Review,
    run_timeout=60,
    on_unknown="rerun",
    stream_mode=["values", "custom"],
)
as_before = ACPNode("a", "b", configuration, "mail", Mail, "review", Review, None, None, {"x": "y"})
planned = ACPNode(
    "planned",
    "id",
    "http://localhost:8000",
    input={"body": coalesce("review.corrected", "mail.body")},
)
baker = A2ANode(
    "baker", configuration, "mail", Mail, output_path="pies", output_type=list[FilePart]
)
assert_type(A2ANode.from_card("https://baker.example", skill="bake", use_threads=True), A2ANode)
shouter = RemoteGraphNode(
    "shout", "shouter", configuration, "mail", Mail, context={"a": "mail.body"}
)
assert_type(RemoteGraphNode.from_assistant("http://localhost:2024", "a"), RemoteGraphNode)
bridge = APIBridgeAgentNode("send", "http://localhost:8080", "sendgrid", "mail", "review", None)
declared = ACPNode.from_agent(configuration, "reviewer", input_path="mail", use_threads=True)
assert_type(declared, ACPNode)
assert_type(declared.agent_id, str | None)
assert_type(reviewer.name, str)
runnable: Runnable[Any, dict[str, Any]] = reviewer
assert_type(reviewer.invoke({"mail": {"subject": "", "body": ""}}), dict[str, Any])
assert_type(reviewer.invoke(State()), dict[str, Any])


async def awaiting() -> None:
    assert_type(await ACPNode.afrom_agent("http://localhost:8000", "reviewer"), ACPNode)
    assert_type(await A2ANode.afrom_card("https://baker.example"), A2ANode)
    assert_type(await RemoteGraphNode.afrom_assistant("http://a", "b"), RemoteGraphNode)
    assert_type(await acheck_graph(graph), GraphReport)
    assert_type(await reviewer.ainvoke(State()), dict[str, Any])
    assert_type(await bridge.ainvoke(State()), dict[str, Any])
    async for _ in reviewer.astream(State()):
        pass
    await reviewer.aclose()


quant = [
    QuantToolNode("draw", organisation="acme", model_id="nova", tools=["generate_image"]),
    QuantChatNode("chat", organisation="acme", model_id="nova"),
    QuantTaskNode("do", reviewer, organisation="acme", task_id="7"),
    QuantOrchestrationNode("wait", organisation="acme", input_path="orchestration"),
]

# Graphs

builder = StateGraph(State)
builder.add_node(reviewer)
builder.add_node("again", planned, retry_policy=RetryPolicy())
builder.add_edge(START, "reviewer")
assert_type(
    add_io_mapped_edge(
        builder, reviewer, "again", {"field_mapping": {"mail.body": "review.corrected"}}
    ),
    MappingPlan,
)
add_io_mapped_edge(
    builder,
    "again",
    END,
    IOMappingAgentMetadata(input_fields=["mail", FieldMetadata(json_path="review")]),
    name="end",
)
plans = add_io_mapped_conditional_edge(
    builder, reviewer, lambda _: "done", {"done": {"end": END, "metadata": None}}
)
assert_type(plans["done"], MappingPlan)
graph: CompiledStateGraph[State, None, State, State] = builder.compile(checkpointer=InMemorySaver())
assert_type(checked(graph), CompiledStateGraph[State, None, State, State])
assert_type(check_graph(graph), GraphReport)
assert_type(check_graph(graph).errors, tuple[Finding, ...])
assert_type(compile_input("mail.body", state=State, agent=str), MappingPlan)

# Clients

with ACPClient(configuration) as client:
    assert_type(client, ACPClient)
    assert_type(client.search_agents({"name": "a"}), list[Agent])
    run = client.create_stateless_run({"input": {}}, timeout=5, headers={"x-user": "ada"})
    assert_type(run, RunStateless)
    assert_type(client.with_raw_response.search_agents({}), ApiResponse[list[Agent]])
    for update in client.create_and_stream_stateless_run_output({"input": {}}):
        print(update.data)


async def awaiting_clients() -> None:
    async with AsyncACPClient(configuration) as client:
        assert_type(await client.search_agents({"name": "a"}), list[Agent])
        assert_type(await client.get_stateless_run(run.run_id), RunStateless)
        async for update in client.create_and_stream_stateless_run_output({"input": {}}):
            print(update.data)
    async with AsyncBridgeClient("http://localhost:8080") as bridge:
        print((await bridge.query("sendgrid", "Please send a mail")).result)
    async with AsyncQuantClient(organisation="acme") as quant:
        print((await quant.list_ai_tool_names()).tools)


with BridgeClient("http://localhost:8080") as bridge_client:
    print(bridge_client.query("sendgrid", "Please send a mail").result)
with QuantClient(organisation="acme") as quant_client:
    print(quant_client.list_ai_tool_names().tools)
own = ACPNode("own", "id", None, client=httpx.Client(), async_client=httpx.AsyncClient())

# As whom


class Vault:
    """Gives tokens, both ways."""

    def token(self) -> str:
        """One, blocking."""
        return "token"

    async def atoken(self, config: RunnableConfig) -> dict[str, object]:
        """One, awaiting."""
        return {"access_token": "token", "expires_in": 3600, "for": config}


def for_user(config: RunnableConfig) -> dict[str, str]:
    """The headers of a user."""
    return {"x-user": config.get("configurable", {})["user"]}


ACPNode("own", "id", "http://h", auth=TokenAuth(Vault(), per="user_id"))
ACPNode("own", "id", "http://h", headers=for_user)
ACPClient("http://h", auth=HeaderAuth(for_user, per="user"))

# Errors

try:
    graph.invoke({"mail": {"subject": "", "body": ""}})
except UnknownOutcomeError as error:
    assert_type(error.key, str | None)
except RunError as error:
    assert_type(error.run_id, str | None)
except MappingError as error:
    assert_type(error.attempts, int)
except ApiConnectionError as error:
    assert_type(error.sent, bool)
except ApiException as error:
    assert_type(error.status, int)

# Events

for event in graph.stream({}, stream_mode="custom"):
    remote = cast("RemoteEvent", event)
    assert_type(remote["kind"], str)

# Serving, and the fakes

with serve({"reviewer": graph}, api_key="key", database=Path("runs.sqlite")) as server:
    assert_type(server, RunningServer)
    assert_type(server.url, str)
with serve([ServedAgent("reviewer", graph, description="Reviews mails")], port=8000):
    pass
with FakeACPServer([Answer({"text": "done"})]) as fake:
    fake.faults.add(Fault.lose_answer(), on="create_stateless_run")
    assert_type(fake.url, str)
