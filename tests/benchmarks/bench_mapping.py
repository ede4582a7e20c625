"""A compiled plan of ten fields beside the same assignments written by hand.

    python tests/benchmarks/bench_mapping.py

Both make the same new objects from the same state and validate them with pydantic; they run in
turns in one process, and the best of several rounds counts. Printed: microseconds a run, and how
many times longer the plan takes.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any, TypedDict, get_type_hints

from pydantic import BaseModel, TypeAdapter

from acp_langgraph.mapping import coalesce, compile_input, compile_output, compile_plan, const


class Mail(BaseModel):
    subject: str
    text: str
    recipient: str
    sender: str
    urgent: bool
    size: int


class Reviewed(BaseModel):
    corrected: str | None = None
    score: int = 0


class Wanted(BaseModel):
    title: str
    body: str
    to: str
    origin: str
    urgent: bool
    size: int
    language: str
    draft: str
    greeting: str
    score: int


class Box(BaseModel):
    input: Wanted | None = None
    output: str | None = None


class State(TypedDict, total=False):
    mail: Mail
    reviewed: Reviewed
    box: Box
    title: str
    body: str
    to: str
    origin: str
    urgent: bool
    size: int
    language: str
    draft: str
    greeting: str
    score: int


STATE: State = {
    "mail": Mail(subject="s", text="t" * 1000, recipient="r", sender="f", urgent=True, size=3),
    "reviewed": Reviewed(corrected=None, score=5),
    "box": Box(output="kept"),
}

RULES = {
    "title": "mail.subject",
    "body": "mail.text",
    "to": "mail.recipient",
    "origin": "mail.sender",
    "urgent": "mail.urgent",
    "size": "mail.size",
    "language": const("en"),
    "draft": coalesce("reviewed.corrected", "mail.text"),
    "greeting": "Dear {mail.recipient}, {mail.subject}",
    "score": "reviewed.score",
}


def _fields(state: State) -> dict[str, Any]:
    mail, reviewed = state["mail"], state["reviewed"]
    return {
        "title": mail.subject,
        "body": mail.text,
        "to": mail.recipient,
        "origin": mail.sender,
        "urgent": mail.urgent,
        "size": mail.size,
        "language": "en",
        "draft": reviewed.corrected if reviewed.corrected is not None else mail.text,
        "greeting": f"Dear {mail.recipient}, {mail.subject}",
        "score": reviewed.score,
    }


def by_hand_value(state: State) -> Wanted:
    """An agent's input."""
    return Wanted(**_fields(state))


def by_hand_inside(state: State) -> dict[str, Any]:
    """The input inside a wrapper in the state, its siblings kept."""
    box = state["box"].model_copy(update={"input": Wanted(**_fields(state))})
    return {"box": box}


CHECKS = {
    name: TypeAdapter(kind).validate_python
    for name, kind in get_type_hints(State).items()
    if name in RULES
}


def by_hand_channels(state: State) -> dict[str, Any]:
    """Ten channels, each validated."""
    return {name: CHECKS[name](value) for name, value in _fields(state).items()}


def main() -> None:
    """Run all three, and print."""
    value = compile_input(RULES, state=State, agent=Wanted)
    inside = compile_plan(
        {f"box.input.{target}": rule for target, rule in RULES.items()},
        source_schema=State,
        target_schema=State,
        complete=(),
        into_state=True,
    )
    flat = compile_output(RULES, state=State, agent=State)
    pairs: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        ("an agent's input", lambda: by_hand_value(STATE), lambda: value.value(STATE)),
        ("inside a wrapper", lambda: by_hand_inside(STATE), lambda: inside.delta(STATE)),
        (
            "ten channels",
            lambda: by_hand_channels(STATE),
            lambda: flat.delta(STATE),
        ),
    ]
    print(f"{'ten fields into':36} {'by hand':>9} {'plan':>9} {'ratio':>6}")
    for name, by_hand, planned in pairs:
        assert by_hand() == planned()
        best = [float("inf"), float("inf")]
        for _ in range(15):
            for at, run in enumerate((by_hand, planned)):
                best[at] = min(best[at], timeit.timeit(run, number=1000) * 1000)
        print(f"{name:36} {best[0]:6.2f} us {best[1]:6.2f} us {best[1] / best[0]:6.1f}")


if __name__ == "__main__":
    main()
