"""The wheel, installed without extras where nothing else is, works outside of the checkout.

The environment is empty but for what the base dependencies bring, linked from the one that the tests
run in, so that nothing is downloaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.agents import asking, echo

from acp_langgraph.server import serve

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

TRIAL = """
import asyncio, importlib.util, sys
from typing import TypedDict

for name in ("starlette", "uvicorn", "typer", "jsonschema", "langgraph.checkpoint.sqlite"):
    assert importlib.util.find_spec(name) is None, name

import acp_langgraph

assert "site-packages" in acp_langgraph.__file__
print("version", acp_langgraph.__version__)
for name in acp_langgraph.__all__:
    getattr(acp_langgraph, name)

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from acp_langgraph import ACPClient, ACPNode, AsyncACPClient
from acp_langgraph.testing import Answer, FakeACPServer


class State(TypedDict, total=False):
    question: dict
    answer: dict


url = sys.argv[1]
node = ACPNode("remote", "asking", url, input_path="question", output_path="answer")
builder = StateGraph(State).add_node(node).add_edge(START, "remote")
graph = builder.compile(checkpointer=InMemorySaver())
sync, later = ({"configurable": {"thread_id": each}} for each in "12")
graph.invoke({"question": {"text": "hi"}}, sync)
print("node", graph.invoke(Command(resume="yes"), sync)["answer"]["answers"])


async def awaiting():
    await graph.ainvoke({"question": {"text": "hi"}}, later)
    print("node", (await graph.ainvoke(Command(resume="no"), later))["answer"]["answers"])
    async with AsyncACPClient(url) as client:
        print("client", len(await client.search_agents({})))


asyncio.run(awaiting())
with ACPClient(url) as client:
    print("client", len(client.search_agents({})))
node.close()
with FakeACPServer([Answer({"text": "done"})]) as fake:
    with ACPClient(fake.url) as client:
        print("fake", len(client.search_agents({})))
try:
    import acp_langgraph.server
except ImportError as error:
    print("server", error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel is installed; its `bin` directory."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    binaries = place / "bin"
    (packages,) = place.glob("lib/python*/site-packages")
    for each in required(PROJECT["dependencies"]):
        link(each, packages)
    pip = [sys.executable, "-m", "pip", "--python", str(binaries / "python"), "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)], check=True
    )
    return binaries


def required(requirements: list[str]) -> Iterator[Distribution]:
    """What requirements bring, in whatever depth."""
    left, seen = [Requirement(each) for each in requirements], set[tuple[str, str]]()
    while left:
        wanted = left.pop()
        for extra in ("", *wanted.extras):
            if (wanted.name, extra) in seen:
                continue
            seen.add((wanted.name, extra))
            found = distribution(wanted.name)
            if not extra:
                yield found
            for each in map(Requirement, found.requires or ()):
                marker = each.marker
                if marker is None or marker.evaluate({"extra": extra}):
                    left.append(each)


def link(found: Distribution, packages: Path) -> None:
    for each in found.files or ():
        if ".." not in each.parts:
            target = packages / each
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(Path(str(each.locate())))


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_is_in_it_what_belongs_there_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (place,) = (name for name in names if name.endswith("dist-info/METADATA"))
        told = Parser().parsestr(archive.read(place).decode())
    tracked = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "acp_langgraph").rglob("*")
        if path.suffix in {".py", ".pyi", ".typed", ".html", ".js", ".css", ".svg"}
    }
    package = {name for name in names if name.startswith("acp_langgraph/")}
    assert package == tracked
    assert "acp_langgraph/py.typed" in package
    rest = {Path(name).name for name in names} - {Path(name).name for name in package}
    assert rest == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE"}
    assert told["Version"] == PROJECT["version"]
    assert told["License-Expression"] == "Apache-2.0"
    assert set(told.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


def test_without_extras_everything_works_but_what_says_which_extra_it_needs(
    environment: Path, tmp_path: Path
) -> None:
    with serve({"asking": asking("Send it?"), "echo": echo()}) as server:
        done = run(environment / "python", "-W", "error", "-c", TRIAL, server.url, cwd=tmp_path)
    assert not done.stderr
    *works, server_part = done.stdout.splitlines()
    assert server_part.endswith('is not installed: pip install "acp-langgraph[server]"')
    assert works == [
        f"version {PROJECT['version']}",
        "node ['yes']",
        "node ['no']",
        "client 2",
        "client 2",
        "fake 1",
    ]


def test_the_command_says_which_extra_it_needs(environment: Path, tmp_path: Path) -> None:
    done = run(environment / "acp-langgraph", "serve", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == 'the command line is an extra: pip install "acp-langgraph[cli]"\n'
