"""`acp-langgraph check`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from acp_langgraph import errors
from acp_langgraph.cli.connecting import fail, needing
from acp_langgraph.cli.files import described, describes_an_agent
from acp_langgraph.json_schema.reading import printable

if TYPE_CHECKING:
    from acp_langgraph.acp.models import AgentACPDescriptor
    from acp_langgraph.checking.findings import CheckedNode, Finding, GraphReport


_STYLES = {"error": "red", "warning": "yellow", "unchecked": "magenta"}


def check(
    graphs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="GRAPH",
            help="A langgraph.json, or a graph: path/to/file.py:graph or package.module:graph. By "
            "default the langgraph.json of the current folder. Also files in which agents are "
            "described; name= before one is what the nodes call the agent.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Check that a graph's nodes fit their agents, before anything is run.

    Each node's input, output and config types are compared with its agent's live descriptor, and
    its paths with the graph's state. The servers and credentials are the nodes' own. An agent that a file
    describes (an ACP descriptor, an A2A card, a manifest or record of AGNTCY's) is not asked; whether the
    file keeps the rules is checked as well.

    ```
    acp-langgraph check my_graph.py:graph
    acp-langgraph check langgraph.json --strict
    acp-langgraph check my_graph.py:graph mailcomposer=manifest.json
    acp-langgraph check manifest.json
    ```

    An error is certain to go wrong, a warning may. The exit code is 0 if all fits, 1 if something
    does not, and 2 if it could not be told: a graph that cannot be loaded, a server that is away.
    """
    loading = needing("server", "acp_langgraph.server.loading")
    checking = needing("server", "acp_langgraph.checking.check")
    reports: dict[str, GraphReport] = {}
    files = [each for each in graphs or () if describes_an_agent(each.rpartition("=")[2])]
    descriptors: dict[str, AgentACPDescriptor] = {}
    for target in files:
        name, _, path = target.rpartition("=")
        agent = described(path, None, None)
        descriptors[name or agent.name] = agent.descriptor
        reports[target] = _report_of(agent, name or agent.name, path)
    try:
        for target in graphs or [loading.CONFIG_FILE]:
            if target in files:
                continue
            # Whoever runs a langgraph.json brings a checkpointer.
            hosted = Path(target).is_dir() or target.endswith(".json") or None
            for served in loading.load_agents([target], to_look_at=True):
                reports[served.name] = checking.check_graph(
                    served.graph, checkpointer=hosted, descriptors=descriptors
                )
    except (loading.LoadError, errors.NodeConfigurationError) as error:
        fail(str(error), 2)
    if as_json:
        typer.echo(json.dumps({name: asdict(each) for name, each in reports.items()}, indent=2))
    else:
        _show(reports, files)
    raise typer.Exit(_exit_code(reports, strict=strict))


def _report_of(agent: Any, name: str, path: str) -> GraphReport:
    """What is wrong with what an agent says of itself in a file."""
    from acp_langgraph.checking.findings import CheckedNode, Finding, GraphReport  # noqa: PLC0415 - not for --help

    advice = "have it corrected; what it says cannot be relied on"
    found = [Finding("error", name, name, "descriptor", each, advice) for each in _faults(agent)]
    checked = CheckedNode(name, agent.name, agent.descriptor.metadata.ref.version, path)
    return GraphReport((checked,), tuple(found))


def _faults(agent: Any) -> list[str]:
    from acp_langgraph.a2a.card import FoundCard  # noqa: PLC0415 - not for --help
    from acp_langgraph.a2a.peer import bindings_of  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.agents import descriptor_faults  # noqa: PLC0415 - not for --help

    if not isinstance(agent, FoundCard):
        return list(descriptor_faults(agent.descriptor))
    problem = ""
    for url in [each.url for each in agent.card.interfaces] or [""]:
        try:
            bindings_of(agent.card, url)
        except (errors.NodeConfigurationError, ValueError) as error:
            problem = str(error)
        else:
            return []
    return [problem]


def _exit_code(reports: dict[str, GraphReport], *, strict: bool) -> int:
    if any(report.errors or (strict and report.warnings) for report in reports.values()):
        return 1
    return 2 if any(report.unchecked for report in reports.values()) else 0


def _show(reports: dict[str, GraphReport], files: list[str]) -> None:
    console = Console(highlight=False)
    for name, report in reports.items():
        console.print(Text.assemble("file " if name in files else "graph ", (name, "bold")))
        if not report.nodes:
            console.print("  has no remote node")
        for node in report.nodes:
            found = [each for each in report.findings if each.node == node.node]
            _show_node(console, node, found, compared=name not in files)
    levels = [each.level for report in reports.values() for each in report.findings]
    counts = [
        (levels.count("error"), "error", "errors"),
        (levels.count("warning"), "warning", "warnings"),
        (levels.count("unchecked"), "agent could not be asked", "agents could not be asked"),
    ]
    told = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    nodes = sum(len(report.nodes) for name, report in reports.items() if name not in files)
    if told:
        console.print(", ".join(told))
    elif nodes:
        console.print("1 node fits" if nodes == 1 else f"all {nodes} nodes fit", style="green")


def _show_node(
    console: Console, node: CheckedNode, found: list[Finding], *, compared: bool
) -> None:
    mark = ("ok  ", "green")
    for level in ("warning", "unchecked", "error"):
        if any(each.level == level for each in found):
            mark = ("!!  " if level == "error" else "?   ", _STYLES[level])
    head = Text.assemble("  ", mark, (node.node, "bold"))
    if node.agent:
        head.append(f"  {node.agent} {node.version}".rstrip())
    head.append(f"  {node.url}", "dim")
    console.print(head)
    if compared and node.agent and node.version:
        what = ", ".join(node.compared) or "nothing: no types are declared"
        console.print(Padding(Text(f"compared: {what}", "dim"), (0, 0, 0, 6), expand=False))
    for each in found:
        told = Text.assemble((each.level, _STYLES[each.level]), " ", (each.path, "bold"))
        console.print(Padding(told, (0, 0, 0, 6), expand=False))
        console.print(Padding(Text(printable(each.problem)), (0, 0, 0, 8), expand=False))
        console.print(
            Padding(Text(f"-> {printable(each.advice)}", "dim"), (0, 0, 0, 8), expand=False)
        )
