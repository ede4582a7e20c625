"""Agents and their descriptors, for people: 80 columns are enough, and a pipe is as good.

What an agent says of itself is printed as text: no markup, and nothing that moves the cursor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from acp_langgraph.a2a.card import AgentCard, FoundCard
from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.acp.models import Agent, AgentACPDescriptor, AgentCapabilities
from acp_langgraph.json_schema.reading import Document, Form, Schema, one_line, printable, said

_MOST_ROWS: Final = 100
_DEEPEST: Final = 4
_LONGEST_DESCRIPTION: Final = 2000


def show_agents(agents: Sequence[tuple[Agent, AgentACPDescriptor | None]], url: str) -> None:
    """Print a list of agents."""
    console = Console(highlight=False)
    if not agents:
        console.print(Text(f"There are no agents at {url}."))
        return
    many = "1 agent" if len(agents) == 1 else f"{len(agents)} agents"
    console.print(Text.assemble(many, " at ", (url, "bold")))
    for agent, descriptor in agents:
        ref = agent.metadata.ref
        head = Text.assemble(
            (one_line(ref.name), "bold cyan"), "  ", one_line(ref.version, 30), "  "
        )
        head.append(one_line(agent.agent_id, 60), "dim")
        console.print()
        console.print(head)
        if agent.metadata.description:
            words = one_line(agent.metadata.description, 300)
            console.print(Padding(Text(words), (0, 0, 0, 2), expand=False))
        can = "gives no descriptor" if descriptor is None else _abilities(descriptor)
        console.print(Padding(Text(can, "dim"), (0, 0, 0, 2), expand=False))
    first = one_line(agents[0][0].metadata.ref.name)
    console.print()
    console.print(Text(f"What one takes and gives: acp-langgraph agents {url} {first}", "dim"))


def show_agent(agent: FoundAgent, url: str) -> None:
    """Print what an agent says of itself, at a server or, without an id, in a file."""
    console = Console(highlight=False)
    metadata, specs = agent.descriptor.metadata, agent.descriptor.specs
    console.print(
        Text.assemble((one_line(agent.name), "bold cyan"), "  ", one_line(metadata.ref.version, 30))
    )
    if metadata.description.strip():
        console.print(Text(printable(metadata.description.strip())[:_LONGEST_DESCRIPTION]))
    facts = Table.grid(padding=(0, 2), expand=False)
    if agent.agent_id:
        facts.add_row(Text("id", "dim"), one_line(agent.agent_id, 60))
    facts.add_row(Text("at", "dim"), Text(url))
    facts.add_row(Text("can", "dim"), _abilities(agent.descriptor))
    if isinstance(agent, FoundCard):
        for what, said in _card(agent.card):
            facts.add_row(Text(what, "dim"), Text(one_line(said, 200)))
    console.print(facts)
    _section(console, "Takes", "input", specs.input)
    _section(console, "Gives", "output", specs.output)
    _section(console, "Config", "config.configurable", specs.config)
    for kind in specs.interrupts or ():
        name = one_line(kind.interrupt_type, 40)
        _section(console, f"May ask: {name}", "the question", kind.interrupt_payload)
        _section(console, "", "the answer, with Command(resume=...)", kind.resume_payload)
    if specs.custom_streaming_update is not None:
        _section(console, "Streams", "custom updates", specs.custom_streaming_update)
    console.print()
    named = f" {one_line(agent.name)}" if agent.agent_id else ""
    console.print(Text(f"As pydantic models: acp-langgraph types {url}{named}", "dim"))


def _card(card: AgentCard) -> Iterator[tuple[str, str]]:
    """What an A2A agent's card says beside what other agents' descriptors do."""
    for each in card.interfaces[:_MOST_ROWS]:
        yield "speaks", f"A2A {each.protocol_version} {each.protocol_binding} at {each.url}"
    if card.wants:
        yield "wants", card.wants
    for skill in card.skills[:_MOST_ROWS]:
        yield "skill", f"{skill.id}: {skill.description or skill.name}"


def _abilities(descriptor: AgentACPDescriptor) -> str:
    can: AgentCapabilities = descriptor.specs.capabilities
    kinds = [each.interrupt_type for each in descriptor.specs.interrupts or ()]
    streamed = [mode for mode in ("values", "custom") if getattr(can.streaming, mode, None)]
    said_of = {
        "remembers threads": can.threads,
        f"may ask ({one_line(', '.join(kinds), 100)})" if kinds else "may ask": can.interrupts,
        "calls webhooks": can.callbacks,
        f"streams {' and '.join(streamed)}": streamed,
    }
    return ", ".join(words for words, is_so in said_of.items() if is_so) or "only runs"


def _section(console: Console, title: str, what: str, schema: Schema) -> None:
    document = Document(schema)
    if title:
        console.print()
        console.print(Text.assemble((title, "bold"), "  ", (what, "dim")))
    else:
        console.print(Text(f"  {what}", "dim"))
    rows = list(_rows(schema, document, 0, set()))
    if not rows:
        console.print(Padding(Text(said(schema, document)), (0, 0, 0, 2), expand=False))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(max_width=30, overflow="fold")
    table.add_column(max_width=34, overflow="fold")
    remarked = any(words for _, _, words in rows)
    if remarked:
        table.add_column(overflow="fold")
    for name, kind, words in rows[:_MOST_ROWS]:
        remarks = [Text(words, "dim")] if remarked else []
        table.add_row(Text(name, "cyan"), Text(kind), *remarks)
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    if len(rows) > _MOST_ROWS:
        console.print(Text(f"  ... and {len(rows) - _MOST_ROWS} more; --json shows all", "dim"))


def _rows(
    schema: Schema, document: Document, depth: int, inside: set[int]
) -> Iterator[tuple[str, str, str]]:
    """A row for each field: its name, what it may be, and what is said of it."""
    record = _record(schema, document)
    if record is None or id(record["properties"]) in inside or depth > _DEEPEST:
        return
    inside = {*inside, id(record["properties"])}
    required = record.get("required")
    needed = required if isinstance(required, list) else []
    for name, below in record["properties"].items():
        shown = "  " * depth + one_line(name, 40)
        yield shown, said(below, document), _remarks(below, document, optional=name not in needed)
        items = _items(below, document)
        yield from _rows(below if items is None else items, document, depth + 1, inside)


def _record(schema: Schema, document: Document) -> Form | None:
    """The only alternative with fields, if there is one such."""
    found = [form for form in document.forms(schema) if isinstance(form.get("properties"), dict)]
    return found[0] if len(found) == 1 and found[0]["properties"] else None


def _items(schema: Schema, document: Document) -> Schema | None:
    lists = [form for form in document.forms(schema) if form.get("type") == "array"]
    return lists[0].get("items") if len(lists) == 1 else None


def _remarks(schema: Any, document: Document, *, optional: bool) -> str:
    said_of = schema if isinstance(schema, dict) else {}
    remarks = []
    if "default" in said_of:
        remarks.append(f"default {one_line(json.dumps(said_of['default']), 40)}")
    elif optional:
        remarks.append("optional")
    described = [said_of, *document.forms(schema)]
    words = next((each["description"] for each in described if each.get("description")), "")
    if isinstance(words, str) and words:
        remarks.append(one_line(words, 200))
    return "; ".join(remarks)
