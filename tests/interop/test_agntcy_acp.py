"""AGNTCY's own clients against our server: every operation that they have, every answer parsed.

They are in `agntcy-acp`, whose dependencies are many; its clients need few of them:

    pip install --no-deps agntcy-acp==1.5.2
    pip install aiohttp-retry python-dateutil pyyaml urllib3
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from support.graphs import asking

from acp_langgraph.acp.calls import OPERATIONS
from acp_langgraph.server import RunningServer, serve

agntcy_acp = pytest.importorskip("agntcy_acp", reason="see above how to install it")
models = pytest.importorskip("agntcy_acp.acp_v0.models")

BODIES: dict[str, Callable[[], Any]] = {
    "search_agents": lambda: models.AgentSearchRequest(name="asking"),
    "create_thread": lambda: models.ThreadCreate(metadata={"a": 1}),
    "search_threads": lambda: models.ThreadSearchRequest(status="idle"),
    "patch_thread": lambda: models.ThreadPatch(metadata={"a": 1}),
    "search_stateless_runs": lambda: models.RunSearchRequest(metadata={"a": 1}),
    "resume_stateless_run": lambda: {"any": "answer"},
    "resume_thread_run": lambda: {"any": "answer"},
}
GIVES = {
    "search_agents": "Agent",
    "get_agent_by_id": "Agent",
    "get_acp_descriptor_by_id": "AgentACPDescriptor",
    "create_thread": "Thread",
    "search_threads": "Thread",
    "get_thread": "Thread",
    "patch_thread": "Thread",
    "copy_thread": "Thread",
    "get_thread_history": "ThreadState",
    "list_thread_runs": "RunStateful",
    "search_stateless_runs": "RunStateless",
}
NEED_A_RUN = {"list_thread_runs", "get_thread_history", "search_stateless_runs"}
CASES = [(each.path, name) for name, each in OPERATIONS.items()]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with serve({"asking": asking({"question": "ok?"})}) as server:
        yield server


def arguments(server: RunningServer, path: str, name: str) -> list[Any]:
    """What an operation is called with: the ids in its path, then its body."""
    with httpx.Client(base_url=server.url) as client:
        thread = client.post("/threads", json={}).json()["thread_id"]
        runs = f"/threads/{thread}/runs" if "thread_id" in path else "/runs"
        ids = {"agent_id": server.agent_ids["asking"], "thread_id": thread}
        if "run_id" in path or name in NEED_A_RUN:
            made = client.post(f"{runs}/wait", json={"metadata": {"a": 1}}).json()
            ids["run_id"] = made["run"]["run_id"]
    given: list[Any] = [ids[part[1:-1]] for part in path.split("/") if part.startswith("{")]
    if name in BODIES:
        given.append(BODIES[name]())
    elif name.startswith("create_"):
        kind = models.RunCreateStateful if "thread" in path else models.RunCreateStateless
        given.append(kind(agent_id=ids["agent_id"], input={"text": "hi"}, metadata={"a": 1}))
    return given


def call_sync(server: RunningServer, name: str, given: list[Any]) -> Any:
    configuration = agntcy_acp.ApiClientConfiguration(host=server.url)
    with agntcy_acp.ApiClient(configuration) as api:
        answer = getattr(agntcy_acp.ACPClient(api), name)(*given)
        return list(answer) if "stream" in name else answer


async def call_async(server: RunningServer, name: str, given: list[Any]) -> Any:
    configuration = agntcy_acp.ApiClientConfiguration(host=server.url)
    async with agntcy_acp.AsyncApiClient(configuration) as api:
        answer = getattr(agntcy_acp.AsyncACPClient(api), name)(*given)
        if "stream" in name:
            return [event async for event in answer]
        return await answer


@pytest.mark.filterwarnings("ignore")  # of the clients' own
@pytest.mark.parametrize(("path", "name"), CASES, ids=[name for _, name in CASES])
def test_an_answer_is_parsed(server, color, path, name):
    given = arguments(server, path, name)

    if color.name == "sync":
        answer = call_sync(server, name, given)
    else:
        answer = asyncio.run(call_async(server, name, given))

    if name.startswith(("delete_", "cancel_")):
        assert answer is None
    elif "stream" in name:
        assert {type(each).__name__ for each in answer} == {"RunOutputStream"}
        assert answer[-1].data.actual_instance.type == "interrupt"
    elif "wait" in name:
        assert answer.output.actual_instance.interrupt == {"question": "ok?"}
    else:
        kind = GIVES.get(name, "RunStateful" if "thread" in path else "RunStateless")
        found = answer if isinstance(answer, list) else [answer]
        assert {type(each).__name__ for each in found} == {kind}
