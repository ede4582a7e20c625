"""The demo in the browser: the campaign is served like any graph, and its questions are answered there."""

from __future__ import annotations

import threading
import webbrowser
from dataclasses import asdict

from acp_langgraph import ACPClient
from acp_langgraph.demo import campaign
from acp_langgraph.demo.app import Demo, OutboxError
from acp_langgraph.demo.campaign import Order
from acp_langgraph.server import ServedAgent, serve

_ABOUT = "Has a mail drafted, approved by you, corrected and sent, by agents on other servers."


def show(demo: Demo, order: Order | None) -> None:
    """Serve the campaign with a page, until somebody presses Ctrl-C.

    Args:
        demo: Where its agents and its checkpoints are.
        order: What to start with; `None` goes on with what was stopped.

    Raises:
        OutboxError: If the outbox cannot be written to.
        KeyboardInterrupt: At the end.
    """
    try:
        demo.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutboxError(
            f"the outbox {demo.outbox} cannot be written to: {error.strerror or error}"
        ) from None
    with demo.serving() as hosts:
        graph = campaign.build(hosts["agents"], hosts["bridge"], demo.protocol).compile()
        served = [ServedAgent("campaign", graph, description=_ABOUT)]
        with serve(served, database=demo.state / "page.sqlite", page=True) as server:
            view = f"{server.url}/#/inbox"
            if order is not None:
                with ACPClient(server.url) as client:
                    client.create_stateless_run({"input": asdict(order)})
            demo.screen.pages(view)
            webbrowser.open(view)
            threading.Event().wait()
