"""Asking a model for what rules cannot tell: a flow of questions, and two ways to drive it.

`asking` is the whole logic and calls nothing: it yields a `Question`, is sent the reply, and returns
the answers. A reply that cannot be read, or does not fit, is sent back with what is wrong, at most
twice. `ask` and `aask` call the model in between; that is all that exists twice.

    answers = ask(plan, state, config, model=model)
    value = plan.value(state, config, answers=answers)        # or plan.delta(...)

The answers are JSON, so a checkpointed step can keep them, and a plan that needs no model costs
nothing here. `make_value` and `make_delta` do both lines in one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from langchain_core.runnables import Runnable, RunnableConfig

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.plan import MappingPlan
from acp_langgraph.mapping.prompts import (
    Problem,
    Question,
    UnreadableError,
    parse,
    question,
    repair,
    sort,
    to_json,
)
from acp_langgraph.mapping.writing import StateWriteError

T = TypeVar("T")
Model: TypeAlias = Runnable[Any, Any]
Asking: TypeAlias = Generator[Question, Any, T]

ATTEMPTS: Final = 3
"""How often a model is asked at most: once, and twice more with what was wrong."""

DEFAULT_KEY: Final = "llm"
"""Where in `config["configurable"]` a model is looked for."""


def asking(
    plan: MappingPlan,
    source: Any,
    config: Mapping[str, Any] | None = None,
    *,
    state: Any = MISSING,
    check: Callable[..., Any] | None = None,
    instructions: str = "",
) -> Asking[dict[str, Any]]:
    """The flow: questions out, replies in, answers at the end.

    Args:
        plan: The plan.
        source: What it reads from.
        config: The node's configuration.
        state: What `state:` paths read from; the source unless given.
        check: `plan.value` or `plan.delta`: what the answers are for, so that an answer that only
            fails together with others is repaired too.
        instructions: The user's own words, added to what the model is told.

    Returns:
        The answers by target: JSON.

    Raises:
        MappingError: If the model gave no usable answer in three attempts.
    """
    asked = plan.pending(source, config, state=state)
    good: dict[str, Any] = {}
    if not asked:
        return good
    current = first = question(asked, plan.scope(source, config, state), instructions)
    for attempt in range(1, ATTEMPTS + 1):
        reply = yield current
        try:
            answer = parse(reply)
            found, problems = sort(answer, asked)
            text = to_json(answer)
        except UnreadableError as error:
            found, text = {}, error.text
            problems = [Problem(str(asked[0].target), str(error), str(error), error.text)]
        good |= found
        problems = [problem for problem in problems if problem.path not in good]
        problems = problems or _together(check, source, config, state, good)
        if not problems:
            return good
        if attempt == ATTEMPTS:
            break
        current = repair(first, text, problems)
    worst = problems[0]
    raise MappingError(
        worst.safe,
        edge=plan.name,
        path=worst.path,
        value=None if worst.value is MISSING else worst.value,
        attempts=ATTEMPTS,
    )


def _together(
    check: Callable[..., Any] | None,
    source: Any,
    config: Mapping[str, Any] | None,
    state: Any,
    answers: dict[str, Any],
) -> list[Problem]:
    """What is wrong with values that are good one by one."""
    if check is None:
        return []
    try:
        check(source, config, state=state, answers=answers)
    except MappingError as error:
        cause = error.__cause__
        told = cause.detail if isinstance(cause, StateWriteError) else str(cause or error)
        safe = cause.reason if isinstance(cause, StateWriteError) else told
        return [Problem(error.path, told, safe, error.value)]
    return []


def model_from(model: Any, config: Mapping[str, Any] | None) -> Any:
    """The model that was given, or the one in `config["configurable"]`; `None` if there is none.

    Args:
        model: A model, the key under which the configuration holds one, or `None` for `llm`.
        config: The node's configuration.
    """
    if model is not None and not isinstance(model, str):
        return model
    return ((config or {}).get("configurable") or {}).get(model or DEFAULT_KEY)


def refuse_without_model(plan: MappingPlan, model: Any) -> None:
    """Refuse a plan that asks a model where none is named.

    Raises:
        NodeConfigurationError: With the first field that a model would be asked for.
    """
    if plan.semantic and model is None:
        raise NodeConfigurationError(
            f"mapping {plan.name!r} asks a model for {plan.semantic[0].target}, and there is none; "
            "pass llm=, a chat model, or the key in config['configurable'] under which each run "
            f"brings one, as in llm={DEFAULT_KEY!r}"
        )


def ask(
    plan: MappingPlan,
    source: Any,
    config: RunnableConfig | None = None,
    *,
    model: Any = None,
    state: Any = MISSING,
    check: Callable[..., Any] | None = None,
    instructions: str = "",
) -> dict[str, Any]:
    """Ask a model for what the plan's rules cannot tell; see `asking`.

    Args:
        plan: The plan.
        source: What it reads from.
        config: The node's configuration.
        model: A chat model, or the key in `config["configurable"]` that holds one.
        state: What `state:` paths read from; the source unless given.
        check: `plan.value` or `plan.delta`.
        instructions: The user's own words, added to what the model is told.

    Raises:
        MappingError: If there is no model, or none of its answers was usable.
    """
    flow = asking(plan, source, config, state=state, check=check, instructions=instructions)
    return drive(flow, plan.name, model, config)


async def aask(
    plan: MappingPlan,
    source: Any,
    config: RunnableConfig | None = None,
    *,
    model: Any = None,
    state: Any = MISSING,
    check: Callable[..., Any] | None = None,
    instructions: str = "",
) -> dict[str, Any]:
    """Ask a model, awaiting; otherwise `ask`."""
    flow = asking(plan, source, config, state=state, check=check, instructions=instructions)
    return await adrive(flow, plan.name, model, config)


def make_value(
    plan: MappingPlan,
    source: Any,
    config: RunnableConfig | None = None,
    *,
    model: Any = None,
    state: Any = MISSING,
) -> Any:
    """`plan.value`, with a model asked for what it needs."""
    answers = ask(plan, source, config, model=model, state=state, check=plan.value)
    return plan.value(source, config, state=state, answers=answers)


async def amake_value(
    plan: MappingPlan,
    source: Any,
    config: RunnableConfig | None = None,
    *,
    model: Any = None,
    state: Any = MISSING,
) -> Any:
    """`plan.value`, with a model awaited for what it needs."""
    answers = await aask(plan, source, config, model=model, state=state, check=plan.value)
    return plan.value(source, config, state=state, answers=answers)


def make_delta(
    plan: MappingPlan,
    source: Any,
    config: RunnableConfig | None = None,
    *,
    model: Any = None,
    state: Any = MISSING,
    instructions: str = "",
) -> dict[str, Any]:
    """`plan.delta`, with a model asked for what it needs."""
    answers = ask(
        plan,
        source,
        config,
        model=model,
        state=state,
        check=plan.delta,
        instructions=instructions,
    )
    return plan.delta(source, config, state=state, answers=answers)


async def amake_delta(
    plan: MappingPlan,
    source: Any,
    config: RunnableConfig | None = None,
    *,
    model: Any = None,
    state: Any = MISSING,
    instructions: str = "",
) -> dict[str, Any]:
    """`plan.delta`, with a model awaited for what it needs."""
    answers = await aask(
        plan,
        source,
        config,
        model=model,
        state=state,
        check=plan.delta,
        instructions=instructions,
    )
    return plan.delta(source, config, state=state, answers=answers)


def drive(flow: Asking[T], name: str, model: Any, config: RunnableConfig | None) -> T:
    """Run a flow of questions to its end, blocking."""
    try:
        current = next(flow)
        while True:
            reply = _caller(name, model, config, current).invoke(list(current.messages), config)
            current = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value
    finally:
        flow.close()


async def adrive(flow: Asking[T], name: str, model: Any, config: RunnableConfig | None) -> T:
    """Run a flow of questions to its end, awaiting."""
    try:
        current = next(flow)
        while True:
            caller = _caller(name, model, config, current)
            current = flow.send(await caller.ainvoke(list(current.messages), config))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value
    finally:
        flow.close()


def _caller(name: str, model: Any, config: RunnableConfig | None, asked: Question) -> Model:
    found = model_from(model, config)
    if not isinstance(found, Runnable):
        key = model if isinstance(model, str) else DEFAULT_KEY
        got = f" (there is a {type(found).__name__})" if found is not None else ""
        raise MappingError(
            f"only a model can tell it, and there is none{got}; pass llm=, or set "
            f"config['configurable']['{key}'] to a chat model",
            edge=name,
            path="",
        )
    structured = getattr(found, "with_structured_output", None)
    if structured is None or asked.schema is None:
        return found
    try:
        return structured(dict(asked.schema), include_raw=True)  # type: ignore[no-any-return]  # a Runnable
    except (NotImplementedError, AttributeError):
        return found  # no structured output: the answer's text is read
