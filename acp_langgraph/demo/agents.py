"""Serves the campaign's agents, and an API Bridge to send mail with, in a process of their own.

    python -m acp_langgraph.demo.agents --database agents.sqlite --outbox outbox

The first line on standard output is JSON with the URLs of both. The process ends with its parent: when standard
input is closed, which also happens when the parent is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from acp_langgraph.demo import email_reviewer, mailcomposer
from acp_langgraph.demo.mailcomposer import Approval, Question
from acp_langgraph.demo.outbox import mail_service
from acp_langgraph.server import AgentInterrupt, ServedAgent, run_server
from acp_langgraph.testing import FakeBridge


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
        why = str(error).partition("\n")[0]  # LangChain goes on with a list of what it knows
        sys.exit(f"--model {name}: {why}")


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
    # Not sys.stdin.buffer: its lock, held by a thread that reads, is fatal to an interpreter that ends.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
