"""One segment of a run: the served graph from its input, or from answers, to its end or next question.

A segment never raises for what the graph does: it comes to an `Outcome`. It is executed once; whoever
wants a node repeated gives it a retry policy. Cancelling the task that awaits a segment cancels the
graph.

Several interrupts may be pending at once (parallel branches, a `Send` fan-out). The protocol knows
one question per run, so they become one, keyed by LangGraph's interrupt ids,

    {"interrupt_type": "multiple", "interrupts": {"<id>": <value>, ...}}

and the answer is an object with an answer for every id. A breakpoint (`interrupt_before` or
`interrupt_after` of a graph) asks nothing, and any answer lets the graph go on; it is

    {"interrupt_type": "breakpoint", "next": ["<node>", ...]}

Answers go to the graph as a map from interrupt ids, because LangGraph takes a bare `None` for
nothing at all, and a bare dict whose keys look like interrupt ids for such a map.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final

import langgraph.errors
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Interrupt, StateSnapshot, StreamMode
from pydantic_core import PydanticSerializationError

from acp_langgraph.acp.models import CANCELLED, RunStatus, StreamingMode
from acp_langgraph.core.chat import with_messages
from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import Graph, HostedAgent
from acp_langgraph.server.checkpoints import at_breakpoint, going_on
from acp_langgraph.server.questions import question, schema_of_all
from acp_langgraph.server.records import Question, RunRecord
from acp_langgraph.server.streams import wanted_modes
from acp_langgraph.server.wire import invalid, jsonable

_log = logging.getLogger(__name__)

FAILED: Final = 1
TIMED_OUT: Final = 3

_LONGEST_DESCRIPTION: Final = 2000
_INTERRUPT: Final = "__interrupt__"

_refuses_answer: Final[Callable[[BaseException], bool]] = getattr(
    langgraph.errors, "is_invalid_resume", lambda _: False
)  # newer than the oldest LangGraph that this package supports

Publish = Callable[[StreamingMode, Any], None]
"""Takes what the graph streams: values so far, or an update of its own. Must not keep the object."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a segment came to.

    Attributes:
        status: The run's status from now on.
        output: The protocol's `RunOutput`, as JSON.
        questions: The pending interrupts, if that is what it came to.
        asked_at: The checkpoint that they belong to.
    """

    status: RunStatus
    output: dict[str, Any]
    questions: tuple[Question, ...] = ()
    asked_at: str | None = None


async def execute(
    agent: HostedAgent, run: RunRecord, publish: Publish, *, again: bool = False
) -> Outcome:
    """Run one segment.

    Args:
        agent: The run's agent.
        run: A pending run: it says what to start from.
        publish: Is told what the graph streams on the way.
        again: Whether the segment may have been begun by a server that was stopped; it goes on from
            its last checkpoint.

    Returns:
        The result, the question or the error.
    """
    try:
        if again and await at_breakpoint(agent, run):
            return await _at_breakpoint(agent, run)
        start = await going_on(agent, run) if again else _start(agent, run)
        with checkpoints.running(agent, run.thread_id):
            return await _execute(agent, run, start, publish)
    except Exception as error:  # noqa: BLE001 - whatever a graph raises is the run's outcome
        if _refuses_answer(error):
            return await _asked_again(agent, run)
        _log.info("run %s of agent %s failed", run.run_id, run.agent_id, exc_info=error)
        return failed(run, f"{type(error).__name__}: {error}")


async def _execute(agent: HostedAgent, run: RunRecord, start: Any, publish: Publish) -> Outcome:
    graph, config = agent.graph, graph_config(run)
    subgraphs = bool(run.creation.get("stream_subgraphs"))
    # A graph that may write to its stream takes longer: it has tasks that wait for what it writes.
    custom = StreamingMode.CUSTOM in wanted_modes(run.creation)
    modes: list[StreamMode] = ["updates", "values"]
    stream: Any = graph.astream(
        start,
        config,
        context=_context(graph, config),
        stream_mode=[*modes, "custom"] if custom else modes,
        output_keys=graph.output_channels,
        durability="sync",
        subgraphs=custom,
    )
    values: Any = None
    interrupts: dict[str, Interrupt[Any]] = {}
    stopped = False
    async with aclosing(stream):
        async for *within, mode, chunk in stream:
            nested = any(within)
            if mode == "custom" and (subgraphs or not nested):
                publish(StreamingMode.CUSTOM, chunk)
            elif nested:
                continue  # what concerns the run shows in the graph itself, too
            elif mode == "values":
                values = _without_interrupts(chunk)
                publish(StreamingMode.VALUES, values)
            elif mode == "updates" and _INTERRUPT in chunk:
                stopped = True
                interrupts.update({each.id: each for each in chunk[_INTERRUPT]})
    if not stopped:
        return _succeeded(values)
    if not interrupts:
        return await _at_breakpoint(agent, run)
    asked_at = await checkpoints.head(agent, run.thread_id)
    return _interrupted(tuple(map(question, interrupts.values())), asked_at)


async def _at_breakpoint(agent: HostedAgent, run: RunRecord) -> Outcome:
    snapshot = await agent.graph.aget_state(graph_config(run))
    value = {"interrupt_type": "breakpoint", "next": list(snapshot.next)}
    return _interrupted((Question("", value),), _checkpoint_of(snapshot))


def graph_config(run: RunRecord) -> RunnableConfig:
    """The LangGraph configuration of a run.

    What the client sent as `config.configurable` is passed on, except for the names by which
    LangGraph itself finds threads and checkpoints.
    """
    sent = run.creation.get("config") or {}
    own = {
        name: value
        for name, value in (sent.get("configurable") or {}).items()
        if not (name == "thread_id" or name.startswith(("checkpoint_", "__")))
    }
    config: RunnableConfig = {
        "configurable": {**own, "thread_id": run.thread_id},
        "metadata": {
            **(run.creation.get("metadata") or {}),
            "run_id": run.run_id,
            "agent_id": run.agent_id,
        },
    }
    if sent.get("tags"):
        config["tags"] = sent["tags"]
    if sent.get("recursion_limit") is not None:
        config["recursion_limit"] = sent["recursion_limit"]
    return config


def _context(graph: Graph, config: RunnableConfig) -> dict[str, Any] | None:
    """What nodes see as `runtime.context`, where the graph declares a type for it."""
    kind = graph.context_schema
    if kind is None:
        return None
    sent = {name: value for name, value in config["configurable"].items() if name != "thread_id"}
    if is_dataclass(kind):  # takes no others
        known = {each.name for each in fields(kind)}
        return {name: value for name, value in sent.items() if name in known}
    return sent


def answers_to(agent: HostedAgent, questions: tuple[Question, ...], payload: Any) -> dict[str, Any]:
    """The answers by interrupt id that a resume payload gives.

    Raises:
        Problem: 422, if an answer is missing, unasked for, or not what the question wants.
    """
    if len(questions) > 1:
        ids = {question.id for question in questions}
        if not isinstance(payload, dict) or payload.keys() != ids:
            raise invalid(
                f"resume: {len(ids)} questions are pending; the answer must be an object with "
                f"exactly the keys {', '.join(sorted(ids))}"
            )
        answers = payload
    else:
        answers = {questions[0].id: payload}
    for each in questions:
        if each.id:
            agent.check_answer(each.value, each.schema, answers[each.id])
    return {id_: answer for id_, answer in answers.items() if id_}


def failed(run: RunRecord, description: str, errcode: int = FAILED) -> Outcome:
    """The outcome of a run that cannot go on."""
    return Outcome(
        RunStatus.ERROR,
        {
            "type": "error",
            "run_id": run.run_id,
            "errcode": errcode,
            # A lone surrogate could neither be stored nor sent.
            "description": description[:_LONGEST_DESCRIPTION]
            .encode("utf-8", "backslashreplace")
            .decode(),
        },
    )


def cancelled(run: RunRecord) -> Outcome:
    """The outcome of a cancelled run; the protocol has no status of its own for it."""
    return failed(run, "the run was cancelled", CANCELLED)


def timed_out(run: RunRecord, description: str) -> Outcome:
    """The outcome of a run that took too long."""
    return replace(failed(run, description, TIMED_OUT), status=RunStatus.TIMEOUT)


def _start(agent: HostedAgent, run: RunRecord) -> Any:
    if run.answers is None:
        return with_messages(run.creation["input"], agent.graph.channels)
    return Command(resume=run.answers) if run.answers else None


async def _asked_again(agent: HostedAgent, run: RunRecord) -> Outcome:
    """The questions that are still open after an answer that the graph's own type refused."""
    snapshot = await agent.graph.aget_state(graph_config(run))
    return _interrupted(tuple(map(question, snapshot.interrupts)), _checkpoint_of(snapshot))


def _checkpoint_of(snapshot: StateSnapshot) -> str | None:
    found: str | None = snapshot.config["configurable"].get("checkpoint_id")
    return found


def _without_interrupts(values: Any) -> Any:
    if isinstance(values, dict) and _INTERRUPT in values:
        return {name: value for name, value in values.items() if name != _INTERRUPT}
    return values


def _succeeded(values: Any) -> Outcome:
    try:
        output = jsonable(values)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise TypeError(f"the graph's output cannot be written as JSON: {error}") from None
    result: dict[str, Any] = {"type": "result"}
    if output is not None:  # the protocol has no null there
        result["values"] = output
    return Outcome(RunStatus.SUCCESS, result)


def _interrupted(questions: tuple[Question, ...], asked_at: str | None) -> Outcome:
    if len(questions) == 1:
        payload = questions[0].value
    else:
        payload = {
            "interrupt_type": "multiple",
            "interrupts": {question.id: question.value for question in questions},
        }
    output = {"type": "interrupt", "interrupt": payload}
    if (schema := schema_of_all(questions)) is not None:
        output["response_schema"] = schema  # not the protocol's; who does not know it ignores it
    return Outcome(RunStatus.INTERRUPTED, output, questions, asked_at)
