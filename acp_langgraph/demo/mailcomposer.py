"""The agent `mailcomposer`: drafts a mail from a brief, and changes it until the human approves.

Rule-based, so that it needs neither a key nor a network; with a chat model, the model writes.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any, Literal, NotRequired, TypedDict

from langchain_core.language_models import BaseChatModel
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from acp_langgraph.demo.outbox import Brief, Draft

_APPROVALS = {
    "",
    "approve",
    "approved",
    "fine",
    "good",
    "looks good",
    "ok",
    "okay",
    "send",
    "send it",
    "y",
    "yes",
}
_REFUSALS = {"", "n", "no", "nope", "no thanks", "no thank you", "not yet"}
_GREETINGS = {"general": "Hello,", "technical": "Hi there,", "business": "Dear Sir or Madam,"}
_CLOSINGS = {"general": "Best wishes,", "technical": "Cheers,", "business": "Kind regards,"}
_HELP = (
    'Answer "yes" to send it, or say what to change: "shorter", "more formal", "more casual", '
    '"subject: ...", "sign as ...", "add: ...", "remove ...", "replace ... with ..."'
)


class Question(BaseModel):
    """What the agent asks: whether this draft may be sent."""

    interrupt_type: Literal["approve_draft"] = "approve_draft"
    question: str
    draft: Draft


class Approval(BaseModel):
    """An answer in full; a plain text or a boolean will do as well."""

    approve: bool = False
    change: str = ""


class WishError(ValueError):
    """A wish that cannot be carried out; says why, to whom it came from."""


class State(TypedDict):
    """The agent's state; its input is a `Brief`, its output a `Draft`."""

    text: str
    audience: NotRequired[str]
    sender_name: NotRequired[str]
    subject: NotRequired[str]
    body: NotRequired[str]
    remark: NotRequired[str]


