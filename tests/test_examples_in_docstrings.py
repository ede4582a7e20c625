"""What stands in a docstring as an example does what it says when it is copied."""

from __future__ import annotations

import re
import textwrap
import time
from typing import Any

from acp_langgraph.acp import client as acp_client
from acp_langgraph.quant import client as quant_client
from acp_langgraph.quant import tools
from acp_langgraph.testing import Answer, FakeACPServer, FakeQuant, FakeTool


def example(module: Any, begin: str) -> str:
    """The indented block of a module's docstring that begins like this."""
    blocks = re.findall(r"(?:^    .*\n)+", module.__doc__, re.MULTILINE)
    (found,) = (textwrap.dedent(each) for each in blocks if each.strip().startswith(begin))
    return found


def run(text: str, **names: Any) -> dict[str, Any]:
    exec(text, names)  # noqa: S102 - that is the test
    return names


def test_an_agent_is_found_by_its_name_and_run_by_its_id() -> None:
    with FakeACPServer({"mailcomposer": [Answer({"mail": "Hello"})]}) as server:
        text = example(acp_client, "with ACPClient").replace("http://127.0.0.1:8000", server.url)
        made = run(text, ACPClient=acp_client.ACPClient)
        assert made["outcome"].output.values == {"mail": "Hello"}


def test_a_tool_of_quants_is_waited_for() -> None:
    tool = FakeTool("draw", result={"n": 1})
    with FakeQuant([tool], scale=0.001) as server:
        client = quant_client.QuantClient(server.url, "acme")
        execution_id = server.start_execution(tool).execution_id
        text = example(quant_client, "tools = Tools()")
        made = run(text, **vars(tools), client=client, execution_id=execution_id, time=time)
        assert made["outcome"]["executionId"] == execution_id
        client.close()
