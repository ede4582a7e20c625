"""A web application as `gunicorn --preload` imports it: before its workers are forked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from acp_langgraph import ACPNode

__all__ = ["app"]

node = ACPNode("n", os.environ["AGENT"], os.environ["HOST"], "ask", dict, "answer", None)
node.describe()


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Tell the user, who is named in the query, what the agent answered; and who told it."""
    who = environ["QUERY_STRING"]
    answer = node.invoke({"ask": {"text": who}})["answer"]
    start("200 OK", [("content-type", "application/json")])
    return [json.dumps({"worker": os.getpid(), "answer": answer["text"]}).encode()]
