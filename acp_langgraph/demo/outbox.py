"""What the campaign's agents and its graph talk about, and mails as files that every mail program reads."""

from __future__ import annotations

import email.policy
import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel

from acp_langgraph.testing import BridgeQuery


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


SEND: Final = (
    'Please send an email from {sender} to {recipient} with the subject "{mail.subject}" '
    "and this text:\n\n{mail.body}"
)
"""What the campaign asks the mail service to do: a template over its state."""

_ASKED = re.compile(
    r'Please send an email from (.+) to (.+) with the subject "(.*)" and this text:\n\n(.*)',
    re.DOTALL,
)

_NAMED_ADDRESS = re.compile(r"(?:(?P<name>[^<>]*)<)?(?P<at>[^\s<>@]+@[^\s<>@]+\.[^\s<>@.,;:]+)>?")


def address(text: str) -> Address:
    """An address such as `ada@example.com` or `Ada Lovelace <ada@example.com>`.

    Raises:
        ValueError: If the text is none.
    """
    found = _NAMED_ADDRESS.fullmatch(text.strip())
    if not found:
        raise ValueError(
            f"{text!r} is no mail address; write ada@example.com or Ada <ada@example.com>"
        )
    name = (found["name"] or "").strip().strip('"')
    return Address(display_name=name, addr_spec=found["at"])


def write_mail(outbox: Path, draft: Draft, *, sender: str, recipient: str, key: str) -> Path:
    """Write a mail into the outbox as an `.eml` file.

    Args:
        outbox: The folder; made if it is missing.
        draft: Subject and text.
        sender: Address it is from.
        recipient: Address it is to.
        key: Names the mail: the same key is the same file, however often it is written.

    Returns:
        The file.
    """
    from_, to = address(sender), address(recipient)
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["Date"] = format_datetime(localtime())
    mail["From"] = from_
    mail["To"] = to
    mail["Subject"] = " ".join(draft.subject.split())
    mail["Message-ID"] = make_msgid(idstring=key, domain=from_.domain)
    mail.set_content(draft.body, charset="utf-8")
    outbox.mkdir(parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", draft.subject.lower()).strip("-")[:40].rstrip("-") or "mail"
    target = outbox / f"{slug}-{key}.eml"
    with tempfile.NamedTemporaryFile(dir=outbox, suffix=".part", delete=False) as file:
        file.write(mail.as_bytes())
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(target)
    return target


def mail_service(outbox: Path) -> Callable[[BridgeQuery], str]:
    """A service behind an API Bridge that "sends" mails into an outbox.

    A real bridge has a language model read the query and call the service's API with what it found.

    Args:
        outbox: The folder.
    """

    def send(query: BridgeQuery) -> str:
        asked = _ASKED.fullmatch(query.text)
        if asked is None:
            return "I could not find out which mail to send."
        sender, recipient, subject, body = asked.groups()
        key = hashlib.sha256(query.text.encode()).hexdigest()[:8]
        draft = Draft(subject=subject, body=body)
        try:
            file = write_mail(outbox, draft, sender=sender, recipient=recipient, key=key)
        except (OSError, ValueError) as error:
            return f"The service refused the mail: {error}"
        return f"The mail was accepted and written to {file}"

    return send
