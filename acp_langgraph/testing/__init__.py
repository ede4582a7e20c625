"""Fake servers for tests: they speak the protocols, count what was done, and fail when told to.

They run in threads of the test's own process, on a free port of 127.0.0.1, and need no extra:

    import httpx
    from acp_langgraph.testing import Answer, Ask, FakeACPServer, Fault

    def test_a_resume_is_counted_once_although_its_answer_was_lost():
        script = [Ask("Send it?"), Answer({"text": "sent"})]
        with FakeACPServer(script) as server, httpx.Client(base_url=server.url) as client:
            run = client.post("/runs", json={"input": {"to": "you"}}).json()
            server.faults.add(Fault.lose_answer(), on="resume_stateless_run")
            try:
                client.post(f"/runs/{run['run_id']}", json="yes")
            except httpx.RemoteProtocolError:
                pass
            assert client.get(f"/runs/{run['run_id']}").json()["status"] == "success"
            assert server.run.answers == ["yes"]

* `FakeACPServer`: an ACP server of agents that play scripts of `Answer`, `Ask`, `Emit`, `Fail` and
  `Work`. It keeps a `FakeRun` of each run; `ACPBehavior` names the ways in which servers differ.
* `FakeA2AServer`: an A2A agent whose `FakeA2ATask`s play such scripts; `A2ABehavior` names how they differ.
* `FakeBridge`: an API Bridge in front of `BridgeService`s, which are plain functions; it keeps every
  `BridgeQuery` that reached one.
* `FakeLangGraphServer`: a server of LangGraph's Agent Protocol whose graphs play the same scripts, on
  threads; `GraphBehavior` names the ways in which these servers differ.
* `FakeQuant`: Quant's AI service with `FakeTool`s, orchestrations, durable chats and tasks, in the time
  that they take or a fraction of it; `acp_langgraph.testing.quant` has more.
* `Fault`: what can go wrong with a request, added to `server.faults`.
* `Gate`: holds a request, an answer or a run until the test opens it; nobody needs to sleep.
* `FaultyProxy`: the same faults and the same log in front of any other server.
* `FakeHTTPServer`, `RecordedRequest`, `Response`: to build a server of another protocol on.
"""

from acp_langgraph.testing.a2a import A2A_OPERATIONS, FakeA2AServer
from acp_langgraph.testing.a2a_wire import A2A_REJECTED, A2ABehavior, FakeA2ATask
from acp_langgraph.testing.acp import FakeACPServer
from acp_langgraph.testing.behavior import ACP_OPERATIONS, AGNTCY, ACPBehavior
from acp_langgraph.testing.bridge import BRIDGE_ERRORS, BridgeQuery, BridgeService, FakeBridge
from acp_langgraph.testing.connection import ConnectionGone
from acp_langgraph.testing.faults import Fault, FaultRule, Faults
from acp_langgraph.testing.http import FakeHTTPServer
from acp_langgraph.testing.langgraph import FakeLangGraphServer
from acp_langgraph.testing.proxy import FaultyProxy
from acp_langgraph.testing.quant import FakeQuant, FakeTool
from acp_langgraph.testing.requests import RecordedRequest, RequestLog
from acp_langgraph.testing.responses import Gate, Response
from acp_langgraph.testing.runs import Answer, Ask, Emit, Fail, FakeAgent, FakeRun, FakeThread, Work
from acp_langgraph.testing.threads import AEGRA, GraphBehavior

__all__ = [
    "A2A_OPERATIONS",
    "A2A_REJECTED",
    "ACP_OPERATIONS",
    "AEGRA",
    "AGNTCY",
    "BRIDGE_ERRORS",
    "A2ABehavior",
    "ACPBehavior",
    "Answer",
    "Ask",
    "BridgeQuery",
    "BridgeService",
    "ConnectionGone",
    "Emit",
    "Fail",
    "FakeA2AServer",
    "FakeA2ATask",
    "FakeACPServer",
    "FakeAgent",
    "FakeBridge",
    "FakeHTTPServer",
    "FakeLangGraphServer",
    "FakeQuant",
    "FakeRun",
    "FakeThread",
    "FakeTool",
    "Fault",
    "FaultRule",
    "Faults",
    "FaultyProxy",
    "Gate",
    "GraphBehavior",
    "RecordedRequest",
    "RequestLog",
    "Response",
    "Work",
]