def build(model: BaseChatModel | None = None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The agent as a graph.

    Args:
        model: A chat model that writes instead of the rules.
    """

    def draft(state: State) -> dict[str, Any]:
        brief = Brief.model_validate({k: v for k, v in state.items() if k in Brief.model_fields})
        return (_composed_by(model, brief) if model else compose(brief)).model_dump()

    def approve(state: State) -> Command[Literal["approve", "__end__"]]:
        draft = Draft(subject=state.get("subject", ""), body=state.get("body", ""))
        asked = f"{state.get('remark', '')}\nMay this mail be sent? {_HELP}".lstrip()
        question = Question(question=asked, draft=draft)
        answer = interrupt(question.model_dump())
        if is_approval(answer):
            return Command(goto="__end__")
        try:
            wish = _wish(answer)
            changed = _changed_by(model, draft, wish) if model else change(draft, wish)
        except WishError as error:
            return Command(goto="approve", update={"remark": str(error)})
        return Command(goto="approve", update={**changed.model_dump(), "remark": ""})

    builder = StateGraph(State, input_schema=Brief, output_schema=Draft)
    builder.add_node("draft", draft)
    builder.add_node("approve", approve)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "approve")
    return builder.compile(name="mailcomposer")


def compose(brief: Brief) -> Draft:
    """A first draft: the brief's first sentence is the subject, its paragraphs are the body."""
    paragraphs = [
        " ".join(part.split()) for part in re.split(r"\n\s*\n", brief.text) if part.strip()
    ]
    first = re.split(r"(?<=[.!?])\s", paragraphs[0], maxsplit=1)[0] if paragraphs else "News"
    subject = first.rstrip(".!? ")
    if len(subject) > 70:  # noqa: PLR2004 - what mail programs show of a subject
        subject = subject[:70].rsplit(" ", 1)[0].rstrip(",;:") + "..."
    text = "\n\n".join(_wrapped(paragraph) for paragraph in paragraphs)
    greeting, closing = _GREETINGS[brief.audience], _CLOSINGS[brief.audience]
    return Draft(subject=subject, body=f"{greeting}\n\n{text}\n\n{closing}\n{brief.sender_name}\n")


def is_approval(answer: Any) -> bool:
    """Whether an answer means that the draft is good as it is."""
    match answer:
        case bool():
            return answer
        case {"approve": bool(approve)}:
            return approve
        case str():
            return answer.strip().rstrip(".!").lower() in _APPROVALS
    return False


def change(draft: Draft, wish: str) -> Draft:
    """The draft with a wish carried out.

    Raises:
        WishError: If the wish is not understood, or what it is about is not in the draft.
    """
    wish = re.sub(r"^please\s+", "", wish.strip(), flags=re.IGNORECASE)
    subject, body = draft.subject, draft.body
    greeting, *paragraphs, signature = [part for part in body.strip().split("\n\n") if part] or [
        "",
        "",
    ]
    if found := re.match(r"subject:?\s+(.+)", wish, re.IGNORECASE):
        return Draft(subject=found[1].strip(' "'), body=body)
    if found := re.match(r"replace\s+(.+?)\s+(?:with|by)\s+(.+)", wish, re.IGNORECASE):
        old, new = (part.strip(' "') for part in found.groups())
        return _replaced(draft, old, new)
    if found := re.match(r"(?:remove|delete)\s+(.+)", wish, re.IGNORECASE):
        gone = found[1].strip(' "')
        text = _phrase(gone)
        if not any(map(text.search, paragraphs)):
            raise WishError(f"I found nothing to remove: {_quoted(gone)} is not in the text.")
        paragraphs = [_wrapped(" ".join(text.sub("", part).split())) for part in paragraphs]
        paragraphs = [part for part in paragraphs if part.strip(" .")]
    elif found := re.match(r"sign(?:ed)?\s+(?:as|by)\s+(.+)", wish, re.IGNORECASE):
        closing = signature.split("\n")[0]
        name = found[1].strip(' "')
        signature = f"{closing}\n{name}"
    elif found := re.match(r"add:?\s+(.+)", wish, re.IGNORECASE | re.DOTALL):
        added = found[1][:1].upper() + found[1][1:]
        paragraphs.append(_wrapped(added if added[-1:] in ".!?" else f"{added}."))
    elif re.search(r"\bshort(?:er)?\b", wish, re.IGNORECASE):
        paragraphs = [re.split(r"(?<=[.!?])\s", part, maxsplit=1)[0] for part in paragraphs]
    elif re.search(r"\bformal\b", wish, re.IGNORECASE):
        greeting, signature = _restyled("business", signature)
    elif re.search(r"\bcasual\b", wish, re.IGNORECASE):
        greeting, signature = _restyled("technical", signature)
    else:
        raise WishError(f"I did not understand {_quoted(wish)}.")
    return Draft(subject=subject, body="\n\n".join([greeting, *paragraphs, signature]) + "\n")


def _replaced(draft: Draft, old: str, new: str) -> Draft:
    text = _phrase(old)
    if not (text.search(draft.subject) or text.search(draft.body)):
        raise WishError(f"I found nothing to replace: {_quoted(old)} is not in the mail.")
    return Draft(
        subject=text.sub(lambda _: new, draft.subject), body=text.sub(lambda _: new, draft.body)
    )


def _phrase(text: str) -> re.Pattern[str]:
    """Finds a text as whole words, in upper or lower case, also where a line ends in it."""
    words = text.split()
    if not words:
        raise WishError("I did not understand which text is meant.")
    before = r"(?<!\w)" if words[0][0].isalnum() else ""
    after = r"(?!\w)" if words[-1][-1].isalnum() else ""
    return re.compile(before + r"\s".join(map(re.escape, words)) + after, re.IGNORECASE)


def _quoted(text: str) -> str:
    return f'"{textwrap.shorten(text, 60, placeholder="...")}"'


def _restyled(audience: str, signature: str) -> tuple[str, str]:
    name = signature.split("\n", 1)[-1]
    return _GREETINGS[audience], f"{_CLOSINGS[audience]}\n{name}"


def _wish(answer: Any) -> str:
    match answer:
        case str(wish) | {"change": str(wish)} if (
            wish.strip().rstrip(".!").lower() not in _REFUSALS
        ):
            return wish
    raise WishError("It is not sent. What shall change?")


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, 72, break_long_words=False, break_on_hyphens=False)


def _composed_by(model: BaseChatModel, brief: Brief) -> Draft:
    request = (
        f"Write a marketing mail for a {brief.audience} audience, signed by {brief.sender_name}, "
        f"from this brief:\n\n{brief.text}"
    )
    return Draft.model_validate(model.with_structured_output(Draft).invoke(request))


def _changed_by(model: BaseChatModel, draft: Draft, wish: str) -> Draft:
    request = f"Change this mail as asked.\n\nAsked: {wish}\n\nMail: {draft.model_dump_json()}"
    return Draft.model_validate(model.with_structured_output(Draft).invoke(request))
