"""The campaign's agents."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acp_langgraph.demo.email_reviewer import review
from acp_langgraph.demo.mailcomposer import WishError, build, change, compose, is_approval
from acp_langgraph.demo.outbox import Brief, Draft


def test_a_draft_greets_says_what_the_brief_says_and_is_signed() -> None:
    draft = compose(
        Brief(text="We open. Come!\n\nAt noon.", sender_name="Ada", audience="business")
    )
    assert draft.subject == "We open"
    assert draft.body.startswith("Dear Sir or Madam,\n\nWe open. Come!\n\nAt noon.\n\n")
    assert draft.body.endswith("Kind regards,\nAda\n")


def test_a_long_first_sentence_is_cut_for_the_subject() -> None:
    assert len(compose(Brief(text="word " * 100)).subject) <= 74


@pytest.mark.parametrize("answer", ["yes", "Yes.", "ok!", "", True, {"approve": True}])
def test_approvals_are_understood(answer: object) -> None:
    assert is_approval(answer)


@pytest.mark.parametrize("answer", ["no", "shorter", False, None, 0, {"approve": False}, ["yes"]])
def test_everything_else_is_no_approval(answer: object) -> None:
    assert not is_approval(answer)


@pytest.mark.parametrize(
    ("wish", "subject", "part"),
    [
        ("subject: New", "New", "One. Two."),
        ("shorter", "S", "One.\n\nThree."),
        ("please make it more formal", "S", "Dear Sir or Madam,"),
        ("more casual", "S", "Hi there,"),
        ('replace "One" with "Eins"', "S", "Eins. Two."),
        ("remove Two.", "S", "One.\n\nThree."),
        ("sign as Bob", "S", "Best wishes,\nBob"),
        ("add: See you there", "S", "See you there.\n\nBest wishes,"),
        ("Please add a short note", "S", "A short note.\n\nBest wishes,"),
        ("remove TWO.", "S", "One.\n\nThree."),
    ],
)
def test_wishes_are_carried_out(wish: str, subject: str, part: str) -> None:
    draft = Draft(subject="S", body="Hello,\n\nOne. Two.\n\nThree.\n\nBest wishes,\nAda\n")
    changed = change(draft, wish)
    assert changed.subject == subject
    assert part in changed.body


@pytest.mark.parametrize(
    ("wish", "body"),
    [
        ("remove the old town", "Hello,\n\nCome to of it.\n\nAda\n"),
        ("replace the OLD town with \\1", "Hello,\n\nCome to \\1 of it.\n\nAda\n"),
        ("remove i", None),
    ],
)
def test_what_a_wish_names_is_found_as_whole_words_also_across_lines(
    wish: str, body: str | None
) -> None:
    draft = Draft(subject="S", body="Hello,\n\nCome to the old\ntown of it.\n\nAda\n")
    if body is None:
        with pytest.raises(WishError):
            change(draft, wish)
    else:
        assert change(draft, wish).body == body


@pytest.mark.parametrize(
    ("answer", "remark"),
    [
        ("no", "What shall change?"),
        ("No!", "What shall change?"),
        (False, "What shall change?"),
        ({"approve": False}, "What shall change?"),
        (["yes"], "What shall change?"),
        ("Yes please", 'I did not understand "Yes please".'),
        ("make it pop " * 50, 'I did not understand "make it pop make it pop'),
        ("add:", 'I did not understand "add:".'),
        ("remove cats", 'I found nothing to remove: "cats" is not in the text.'),
        ("replace cats with dogs", 'I found nothing to replace: "cats" is not in the mail.'),
        ('remove ""', "I did not understand which text is meant."),
    ],
)
def test_what_is_not_understood_is_said_with_the_next_question_and_changes_nothing(
    answer: object, remark: str
) -> None:
    agent = build().with_config({"configurable": {"thread_id": "1"}})
    agent.checkpointer = InMemorySaver()
    [first] = agent.invoke({"text": "We open."})["__interrupt__"]
    [second] = agent.invoke(Command(resume=answer))["__interrupt__"]
    [third] = agent.invoke(Command(resume="sign as Bob"))["__interrupt__"]
    assert remark in second.value["question"].splitlines()[0]
    assert second.value["question"].splitlines()[1:] == [first.value["question"]]
    assert second.value["draft"] == first.value["draft"]
    assert third.value["question"] == first.value["question"]
    assert third.value["draft"] != first.value["draft"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("We recieve it.", "We receive it."),
        ("Untill then.", "Until then."),
        ("It is the the best.", "It is the best."),
        ("Now!!! Really???", "Now! Really?"),
        ("Well , yes .", "Well, yes."),
        ("Yes,no.", "Yes, no."),
        ("One  two.", "One two."),
        ("A apple, an pear, an hour.", "An apple, a pear, an hour."),
        ("It is AVAILABLE.", "It is available."),
        ("Fine. it works.", "Fine. It works."),
    ],
)
def test_problems_are_found_and_corrected(before: str, after: str) -> None:
    found = review(Draft(subject="S", body=before))
    assert found.corrected is not None
    assert found.corrected.body == after
    assert all(problem.correction is not None for problem in found.problems)


@pytest.mark.parametrize(
    "text",
    [
        "Dear [Name], see you.",
        "Act now, it is 100% free.",
        "The price is TBD.",
        " ".join(f"w{n}" for n in range(60)) + ".",
    ],
)
def test_what_only_a_human_can_mend_is_pointed_out(text: str) -> None:
    found = review(Draft(subject="S", body=text))
    assert found.problems
    assert found.problems[-1].correction is None


@pytest.mark.parametrize(
    "text",
    [
        "Hello,\n\nAll is well. See https://example.com/a,b or mail a.b@example.com.\n\nAda\n",
        "He had had that that day. A European one-day use of a union, an MRI at 3.5 kg.",
        "The NASA and the UNESCO agree: e.g. this is fine, i.e. correct...",
    ],
)
def test_a_good_text_is_left_alone(text: str) -> None:
    found = review(Draft(subject="All well", body=text))
    assert found.corrected is None, found.problems
