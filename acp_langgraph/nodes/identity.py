"""As whom a node makes its requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias

import httpx
from langchain_core.runnables import RunnableConfig

from acp_langgraph.auth import HeaderAuth, Refuse, credentials_of
from acp_langgraph.auth.credentials import Credentials, Grants
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.secrets import SHORTEST_SECRET
from acp_langgraph.errors import (
    ApiTypeError,
    ApiValueError,
    CredentialsUnavailableError,
    NodeConfigurationError,
)
from acp_langgraph.transport.per_call import httpx_auth

Headers: TypeAlias = Mapping[str, str] | Callable[..., Any]
"""The headers of every request of a node, or a function that makes them as told in `HeaderAuth`."""

Auth: TypeAlias = httpx.Auth | HeaderAuth
"""What authenticates a node's requests."""

_log = logging.getLogger("acp_langgraph.nodes")


class Identity:
    """As whom a node makes its requests.

    Attributes:
        headers: What is the same for every request.
        httpx_auth: What httpx is to do.
        varies: Whether it may be another one for another execution.

    Args:
        node: The node's name.
        headers: As the node was given them.
        auth: As the node was given it.
        fixed: More headers that are the same for every request.
        more: What else there is to show, and `refuse` does not hold for.
        refuse: Raises for headers that must not be sent.

    Raises:
        NodeConfigurationError: If that cannot work.
    """

    def __init__(
        self,
        node: str,
        headers: Headers | None,
        auth: Auth | None,
        *,
        fixed: Mapping[str, str] | None = None,
        more: HeaderAuth | None = None,
        refuse: Refuse | None = None,
    ) -> None:
        self._node = node
        self._refuse = refuse
        self._says_what_is_stored = True
        self.headers = fixed
        parts = [auth] if isinstance(auth, HeaderAuth) else []
        try:
            self.httpx_auth = httpx_auth(auth)
            if headers is not None and not isinstance(headers, Mapping | str):
                parts.insert(0, HeaderAuth(headers))
            elif fixed is None:
                self.headers = headers
        except (ApiTypeError, ApiValueError) as error:
            raise NodeConfigurationError(str(error), node=node) from None
        self._parts = tuple(parts)
        self._more = more
        self.varies = bool(parts) or more is not None

    def __deepcopy__(self, _: Any) -> Self:
        """The same: what is copied shows what this shows, and asks for it together with this."""
        return self

    def credentials(self, config: RunnableConfig) -> Credentials | None:
        """What is shown with the calls of an execution.

        Raises:
            MissingCredentialsError: If the config does not say for whom it is.
        """
        if not self.varies:
            return None
        who = f"node {self._node!r}"
        shown = credentials_of(self._parts, config, who, self._refuse)
        if self._more is None:
            return shown
        return shown.and_also(credentials_of([self._more], config, who))

    def settled(
        self, credentials: Credentials, config: RunnableConfig, *, remembered: bool
    ) -> Flow[None]:
        """Make sure, before anything is done, that there is something to show.

        Raises:
            MissingCredentialsError: If there is not.
        """
        try:
            shown = yield from credentials.shown()
        except CredentialsUnavailableError:
            return  # the calls try again, as often as a connection
        if remembered and self._says_what_is_stored:
            self._say_what_is_stored(shown, config)

    def _say_what_is_stored(self, shown: Grants, config: RunnableConfig) -> None:
        values = [value for grant in shown for value in grant.headers.values()]
        for name, text in config.get("configurable", {}).items():
            if not isinstance(text, str) or len(text) < SHORTEST_SECRET:
                continue
            if not name.startswith("__") and any(text in value for value in values):
                self._says_what_is_stored = False
                _log.warning(
                    "node %r sends what config['configurable'] holds under %r as plain text. LangGraph "
                    "stores that with each checkpoint: put it into the runtime's context, or into a "
                    "pydantic SecretStr; this is said once",
                    self._node,
                    name,
                )
                return
