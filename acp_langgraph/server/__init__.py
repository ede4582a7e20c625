"""An ACP server for compiled LangGraph graphs (extra `server`).

    with serve({"mailcomposer": graph}) as server:       # in a thread, for tests and notebooks
        print(server.url, server.agent_ids["mailcomposer"])

`create_app` gives the ASGI application alone; `run_server` serves in the foreground.
"""

from __future__ import annotations

try:
    import jsonschema
    import starlette
    import uvicorn
except ImportError as error:
    raise ImportError(
        f"acp_langgraph.server needs {error.name}, which is not installed: "
        'pip install "acp-langgraph[server]"',
        name=error.name,
    ) from error

from acp_langgraph.server.agents import AgentInterrupt, ServedAgent
from acp_langgraph.server.app import create_app
from acp_langgraph.server.database import DatabaseError
from acp_langgraph.server.middleware import SeenRequest
from acp_langgraph.server.serving import RunningServer, run_server, serve
from acp_langgraph.server.webhooks import WebhookPolicy
from acp_langgraph.server.wire import Limits

__all__ = [
    "AgentInterrupt",
    "DatabaseError",
    "Limits",
    "RunningServer",
    "SeenRequest",
    "ServedAgent",
    "WebhookPolicy",
    "create_app",
    "run_server",
    "serve",
]

del jsonschema, starlette, uvicorn
