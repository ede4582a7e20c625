"""As whom requests are made, where that is not the same for all: `TokenAuth` and `HeaderAuth`.

    auth = TokenAuth(fetch_token, per="user_id")

    node = ACPNode("reviewer", "email_reviewer", url, auth=auth)          # every kind of node
    client = AsyncACPClient(url, auth=auth)                               # every client

    async def fetch_token(config, runtime): ...      # whatever of these its parameters name

Nodes also take `headers=` as a function, which is short for a `HeaderAuth`.

What is got is kept in memory only, apart for every identity, and shown to the configured host only. A
token in `config["configurable"]` is another matter: LangGraph writes the plain texts in it to
checkpoints, and LangChain to traces. Put there who the user is, and what is secret into the runtime's
context (`graph.invoke(..., context=...)`), or into a pydantic `SecretStr`.

How it works is told in `acp_langgraph.auth.credentials`.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from acp_langgraph.auth.credentials import Credentials, Grant, TokenCache
from acp_langgraph.auth.providers import (
    AwaitsHeaders,
    AwaitsToken,
    Function,
    GivesHeaders,
    GivesToken,
    Provider,
    Question,
    is_being_asked,
    runtime_of,
)
from acp_langgraph.core.processes import PerProcess
from acp_langgraph.core.wire import sendable_headers
from acp_langgraph.errors import (
    ApiTypeError,
    ApiValueError,
    CredentialsUnavailableError,
    MissingCredentialsError,
)

Refuse: TypeAlias = Callable[[Mapping[str, str]], None]
"""Raises an `ApiValueError` for headers that must not be sent."""

_ANYBODY: Final = "anybody"
# What fails for one of these reasons fails again; most are what LangGraph's `RetryPolicy` leaves alone.
_STAYS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    ReferenceError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
_WHAT_TO_DO: Final = (
    'Pass what it takes with the invocation: graph.invoke(..., config={"configurable": {...}}), or '
    "context=... for what is secret"
)

_WHY_IT_KNOWS_NOBODY: Final = (
    "It has no parameter config or runtime, so what it gives is kept for everybody, and it sees "
    "nobody's context; name such a parameter if it depends on whom the request is for"
)


class _Kept:
    """What is kept for whom, in one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holders: OrderedDict[Any, TokenCache] = OrderedDict()


class HeaderAuth:
    """Headers that a function makes from the invocation's config or runtime.

        auth = HeaderAuth(lambda runtime: {"x-api-key": runtime.context.api_key})

    The function is called once for each execution of a node, and for each call of a client; and once
    more where the server answers 401, in case it knows something better by then. The call is repeated
    if it does.

    Args:
        headers: A function, blocking or awaiting; or an object with `headers`, `aheaders` or both. It
            is given what its parameters name: `config`, the invocation's `RunnableConfig`; `runtime`,
            LangGraph's; `refresh`, whether the server refused what it gave last. A first parameter of
            another name is the config. Values may be `SecretStr`.
        per: Whose headers these are, so that one user's are kept from one execution to the next: a name
            in the config's `configurable` or else in the runtime's context, or a function like
            `headers`, which does not await. Left out, nothing is kept.
        remember: For how many users to keep them; who was away for longest is forgotten.

    Raises:
        ApiTypeError: If that is no function, or one that wants what it cannot be given.
        ApiValueError: If nobody is to be remembered.
    """

    _what = "headers"
    _keeps_for_everybody = False

    def __init__(
        self,
        headers: Callable[..., Any] | GivesHeaders | AwaitsHeaders,
        *,
        per: str | Callable[..., Any] | None = None,
        remember: int = 1000,
    ) -> None:
        if remember < 1:
            raise ApiValueError("remember is a number of users, at least 1")
        self._provider = Provider(headers, self._what)
        self._per = per if per is None or isinstance(per, str) else Function(per, "per")
        self._remember = remember
        self._kept = PerProcess(_Kept)

    def _part(
        self, config: Mapping[str, Any], who: str, refuse: Refuse | None = None
    ) -> tuple[TokenCache, _Source]:
        """What holds the headers of whom an invocation is for, and where to get them from.

        Args:
            config: The invocation's.
            who: Names who asks, in errors.
            refuse: Raises for headers that must not be sent.

        Raises:
            MissingCredentialsError: If the config does not say for whom it is.
        """
        identity = self._identity(config, who)
        holder = self._holder(identity)
        if is_being_asked(holder):  # it would wait for itself
            raise ApiTypeError(
                f"{who}: {self._provider.name} makes a request with the very {self._what} that it is "
                "asked for; give its own client other credentials, or none"
            )
        question = Question(config, who, holder, for_everybody=identity is _ANYBODY)
        return holder, _Source(self._provider, self._grant, question, refuse)

    def _grant(self, said: Any, who: str) -> Grant:
        """What a function's answer comes to.

        Raises:
            MissingCredentialsError: If it is none.
        """
        if not isinstance(said, Mapping):
            found = "nothing" if said is None else type(said).__name__
            raise MissingCredentialsError(
                f"{who}: {self._what} must give a mapping of names to texts, and gives {found}; "
                f"nothing was sent. {_WHAT_TO_DO}"
            )
        return Grant({name.lower(): value for name, value in _sendable(said, who).items()})

    def _holder(self, identity: Any) -> TokenCache:
        if identity is None:
            return TokenCache()
        kept = self._kept.here()
        with kept.lock:
            holder = kept.holders.pop(identity, None) or TokenCache()
            kept.holders[identity] = holder
            while len(kept.holders) > self._remember:
                kept.holders.popitem(last=False)
        return holder

    def _identity(self, config: Mapping[str, Any], who: str) -> Any:
        """Whose headers are wanted; `None` if nobody can tell, so that they must not be kept."""
        per = self._per
        if per is None:
            same = self._keeps_for_everybody and not self._provider.asks_who
            return _ANYBODY if same else None
        try:
            found = _named(per, config) if isinstance(per, str) else _plain(per(config))
            hash(found)
        except Exception as error:
            source = _Source(self._provider, self._grant, Question(config, who))
            raise (source.explain(error) or error) from error
        if found is None or found == "":
            name = f"{per!r} is" if isinstance(per, str) else "per= finds it"
            raise MissingCredentialsError(
                f"{who}: for whom the request is made is not said: {name} neither in "
                'config["configurable"] nor in the runtime\'s context; nothing was sent. '
                f"{_WHAT_TO_DO}"
            )
        return type(found), found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._provider.name})"


