"""A chat model that says what a test wrote down, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import PrivateAttr


class ScriptedChat(BaseChatModel):
    """Answers from a script; an answer that is no text or message is written as JSON.

    Attributes:
        script: The answers, in order.
        asked: What it was asked, a list of messages per call.
    """

    script: list[Any]
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def asked(self) -> list[list[BaseMessage]]:
        return self._asked

    @property
    def prompt(self) -> str:
        """Everything of the last call, as one text."""
        return "\n".join(str(message.text) for message in self._asked[-1])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._asked.append(messages)
        answer = self.script[len(self._asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, (str, AIMessage)):
            answer = json.dumps(answer)
        message = AIMessage(answer) if isinstance(answer, str) else answer
        return ChatResult(generations=[ChatGeneration(message=message)])


class StructuredChat(ScriptedChat):
    """The same with structured output: what it says is parsed by the model's own means."""

    _schemas: list[Any] = PrivateAttr(default_factory=list)

    @property
    def schemas(self) -> Sequence[Any]:
        return self._schemas

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[Any, Any]:
        self._schemas.append(schema)

        def parsed(message: AIMessage) -> dict[str, Any]:
            try:
                value = json.loads(str(message.text))
            except ValueError as error:
                return {"raw": message, "parsed": None, "parsing_error": error}
            return {"raw": message, "parsed": value, "parsing_error": None}

        return self | RunnableLambda(parsed)
