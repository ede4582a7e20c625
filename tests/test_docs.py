"""The documentation keeps its word: its code runs and prints what it says, its links and commands are there.

The blocks of a page are run in order, in one module, against the agents of `docs/start.md`, which are
served as it says. `mkdocs build --strict`, which `.ci/run` does, checks links between pages and the reference.
"""

from __future__ import annotations

import pkgutil
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from support.commands_page import page as commands_page
from typer.main import get_command

from acp_langgraph import errors
from acp_langgraph.cli import app
from acp_langgraph.server import serve

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
START = (DOCS / "start.md").read_text(encoding="utf-8")
SERVED = "http://127.0.0.1:8000"
BLOCK = re.compile(
    r"^( *)```python(?: title=\"([^\"\n]*)\")?\n(.*?)^ *```$", re.DOTALL | re.MULTILINE
)


def name_of(page: Path) -> str:
    return str(page.relative_to(DOCS))


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """The titles of a page's blocks of Python, and their text."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(title, textwrap.dedent(code)) for _, title, code in found]


def run(name: str, code: str, names: dict[str, Any]) -> None:
    exec(compile(code, name, "exec"), names)  # noqa: S102 - that is the test


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The agents that every page talks to."""
    (code,) = (code for title, code in blocks_of(DOCS / "start.md") if title == "agents.py")
    names: dict[str, Any] = {"__name__": "agents"}
    run("agents.py", code, names)
    with serve({each: names[each] for each in ("editor", "baker", "teller")}) as server:
        yield server.url


@pytest.mark.parametrize("page", [each for each in PAGES if blocks_of(each)], ids=name_of)
def test_the_code_of_a_page_runs_and_prints_what_it_says(
    page: Path,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # blocks with a title are files, which others import
    module = ModuleType("page")  # types are looked up in the module that they are in
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for title, _ in blocks_of(page):
        monkeypatch.delitem(sys.modules, title.removesuffix(".py"), raising=False)
    with ExitStack() as stack:
        module.__dict__["_stack"] = stack
        for number, (title, code) in enumerate(blocks_of(page), 1):
            if title:
                Path(title).write_text(code, encoding="utf-8")
            run(f"{name_of(page)}, block {number}", code.replace(SERVED, url), module.__dict__)
            for name, test in [*vars(module).items()]:
                if name.startswith("test_") and f"def {name}(" in code:
                    test()
            printed = capsys.readouterr().out.splitlines()
            told = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)
            assert [each for each in told if each not in printed] == []


def test_the_agents_of_the_pages_are_served_as_start_says() -> None:
    (command,) = re.findall(r"acp-langgraph serve editor=.*", START)
    assert command.split()[2:] == [
        f"{each}=agents.py:{each}" for each in ("editor", "baker", "teller")
    ]


# Commands and extras


def commands_on(text: str) -> list[list[str]]:
    return [
        each.split()
        for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)
        for each in re.findall(r"acp-langgraph ([^\n&|#]*)", block.replace("\\\n", " "))
    ]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_commands_and_their_options_are_there(page: Path) -> None:
    known = get_command(app)
    assert isinstance(known, typer.core.TyperGroup)
    for name, *arguments in commands_on(page.read_text(encoding="utf-8")):
        options = {
            each for of in known.commands[name].params for each in [*of.opts, *of.secondary_opts]
        }
        missing = [each for each in arguments if each.startswith("-") and each not in options]
        assert missing == [], name


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_extras_that_are_named_are_there(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(project["project"]["optional-dependencies"])
    named = re.findall(r'pip install "\.\[([\w,]+)\]"', page.read_text(encoding="utf-8"))
    assert {extra for each in named for extra in each.split(",")} <= extras


def there(name: str) -> bool:
    """Whether a dotted name is there, or a file, or an option of a command."""
    if name.startswith("--"):
        commands = get_command(app).commands.values()  # type: ignore[attr-defined]
        return any(
            name in [*each.opts, *each.secondary_opts]
            for command in commands
            for each in command.params
        )
    if "/" in name:
        return (ROOT / name).exists()
    try:
        found: Any = pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return found is not None


NAMED = re.compile(
    r"`((?:examples|tests|docs|acp_langgraph)/[\w./]+|acp_langgraph\.[\w.]+\w|--[a-z][a-z-]+)[ `(]"
)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    loggers = {
        "acp_langgraph.runs",
        "acp_langgraph.http",
        "acp_langgraph.suspended",
        "acp_langgraph.waking",
    }
    others = {"--preload", "--kills", "--mutants", "--limits", "--real", "--json", "--stored"}
    assert [each for each in sorted(named - loggers - others) if not there(each)] == []


@pytest.mark.parametrize(
    "module", ["", ".server", ".testing", ".mapping", ".nodes.quant"], ids=lambda of: of or "nodes"
)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    told = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    names = set(import_module(f"acp_langgraph{module}").__all__) - set(errors.__all__)
    assert [each for each in sorted(names) if not re.search(rf"\b{each}\b", told)] == []


# What a reader asks

LINK = re.compile(r"\]\((?!http)([^)#\s]+)(?:#([^)\s]*))?\)")


def links_of(page: Path) -> set[tuple[Path, str]]:
    """The pages that a page links to, and where on them."""
    found = LINK.findall(page.read_text(encoding="utf-8"))
    return {((page.parent / target).resolve(), anchor) for target, anchor in found}


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", each.lower())).strip("-")
        for each in headings
    }


QUESTIONS = {
    "How do I resume?": ("guides/questions.md", "Command(resume="),
    "What happens if my process dies?": ("guarantees.md", "## If your process dies"),
    "Can I use it with FastAPI?": ("guides/web.md", "from fastapi import FastAPI"),
    "How do I mock it?": ("guides/testing.md", "FakeACPServer"),
    "How do I move from RemoteGraph?": ("migrate/remote-graph.md", "`RemoteGraphNode("),
}


@pytest.mark.parametrize("first", ["README.md", "docs/index.md"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_readers_question_is_answered_within_two_clicks(question: str, first: str) -> None:
    name, answer = QUESTIONS[question]
    wanted = DOCS / name
    assert answer in wanted.read_text(encoding="utf-8")
    assert question in (ROOT / first).read_text(encoding="utf-8")
    one = {page for page, _ in links_of(ROOT / first)}
    two = {page for each in one if each.suffix == ".md" for page, _ in links_of(each)}
    assert wanted in one | two


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "examples/README.md"]
)
def test_links_of_a_page_outside_of_the_documentation_lead_somewhere(page: str) -> None:
    for target, anchor in links_of(ROOT / page):
        assert target.exists(), target
        assert not anchor or anchor in anchors_of(target), (target, anchor)


def test_every_page_is_in_the_navigation() -> None:
    """And so in `llms.txt`, which is made of it."""
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == [name_of(page) for page in PAGES]


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    written = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8").splitlines()
    told = "python tests/support/commands_page.py > docs/reference/commands.md"
    assert written == list(commands_page()), told
