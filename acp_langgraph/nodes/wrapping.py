"""What a node is wrapped in by LangChain: with a config, with arguments, with retries; with no fallbacks."""

from __future__ import annotations

from typing import Any, NoReturn, cast

from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig
from langchain_core.runnables.retry import RunnableRetry
from langchain_core.runnables.utils import Input, Output
from typing_extensions import override

from acp_langgraph.errors import NodeConfigurationError


def refuse_fallbacks(node: str) -> NoReturn:
    """Refuse fallbacks, which would lose a question.

    Raises:
        NodeConfigurationError: Always.
    """
    raise NodeConfigurationError(
        "with_fallbacks would take the agent's question for a failure; LangGraph's own "
        "add_node(..., error_handler=...) does not",
        node=node,
    )


class WithoutFallbacks(Runnable[Input, Output]):
    """What refuses fallbacks, and so does whatever it is wrapped in by its own methods."""

    @override
    def with_fallbacks(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: a question of the agent is an exception to LangChain, and would be lost."""
        refuse_fallbacks(self.get_name())

    @override
    def with_config(
        self, config: RunnableConfig | None = None, **options: Any
    ) -> _Bound[Input, Output]:
        """It, with a config."""
        return _Bound(bound=self, config=cast("RunnableConfig", {**(config or {}), **options}))

    @override
    def bind(self, **kwargs: Any) -> _Bound[Input, Output]:
        """It, with arguments."""
        return _Bound(bound=self, kwargs=kwargs, config={})

    @override
    def with_retry(self, **options: Any) -> _Retried[Input, Output]:
        """It, tried again where it fails, as `Runnable.with_retry` says; a question is no failure."""
        return _Retried(**dict(Runnable.with_retry(self, **options)))  # type: ignore[call-overload]  # a model's fields


class _Bound(WithoutFallbacks[Input, Output], RunnableBinding[Input, Output]):  # type: ignore[no-redef]  # the plugin and a field "kwargs"
    """A `RunnableBinding`, but for fallbacks."""


class _Retried(WithoutFallbacks[Input, Output], RunnableRetry[Input, Output]):  # type: ignore[no-redef]  # the plugin and a field "kwargs"
    """A `RunnableRetry`, but for fallbacks."""
