"""Serves the campaign's agents, and an API Bridge that writes mails, in a process of their own.

    python -m acp_langgraph.demo.agents --database agents.sqlite --outbox outbox

The first line on standard output is JSON with the URLs of both. The process ends with its parent: when standard
input is closed, which also happens when the parent is killed.
"""

from __future__ import annotations

import argparse
import email.policy
import hashlib
import json
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path
from typing import Any, Final

from acp_langgraph.demo import email_reviewer, mailcomposer
from acp_langgraph.demo.campaign import Draft
from acp_langgraph.demo.mailcomposer import Approval, Question
from acp_langgraph.server import AgentInterrupt, ServedAgent, run_server
from acp_langgraph.testing import BridgeQuery, FakeBridge

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


def served(model: Any = None) -> list[ServedAgent]:
    """The agents, as a server offers them.

    Args:
        model: A chat model that does the writing and reviewing; rules do it otherwise.
    """
    return [
        ServedAgent(
            "mailcomposer",
            mailcomposer.build(model),
            description="Drafts a mail from a brief and changes it until a human approves.",
            interrupts=[AgentInterrupt("approve_draft", Question, Approval | bool | str)],
        ),
        ServedAgent(
            "email_reviewer",
            email_reviewer.build(model),
            description="Finds problems in a mail and corrects those that it can.",
            interrupts=[],
        ),
    ]


def chat_model(name: str | None) -> Any:
    """The chat model of a name such as `openai:gpt-5-mini`, made by LangChain.

    Raises:
        SystemExit: If LangChain or the provider's package is missing.
    """
    if name is None:
        return None
    try:
        from langchain.chat_models import init_chat_model  # noqa: PLC0415 - optional
    except ImportError:
        sys.exit("--model needs LangChain: pip install langchain and the package of the provider")
    try:
        return init_chat_model(name)
    except (ImportError, ValueError) as error:
        sys.exit(f"--model {name}: {error}")


def main() -> None:
    """Serve until the parent goes away."""
    parser = argparse.ArgumentParser(prog="acp_langgraph.demo.agents", description=__doc__)
    parser.add_argument("--database", help="SQLite file that runs are kept in")
    parser.add_argument("--outbox", type=Path, default=Path("outbox"), help="folder for mails")
    parser.add_argument("--model", help="provider:name of a chat model")
    options = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with FakeBridge({"sendgrid": mail_service(options.outbox)}) as bridge:

        def tell(url: str) -> None:
            print(json.dumps({"agents": url, "bridge": bridge.url}), flush=True)  # noqa: T201 - for the parent

        run_server(served(chat_model(options.model)), database=options.database, on_ready=tell)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
