"""What is waited for, as it is shown in a terminal and elsewhere."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from typing import Any

import pytest
from rich.console import Console

from acp_langgraph.terminal import Waiting


def event(state: str, run_id: str = "run-1", *, ago: float = 0.0, **more: Any) -> dict[str, Any]:
    payload = {"state": state, "since": time.time() - ago, **more}
    return {
        "node": "reviewer",
        "agent": "email_reviewer",
        "run_id": run_id,
        "kind": "progress",
        "payload": payload,
    }


def shown(*items: Any) -> list[str]:
    """The lines that are written where there is no terminal."""
    console = Console(file=io.StringIO(), width=40)
    with Waiting(console) as waiting:
        for item in items:
            waiting.show(item)
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert written.isprintable() or set(written) - {"\n"} == {c for c in written if c.isprintable()}
    return [line for line in written.splitlines() if line]


def on_a_terminal(*items: Any, after: float = 0.0) -> str:
    """What moves in a terminal once the items were shown."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with Waiting(console, after=after) as waiting:
        for item in items:
            waiting.show(item)
        with console.capture() as captured:
            console.print(waiting._shown())
    return captured.get()


def test_without_a_terminal_there_is_a_plain_line_for_what_begins_and_ends() -> None:
    begun, ended = shown(event("created"), event("waiting"), event("finished", ago=65))
    assert begun.startswith("reviewer: email_reviewer started at ")
    assert begun.endswith(", run run-1")
    assert "is done" in ended
    assert "after 1 min 05 s" in ended


def test_a_question_and_its_answer_are_told() -> None:
    lines = shown(
        event("created"), event("waiting"), event("asked"), event("resumed"), event("waiting")
    )
    assert [line.split(" at ")[0].split("email_reviewer ")[1] for line in lines] == [
        *["started", "asks", "was answered and goes on"]
    ]


def test_a_run_whose_id_is_not_known_yet_is_told_of_once() -> None:
    lines = shown(event("waiting", ""), event("finished"))
    assert len(lines) == 2
    assert "run" not in lines[0]
    assert "run run-1" in lines[1]


def test_in_a_terminal_a_line_says_for_what_and_how_long() -> None:
    said = on_a_terminal(event("created", ago=75), event("waiting", ago=75, status="pending"))
    assert "reviewer waits for email_reviewer 1 min 15 s, since " in said
    assert said.rstrip().endswith("run run-1")


def test_the_line_goes_when_the_wait_is_over() -> None:
    assert not on_a_terminal(event("created", ago=9), event("finished", ago=9)).strip()


def test_what_is_quick_is_not_shown_in_a_terminal() -> None:
    assert not on_a_terminal(event("created"), after=60).strip()


def test_several_waits_have_a_line_each_and_no_line_breaks_in_two() -> None:
    said = on_a_terminal(event("waiting", "a" * 60, ago=5), event("waiting", "b" * 60, ago=5))
    assert len(said.strip().splitlines()) == 2


@pytest.mark.parametrize(
    "item", [{"node": "update"}, ("custom", {"kind": "gap", "payload": None}), 7, (), None]
)
def test_everything_else_in_a_stream_is_left_alone(item: Any) -> None:
    assert shown(item) == []


@pytest.mark.parametrize("wrapped", [lambda e: ("custom", e), lambda e: (("ns:1",), "custom", e)])
def test_modes_and_namespaces_around_an_event_do_no_harm(wrapped: Any) -> None:
    assert len(shown(wrapped(event("created")))) == 1


def test_what_a_server_says_cannot_steer_the_terminal() -> None:
    (line,) = shown(event("created", "\x1b[2J\x07run" + "x" * 500))
    assert "?[2J?run" in line
    assert len(line) < 200


def test_something_else_than_progress_in_its_place_is_left_alone() -> None:
    assert shown({"kind": "progress", "payload": "no"}, {"kind": "progress"}) == []


def test_without_rich_it_says_which_extra_is_missing() -> None:
    code = "import sys; sys.modules['rich'] = None; import acp_langgraph.terminal"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "acp-langgraph[cli]"' in done.stderr