class TokenAuth(HeaderAuth):
    """A token that is got when it is needed, kept for its user, and got anew when it is refused.

        async def token_of(config):
            return await vault.issue(config["configurable"]["user_id"])

        auth = TokenAuth(token_of, per="user_id")

    It is sent as `Authorization: Bearer ...`, unless told otherwise.

    Requests that need one at the same time, be it the first or another one after a 401, wait for one
    call of the function. A request that is refused is repeated once.

    Args:
        token: A function, blocking or awaiting, as for `HeaderAuth`; or an object with `token`,
            `atoken` or both. It returns the token, or what an OAuth 2.0 token endpoint answers (RFC
            6749, section 5.1): a mapping with `access_token` and, if known, the seconds `expires_in`
            or the time `expires_at`, in seconds since 1970. A function that blocks is called in a
            thread where others await.
        per: Whose token it is, as for `HeaderAuth`. Left out, a function that takes neither config nor
            runtime gives one token for everybody, which is kept; it is called outside of any context,
            so that it cannot give somebody's own by mistake. One that takes either is called for each
            execution of a node, and for each call of a client.
        header: The header that it is sent in.
        scheme: What comes before it, if anything.
        remember: For how many users to keep one.

    Raises:
        ApiTypeError: If that is no function, or one that wants what it cannot be given.
        ApiValueError: If the header or the scheme cannot be sent.
    """

    _what = "token"
    _keeps_for_everybody = True

    def __init__(
        self,
        token: Callable[..., Any] | GivesToken | AwaitsToken,
        *,
        per: str | Callable[..., Any] | None = None,
        header: str = "authorization",
        scheme: str = "Bearer",
        remember: int = 1000,
    ) -> None:
        super().__init__(token, per=per, remember=remember)  # type: ignore[arg-type]  # by `_what`
        _sendable({header: scheme or "-"}, "TokenAuth")
        self._header = header.lower()
        self._scheme = scheme.strip()
        self._provider.in_thread = True

    def _grant(self, said: Any, who: str) -> Grant:
        """What a function's answer comes to."""
        lasts = None
        if isinstance(said, Mapping):
            lasts = _lasts(said)
            said = said.get("access_token")
        token = _plain(said)
        if not isinstance(token, str) or not token.strip():
            found = "none" if not token else type(token).__name__
            raise MissingCredentialsError(
                f"{who}: the token must be a text, or a mapping with access_token, and there is "
                f"{found}; nothing was sent. {_WHAT_TO_DO}"
            )
        value = f"{self._scheme} {token.strip()}".strip()
        return Grant.lasting(_sendable({self._header: value}, who), lasts)


