"""One node compared: with the state that it is in, and with what its agent says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from acp_langgraph.acp.agents import FoundAgent, contradictions, descriptor_faults
from acp_langgraph.acp.models import AgentACPSpec
from acp_langgraph.checking.declared import (
    held_schema,
    planned_schema,
    sent_schema,
    state_schema,
    taken_schema,
)
from acp_langgraph.checking.findings import Finding, Level, PlacedNode
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.json_schema.fitting import Misfit, misfits
from acp_langgraph.json_schema.reading import ANYTHING, Document, Schema, one_line
from acp_langgraph.json_schema.types import type_from_json_schema
from acp_langgraph.mapping import compile_path
from acp_langgraph.nodes.agent import AgentNode
from acp_langgraph.nodes.ports import InputPort


def state_findings(placed: PlacedNode) -> Iterator[Finding]:
    """Where a node reads from, or writes to, what the state does not have."""
    state = placed.state
    if state is None:
        return
    for port in placed.node.ports:
        is_read = isinstance(port, InputPort)
        places = port.plan.reads if is_read else port.plan.writes
        what = port.what if port.path is None else f"{port.what}_path"
        for path in places:
            problem = _no_place([state.read] if is_read else state.schemas, str(path))
            if problem:
                yield _found(placed, "error", what, problem, "correct the path")


def agent_findings(placed: PlacedNode, agent: FoundAgent) -> Iterator[Finding]:
    """What of a node does not fit its agent's descriptor."""
    node, specs = placed.node, agent.descriptor.specs
    assert isinstance(node, AgentNode)  # noqa: S101 - others have no descriptor
    for fault in _faults(agent):
        advice = "have the agent's descriptor corrected; what it says cannot be relied on"
        yield _found(placed, "warning", "descriptor", one_line(fault, 300), advice)
    for path, (given, wanted) in _schemas(placed, specs).items():
        if path == "output":
            yield from _output_misfits(placed, given, wanted)
            continue
        for misfit in misfits(given, wanted):
            problem, advice = _said(misfit, path, "the node", "the agent")
            yield _found(placed, _level(misfit), _place(path, misfit), problem, advice)
    yield from _mapped_paths(placed, specs)
    yield from _capabilities(placed, node, specs)


def compared(placed: PlacedNode, agent: FoundAgent) -> tuple[str, ...]:
    """Which of a node's types say something that the agent's schemas also speak of."""
    has_config = getattr(placed.node, "config", None) is not None
    return tuple(
        path
        for path, schemas in _schemas(placed, agent.descriptor.specs).items()
        if (path != "config" or has_config)
        and all(ANYTHING not in Document(schema).forms(schema) for schema in schemas)
    )


def _schemas(placed: PlacedNode, specs: AgentACPSpec) -> dict[str, tuple[Schema, Schema]]:
    """Pairs of what is given and what is taken: input and config by the agent, output by the node."""
    node = placed.node
    assert isinstance(node, AgentNode)  # noqa: S101 - others have no descriptor
    pairs: dict[str, tuple[Schema, Schema]] = {
        "input": (_sent(placed, node.input), specs.input),
        "config": ({"type": "object", "additionalProperties": False}, specs.config),
    }
    if node.config is not None:
        pairs["config"] = (_sent(placed, node.config), specs.config)
    if node.output.declared is not None:
        pairs["output"] = (specs.output, taken_schema(node.output.declared))
    return pairs


def _sent(placed: PlacedNode, port: Any) -> Schema:
    if port.declared is not None:
        return sent_schema(port.declared)
    if port.path is None:
        return planned_schema(port.plan)
    if placed.state is None or _no_place([placed.state.read], port.path):
        return True
    if not port.path:
        return state_schema(placed.state.read)
    return held_schema(compile_path(placed.state.read, port.path).type)


def _output_misfits(placed: PlacedNode, given: Schema, wanted: Schema) -> Iterator[Finding]:
    for misfit in misfits(given, wanted, lax=True):
        # Graphs list every channel, and promise none: what is declared will be taken to come.
        if misfit.kind != "may_be_missing":
            problem, advice = _said(misfit, "output", "the agent", "the node")
            yield _found(placed, _level(misfit), _place("output", misfit), problem, advice)


