"""One graph for many users: each request carries the token of the user that it is made for.

    python examples/per_user_auth.py

The agent's server lets nobody in without a token that it knows. Who the user is comes with the
invocation; the token is got when it is needed, kept for that user, and got anew, once, when the server
refuses it. Two users at the same time never see each other's.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode, MissingCredentialsError, TokenAuth
from acp_langgraph.server import serve


class State(TypedDict, total=False):
    """The agent's state, and that of the graph that uses it."""

    text: str


class Door:
    """Stands for an identity provider: it issues tokens, and forgets them when they are over."""

    def __init__(self) -> None:
        self.issued = 0
        self._good: set[str] = set()
        self._lock = threading.Lock()

    def token_for(self, config: RunnableConfig) -> dict[str, Any]:
        """What an OAuth 2.0 token endpoint would answer."""
        token = f"{config['configurable']['user_id']}-{secrets.token_urlsafe()}"
        with self._lock:
            self.issued += 1
            self._good.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": 3600}

    def lets_in(self, token: str) -> bool:
        """Whether a token is good."""
        return token in self._good

    def forget(self) -> None:
        """Let all tokens be over, earlier than was said."""
        self._good.clear()


def main() -> None:
    """Run the graph for two users at once, again after their tokens are over, and for nobody."""
    agent = StateGraph(State).add_node("shout", lambda state: {"text": state["text"].upper()})
    door = Door()
    with serve({"shout": agent.add_edge(START, "shout").compile()}, api_key=door.lets_in) as server:
        auth = TokenAuth(door.token_for, per="user_id")
        node = ACPNode("shout", "shout", server.url, auth=auth)
        graph = StateGraph(State).add_node(node).add_edge(START, "shout").compile()

        users: list[RunnableConfig] = [
            {"configurable": {"user_id": user}} for user in ("ada", "grace")
        ]
        said = [State(text="hello from ada"), State(text="hello from grace")]
        for _ in range(2):
            for done in graph.batch(list(said), users):
                print(done["text"])
            print(f"{door.issued} tokens were issued")
            door.forget()

        try:
            graph.invoke({"text": "hello"})
        except MissingCredentialsError as error:
            print(error)


if __name__ == "__main__":
    main()
