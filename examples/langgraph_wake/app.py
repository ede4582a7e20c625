"""What is mounted into the LangGraph Server: where the agents' servers say that a run is done."""

from __future__ import annotations

import os

from dinner import graph  # noqa: F401 - its nodes tell how their runs are
from starlette.applications import Starlette
from starlette.routing import Mount

from acp_langgraph import LangGraphServer, WakeApp

server = LangGraphServer(os.environ.get("LANGGRAPH_URL", "http://127.0.0.1:2024"))
secret = os.environ["ACP_LANGGRAPH_WAKE_SECRET"]
app = Starlette(routes=[Mount("/wake", WakeApp(server, secret=secret))])