def _mapped_paths(placed: PlacedNode, specs: AgentACPSpec) -> Iterator[Finding]:
    """Rules that write or read what the agent does not declare, and answers that reach no channel."""
    node = placed.node
    assert isinstance(node, AgentNode)  # noqa: S101 - others have no descriptor
    if node.input.path is None and node.input.declared is None:
        taken = type_from_json_schema(specs.input, "the input")
        for path in node.input.plan.writes:
            problem = _no_place([taken], str(path))
            if problem:
                words = f"the agent declares no such input: {_elsewhere(problem, 'the input')}"
                yield _found(placed, "warning", "input", words, "correct the rule")
    if node.output.path is None:
        answer = type_from_json_schema(specs.output, "the answer")
        for path in node.output.plan.reads:
            problem = _no_place([answer], str(path))
            if problem:
                words = f"the agent declares no such output: {_elsewhere(problem, 'the answer')}"
                yield _found(placed, "warning", "output", words, "correct the rule")
    elif not node.output.path and placed.state is not None:
        names = {
            str(name)
            for form in Document(specs.output).forms(specs.output)
            for name in form.get("properties") or ()
        }
        if names and not names & set(placed.state.channels):
            listed = ", ".join(sorted(one_line(name, 40) for name in names)[:6])
            problem = f"nothing of the answer ({listed}) is a channel of the state, so it is lost"
            advice = "say where it goes: output_path='...' or output={...}"
            yield _found(placed, "warning", "output_path", problem, advice)


def _capabilities(placed: PlacedNode, node: AgentNode, specs: AgentACPSpec) -> Iterator[Finding]:
    can = specs.capabilities
    if node.use_threads and not can.threads:
        problem = "the agent offers no threads"
        yield _found(placed, "error", "use_threads", problem, "leave use_threads out")
    offered = {mode for mode in node.modes if getattr(can.streaming, mode, None)}
    missing = [mode for mode in node.stream_mode if mode != "auto" and mode not in offered]
    if missing:
        problem = f"the agent does not stream {' or '.join(missing)}"
        advice = "leave stream_mode out, and whatever it streams is passed on"
        yield _found(placed, "warning", "stream_mode", problem, advice)
    if can.interrupts and not placed.can_ask:
        problem = "the agent may ask, and the graph has no checkpointer to wait with"
        advice = "compile the graph with a checkpointer"
        yield _found(placed, "warning", "interrupts", problem, advice)


def _faults(agent: FoundAgent) -> list[str]:
    try:
        return list(descriptor_faults(agent.descriptor))
    except ImportError:  # jsonschema is an extra; its schemas are then taken as they are
        return list(contradictions(agent.descriptor))


def _no_place(schemas: Any, path: str) -> str:
    """Why there certainly is no such place in any of several types; empty if there may be."""
    problems = []
    for schema in schemas:
        try:
            compile_path(schema, path)
        except NodeConfigurationError as error:
            problems.append(str(error))
        else:
            return ""
    return problems[0] if problems else ""


def _elsewhere(problem: str, what: str) -> str:
    """A path's problem, of what is no state; names in it come from the agent."""
    return one_line(problem.replace(": the state is ", f": {what} is ", 1), 300)


def _level(misfit: Misfit) -> Level:
    return "error" if misfit.certain else "warning"


def _place(path: str, misfit: Misfit) -> str:
    steps = (one_line(step, 60) for step in misfit.path)
    return path + "".join(step if step.startswith("[") else f".{step}" for step in steps)


def _said(misfit: Misfit, what: str, giver: str, taker: str) -> tuple[str, str]:
    """The problem and the advice."""
    field = one_line(misfit.path[-1], 40) if misfit.path else what
    kind, source = f"{what}_type", f"{what}_path"
    match misfit.kind:
        case "missing" if what == "config":
            return (
                f"{taker} demands it ({misfit.wanted}), and {giver} has none",
                f"give {source} and {kind}, with {field} in it",
            )
        case "missing":
            return (
                f"{taker} needs it ({misfit.wanted}), and {giver} never gives it",
                f"add {field} to the {kind}, or map it with {what}={{{field!r}: ...}}",
            )
        case "may_be_missing":
            return (
                f"{taker} needs it ({misfit.wanted}), and {giver} may leave it out",
                f"make {field} required in the {kind}, or give it a default",
            )
        case "undeclared":
            return (
                f"{taker} needs it ({misfit.wanted}), and {giver} does not say that it gives it",
                f"declare {field} in the {kind}"
                if what != "output"
                else f"make {field} optional in the {kind}, or leave it out",
            )
        case "surplus":
            return (
                f"{giver} gives it ({misfit.given}), and {taker} allows no such field",
                f"leave {field} out of the {kind}"
                if what != "output"
                else f"add {field} to the {kind}, or let it take further fields",
            )
    gives = "gives" if misfit.certain else "may give"
    return (
        f"{giver} {gives} {misfit.given}, and {taker} takes {misfit.wanted}",
        f"make {field} {misfit.wanted} in the {kind}"
        if what != "output"
        else f"allow {misfit.given} for {field} in the {kind}",
    )


def _found(placed: PlacedNode, level: Level, path: str, problem: str, advice: str) -> Finding:
    agent = placed.node.agent if isinstance(placed.node, AgentNode) else ""
    return Finding(level, placed.place, agent, path, problem, advice)
