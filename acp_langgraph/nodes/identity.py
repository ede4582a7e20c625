"""What goes with a node's requests: as whom they are made, and what of the graph's configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, TypeAlias

import httpx
from langchain_core.runnables import RunnableConfig
from pydantic_core import PydanticSerializationError

from acp_langgraph.auth import HeaderAuth, Refuse, credentials_of
from acp_langgraph.auth.credentials import Credentials, Shown
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.secrets import SHORTEST_SECRET
from acp_langgraph.core.wire import plain, unsendable
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

    def __deepcopy__(self, _: Any) -> Self:
        """The same: what is copied shows what this shows, and asks for it together with this."""
        return self

    @property
    def varies(self) -> bool:
        """Whether it may be another one for another execution."""
        return bool(self._parts) or self._more is not None

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

    def _say_what_is_stored(self, shown: Shown, config: RunnableConfig) -> None:
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


_GRAPHS_OWN: Final = ("langgraph_", "checkpoint", "__", "ls_")
_DEFAULT_RECURSION_LIMIT: Final = 25  # what LangChain fills in where the user set none
_GRAPHS_OWN_TAGS: Final = ("graph:", "seq:", "langsmith:", "branch:")


def forwarded(config: RunnableConfig) -> dict[str, Any]:
    """What of the graph's configuration is the user's and meant for the agent as well."""
    tags = [tag for tag in config.get("tags") or () if not tag.startswith(_GRAPHS_OWN_TAGS)]
    found: dict[str, Any] = {"tags": tags} if tags else {}
    limit = config.get("recursion_limit", _DEFAULT_RECURSION_LIMIT)
    if limit != _DEFAULT_RECURSION_LIMIT:
        found["recursion_limit"] = limit
    return found


def forwarded_metadata(config: RunnableConfig) -> dict[str, Any]:
    """What of its metadata is the user's, as far as it is JSON."""
    configurable = config.get("configurable", {})
    found = {}
    for name, value in (config.get("metadata") or {}).items():
        if name.startswith(_GRAPHS_OWN) or name in configurable:
            continue
        try:
            made = plain(value)
        except (PydanticSerializationError, ValueError):
            continue
        if unsendable(made) is None:
            found[name] = made
    return found
