"""What type checkers must refuse: only they read this file, nothing runs it.

Every mistake is marked with an ignore for each checker, and both complain about an ignore that they do
not need: a mistake that is accepted fails.
"""

from __future__ import annotations

from typing import TypedDict

import httpx
from langgraph.graph import END, StateGraph

import acp_langgraph
from acp_langgraph import (
    ACPClient,
    ACPNode,
    APIBridgeAgentNode,
    ApiClientConfiguration,
    AsyncACPClient,
    QuantToolNode,
    TokenAuth,
    add_io_mapped_conditional_edge,
    add_io_mapped_edge,
)
from acp_langgraph.server import serve

URL = "http://localhost:8000"


class State(TypedDict, total=False):
    mail: str


builder = StateGraph(State)

# Names

acp_langgraph.serve({})  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

# Configuration

ApiClientConfiguration(URL, apikey="key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ApiClientConfiguration(URL, timeout="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ApiClientConfiguration(URL, "key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ApiClientConfiguration.from_env_prefix("MAIL_", retry=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

# Nodes

ACPNode("a", None, URL)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPNode("a", "b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ACPNode("a", "b", URL, input_pth="mail")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ACPNode("a", "b", URL, run_timeout="60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPNode("a", "b", URL, stream_mode="messages")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPNode("a", "b", URL, on_unknown="retry")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPNode("a", "b", URL, client=httpx.AsyncClient())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPNode("a", "b", URL, async_client=httpx.Client())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPNode("a", "b", URL, auth_header="Bearer x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPNode("a", "b", URL, auth="Bearer x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
TokenAuth("token")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
TokenAuth(str, per=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
APIBridgeAgentNode("a", URL, "b", mode="services")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
QuantToolNode("a", organization="acme")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
node = ACPNode("a", "b", URL)

node.ainvoke({})["mail"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
builder.add_node(ACPNode)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]

# Edges

add_io_mapped_edge(builder.compile(), "a", END)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
add_io_mapped_edge(builder, "a", END, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
add_io_mapped_conditional_edge(builder, "a", str, ["b"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# Clients

with AsyncACPClient(URL) as client:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
    pass
ACPClient(URL, client=httpx.AsyncClient())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPClient(URL).search_agents(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPClient(URL).search_agents({}, timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ACPClient(URL).get_stateless_run(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
AsyncACPClient(URL).search_agents({})[0]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]

# Serving

serve({"a": builder})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
serve(builder.compile())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
serve({"a": builder.compile()}, apikey="key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
print(serve({"a": builder.compile()}).url)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType]
