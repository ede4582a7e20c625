"""The agent `email_reviewer`: finds problems in a mail and corrects those that it can.

Rule-based, so that it needs neither a key nor a network; with a chat model, the model reviews.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypedDict

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from acp_langgraph.demo.outbox import Draft, Problem, Review

_MISSPELT: Final = {
    "acheive": "achieve",
    "accomodate": "accommodate",
    "adress": "address",
    "alot": "a lot",
    "begining": "beginning",
    "beleive": "believe",
    "calender": "calendar",
    "definately": "definitely",
    "enviroment": "environment",
    "existance": "existence",
    "experiance": "experience",
    "guarentee": "guarantee",
    "immediatly": "immediately",
    "independant": "independent",
    "intresting": "interesting",
    "managment": "management",
    "neccessary": "necessary",
    "occured": "occurred",
    "occassion": "occasion",
    "oportunity": "opportunity",
    "perfomance": "performance",
    "priviledge": "privilege",
    "recieve": "receive",
    "recomend": "recommend",
    "refered": "referred",
    "seperate": "separate",
    "succesful": "successful",
    "suprise": "surprise",
    "teh": "the",
    "tommorow": "tomorrow",
    "tomorow": "tomorrow",
    "truely": "truly",
    "untill": "until",
    "wich": "which",
    "writting": "writing",
}


def _as_before(before: str, word: str) -> str:
    if before.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if before[:1].isupper() else word


def _spelled(found: re.Match[str]) -> str:
    return _as_before(found[0], _MISSPELT[found[0].lower()])


def _calmed(found: re.Match[str]) -> str:
    return found[0].capitalize() if found.start() == 0 else found[0].lower()


def _spaced(found: re.Match[str]) -> str:
    """A space after the mark, unless it is part of an address of the web or of mail."""
    before = found.string[: found.start()].split()
    token = (before or [""])[-1] + found.string[found.end() :].split()[0]
    return found[0] if "/" in token or "@" in token else f"{found[1]} "


_Rule = tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]]

# In this order: a later rule sees the text as the earlier ones left it.
_CORRECTIONS: Final[tuple[_Rule, ...]] = (
    ("misspelt", re.compile(rf"\b(?:{'|'.join(_MISSPELT)})\b", re.IGNORECASE), _spelled),
    (
        "a word twice",
        re.compile(r"\b([a-z]+)(?:[ \n]+\1\b)+(?<!\bthat that)(?<!\bhad had)", re.IGNORECASE),
        lambda found: found[1],
    ),
    ("shouting", re.compile(r"\b[A-Z]{8,}\b"), _calmed),
    ("too many marks", re.compile(r"([!?])\1+"), lambda found: found[1]),
    (
        "a space before a mark",
        re.compile(r"(?<=\w)[ \t]+([,;:.!?])(?=\s|$|[A-Za-z])"),
        lambda found: found[1],
    ),
    (
        "no space after a mark",
        re.compile(r"(?<=[a-z])([,;!?])(?=[A-Za-z])"),
        _spaced,
    ),
    ("several spaces", re.compile(r"(?<=\S)[ \t]{2,}(?=\S)"), lambda _: " "),
    (
        "a or an",
        re.compile(
            r"\b([Aa])(?= (?:[aeio][a-z]+|un(?!i)[a-z]+|up[a-z]*|hour|honest)\b(?<!\bone)(?<!\bonce)(?<!\beuro))"
        ),
        lambda found: f"{found[1]}n",
    ),
    (
        "a or an",
        re.compile(r"\b([Aa])n(?= (?:[bcdfgjklmnpqrstvwxyz]|one\b|once\b|uni|use|euro)[a-z-]*)"),
        lambda found: found[1],
    ),
    (
        "a small letter begins a sentence",
        re.compile(r"(?:(?<=[a-z]{3}[.!?] )|(?<=\n\n))([a-z])(?=[a-z]* )"),
        lambda found: found[1].upper(),
    ),
)

_REMARKS: Final = (
    ("a placeholder was left", re.compile(r"\[[A-Za-z ]+\]|\{\w+\}|\bTODO\b|\bTBD\b|\bXXX\b")),
    (
        "reads like spam",
        re.compile(
            r"act now|100 ?% free|risk[- ]free|click here|once in a lifetime|winner", re.IGNORECASE
        ),
    ),
    ("a very long sentence", re.compile(r"(?:[^\s.!?]+\s+){40,}[^\s.!?]+[.!?]")),
)


class State(TypedDict, total=False):
    """The agent's state; its input is a `Draft`, its output a `Review`."""

    subject: str
    body: str
    problems: list[dict[str, Any]]
    corrected: dict[str, Any] | None


def build(model: BaseChatModel | None = None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The agent as a graph.

    Args:
        model: A chat model that reviews instead of the rules.
    """

    def look(state: State) -> dict[str, Any]:
        draft = Draft(subject=state["subject"], body=state["body"])
        return (_reviewed_by(model, draft) if model else review(draft)).model_dump()

    builder = StateGraph(State, input_schema=Draft, output_schema=Review)
    builder.add_node("look", look)
    builder.add_edge(START, "look")
    builder.add_edge("look", END)
    return builder.compile(name="email_reviewer")


def review(draft: Draft) -> Review:
    """What is wrong with a draft, and the draft without it."""
    problems: list[Problem] = []
    corrected = Draft(
        subject=_corrected(draft.subject, problems), body=_corrected(draft.body, problems)
    )
    for what, pattern in _REMARKS:
        for text in (corrected.subject, corrected.body):
            problems += [
                Problem(what=what, found=_excerpt(found[0])) for found in pattern.finditer(text)
            ]
    if not corrected.subject.strip():
        problems.append(Problem(what="the subject is empty", found=""))
    return Review(problems=problems, corrected=corrected if corrected != draft else None)


def _corrected(text: str, problems: list[Problem]) -> str:
    for what, pattern, correct in _CORRECTIONS:

        def replace(
            found: re.Match[str],
            what: str = what,
            correct: Callable[[re.Match[str]], str] = correct,
        ) -> str:
            better = correct(found)
            if better == found[0]:
                return better
            problems.append(
                Problem(
                    what=what, found=_around(found, found[0]), correction=_around(found, better)
                )
            )
            return better

        text = pattern.sub(replace, text)
    return text


def _around(found: re.Match[str], middle: str) -> str:
    """The match with the words beside it, so that a reader finds the place."""
    before = re.search(r"\S*[ ]?\Z", found.string[: found.start()])
    after = re.match(r"[ ]?\S*", found.string[found.end() :])
    return _excerpt(f"{before[0] if before else ''}{middle}{after[0] if after else ''}")


def _excerpt(text: str) -> str:
    line = " ".join(text.split(" ")).replace("\n", " ").strip()
    return line if len(line) <= 60 else f"{line[:57]}..."  # noqa: PLR2004 - fits beside a remark


def _reviewed_by(model: BaseChatModel, draft: Draft) -> Review:
    request = (
        "Review this mail. List real problems of spelling, grammar and tone, and correct them; leave "
        f"`corrected` empty if there are none.\n\n{draft.model_dump_json()}"
    )
    return Review.model_validate(model.with_structured_output(Review).invoke(request))