def credentials_of(
    auths: Sequence[HeaderAuth],
    config: Mapping[str, Any] | None,
    who: str,
    refuse: Refuse | None = None,
) -> Credentials:
    """What is shown with the calls of an invocation.

    Args:
        auths: Where it comes from.
        config: The invocation's; `None` takes that of the graph in which this is called, if any.
        who: Names who asks, in errors.
        refuse: Raises for headers that must not be sent.

    Raises:
        MissingCredentialsError: If the config does not say for whom it is.
    """
    if config is None:
        config = _surrounding()
    return Credentials([auth._part(config, who, refuse) for auth in auths])  # noqa: SLF001 - its own


class _Source:
    """Gets headers for one invocation."""

    def __init__(
        self,
        provider: Provider,
        grant: Callable[[Any, str], Grant],
        question: Question,
        refuse: Refuse | None = None,
    ) -> None:
        self._provider = provider
        self._grant = grant
        self._question = question
        self._who = question.who
        self._refuse = refuse

    def blocking(self, *, refused: bool) -> Grant:
        """Get headers; `refused` if the server did not accept the last."""
        return self._granted(self._provider.ask(replace(self._question, refresh=refused)))

    async def awaiting(self, *, refused: bool) -> Grant:
        """`blocking`, awaiting."""
        return self._granted(await self._provider.aask(replace(self._question, refresh=refused)))

    def _granted(self, said: Any) -> Grant:
        grant = self._grant(said, self._who)
        if self._refuse is not None:
            self._refuse(grant.headers)
        return grant

    def explain(self, error: BaseException) -> Exception | None:
        """What is raised; not the failure itself, which does not say that nothing was sent."""
        if not isinstance(error, Exception) or _is_the_graphs_own(error):
            return None
        if isinstance(error, ApiValueError | ApiTypeError):
            return type(error)(*error.args)
        what = self._provider.name
        said = type(error).__name__
        if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
            said = f"{said}: {error.args[0]!r}"
        elif isinstance(error, AttributeError) and error.name:
            said = f"{said}: {error.name!r}"
        problem = f"{self._who}: {what} failed with {said}; nothing was sent"
        if _passes(error):
            return CredentialsUnavailableError(problem)
        if self._question.for_everybody:
            return MissingCredentialsError(f"{problem}. {_WHY_IT_KNOWS_NOBODY}")
        return MissingCredentialsError(f"{problem}. {_WHAT_TO_DO}")


def _named(name: str, config: Mapping[str, Any]) -> Any:
    """What the config, or else the runtime's context, has under a name."""
    found = (config.get("configurable") or {}).get(name)
    if found is None:
        context = getattr(runtime_of(config), "context", None)
        read = context.get if isinstance(context, Mapping) else partial(getattr, context)
        found = read(name, None)
    return _plain(found)


def _surrounding() -> Mapping[str, Any]:
    """The config of the graph that this is called in; LangChain is asked only if it is there."""
    module = sys.modules.get("langchain_core.runnables.config")
    return (module.var_child_runnable_config.get() if module is not None else None) or {}


def _plain(value: Any) -> Any:
    """What a pydantic secret holds, or the value itself."""
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if callable(reveal) else value


def _sendable(headers: Mapping[Any, Any], who: str) -> dict[str, str]:
    """The headers as texts that can be sent.

    Raises:
        MissingCredentialsError: If one is empty.
        ApiTypeError, ApiValueError: If one cannot be sent; the message does not hold it.
    """
    found = {}
    for name, given in headers.items():
        value = _plain(given)
        if value is None or value == "":
            raise MissingCredentialsError(
                f"{who}: there is no value for the header {name}; nothing was sent. {_WHAT_TO_DO}"
            )
        found[name] = value
    return sendable_headers(found, who)


def _lasts(said: Mapping[str, Any]) -> float | None:
    """Seconds that a token can be used for; `None` if that is not said, or not to be understood."""
    try:
        if said.get("expires_in") is not None:
            seconds = float(said["expires_in"])
        elif said.get("expires_at") is not None:
            seconds = float(said["expires_at"]) - time.time()
        else:
            return None
    except (TypeError, ValueError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _passes(error: Exception) -> bool:
    """Whether what a user's function raised may pass by itself."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status in {408, 429} or status >= 500  # noqa: PLR2004 - the 5xx of HTTP
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return not isinstance(error, (*_STAYS, OSError))


def _is_the_graphs_own(error: Exception) -> bool:
    """Whether it is an interrupt or the like, by which LangGraph leaves a node."""
    module = sys.modules.get("langgraph.errors")
    return module is not None and isinstance(error, module.GraphBubbleUp)
