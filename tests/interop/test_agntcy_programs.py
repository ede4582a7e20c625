"""Programs for `agntcy_acp` do the same when only their import lines name `acp_langgraph.agntcy`.

The programs are in `tests/typing/agntcy_programs`, as they are after the change, where type checkers read
them too. Here each runs with the import lines as they were, by AGNTCY's own package on its own, and as they
are. `test_agntcy_acp.py` tells how that is installed.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.graphs import Gate, asking, echo, failing, streaming

from acp_langgraph.agntcy import ApiClient, ApiClientConfiguration
from acp_langgraph.server import RunningServer, serve
from acp_langgraph.testing import FakeACPServer

PROGRAMS = Path(__file__).parents[1] / "typing" / "agntcy_programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("[a-z]*.py"))
PRINTING = [name for name in NAMES if name != "headers"]  # of which it is told what it sends
VARIES = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|127\.0\.0\.1:\d{2,}|call \d+")
HEADERS = ("x-api-key", "x-team", "x-more", "cookie", "user-agent", "authorization", "content-type")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    gate = Gate()
    gate.open()
    agents = {
        "echo": echo(),
        "asking": asking({"question": "ok?", "draft": "hi"}),
        "failing": failing(),
        "streaming": streaming(gate),
    }
    with serve(agents) as server:
        yield server


@pytest.fixture(autouse=True)
def environment(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ACP_URL", server.url)
    for name, agent_id in server.agent_ids.items():
        monkeypatch.setenv(f"{name.upper()}_ID", agent_id)
    yield
    ApiClientConfiguration.set_default(None)
    ApiClient.set_default(None)


def before(program: str) -> str:
    """A program as it was, before its import lines were changed."""
    old = re.sub(r"^from acp_langgraph\.agntcy\b", "from agntcy_acp", program, flags=re.MULTILINE)
    assert len(old.splitlines()) == len(program.splitlines())
    return old


def output_of(program: str) -> str:
    """What a program prints, without ids."""
    module = ModuleType("a_program")
    sys.modules[module.__name__] = module  # pydantic and LangGraph look annotations up there
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(program, module.__name__, "exec"), module.__dict__)  # noqa: S102 - that is the test
    finally:
        del sys.modules[module.__name__]
    return VARIES.sub("...", said.getvalue())


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """AGNTCY's package; what its nodes import for mapped edges stands in for half a gigabyte."""
    pytest.importorskip("agntcy_acp", reason="see test_agntcy_acp.py how to install it")
    mapper: Any = ModuleType("agntcy_iomapper")
    mapper.IOMappingAgent = mapper.IOMappingAgentMetadata = object
    monkeypatch.setitem(sys.modules, mapper.__name__, mapper)


def test_there_are_at_least_twelve_programs() -> None:
    assert len(NAMES) >= 12


@pytest.mark.filterwarnings("ignore")  # of the reference's own
@pytest.mark.parametrize("name", PRINTING)
@pytest.mark.usefixtures("reference")
def test_a_program_prints_the_same_with_its_import_lines_changed(name: str) -> None:
    program = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
    assert "from acp_langgraph.agntcy" in program
    expected = output_of(before(program))
    assert expected
    assert output_of(program) == expected


@pytest.mark.filterwarnings("ignore")  # of the reference's own
@pytest.mark.usefixtures("reference")
def test_a_program_sends_the_same_headers_with_its_import_lines_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = (PROGRAMS / "headers.py").read_text(encoding="utf-8")
    told = []
    for text in (before(program), program):
        with FakeACPServer() as server:
            monkeypatch.setenv("ACP_URL", server.url)
            said = output_of(text)
            sent = [
                {name: each.headers[name] for name in HEADERS if name in each.headers}
                for each in server.requests
            ]
            told.append((said, sent))
    assert told[0] == told[1]
    assert told[1][1][1]["authorization"] == "Bearer of-one-request"


@pytest.mark.parametrize("name", PRINTING)
def test_a_program_runs_without_the_reference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agntcy_acp", None)
    assert output_of((PROGRAMS / f"{name}.py").read_text(encoding="utf-8"))
