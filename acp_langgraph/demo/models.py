"""What the campaign's agents and its graph talk about."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Brief(BaseModel):
    """What the mail is to be about.

    Attributes:
        text: The user's own words.
        audience: Whom the mail addresses.
        sender_name: Who signs it.
    """

    text: str
    audience: Literal["general", "technical", "business"] = "general"
    sender_name: str = "The team"


class Draft(BaseModel):
    """A mail in the making.

    Attributes:
        subject: One line.
        body: Plain text, paragraphs with an empty line in between.
    """

    subject: str
    body: str


class Problem(BaseModel):
    """Something that the reviewer found.

    Attributes:
        what: The kind of problem, in a few words.
        found: The text as it was.
        correction: The text as it is now; `None` where only a human can tell.
    """

    what: str
    found: str
    correction: str | None = None


class Review(BaseModel):
    """What the reviewer says of a draft.

    Attributes:
        problems: What was found, in the order of the text.
        corrected: The draft with the corrections; `None` if nothing had to be corrected.
    """

    problems: list[Problem] = []
    corrected: Draft | None = None
