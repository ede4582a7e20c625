"""Who watches a graph, and how what a remote agent emits gets there.

What LangGraph offers in public is used in public ways: the stream writer for `custom`, LangChain's
callbacks for `messages` and for `astream_events`. But no public name tells whether anybody watches,
and neither stream slows its writer down. What is private in the following is read with care, so that
a LangGraph without it streams on, and pinned by tests:

* a stream writer that writes nowhere closes over nothing, one that does over the queue `stream`;
* handlers that stream have a method `tap_output_iter`;
* `CONFIG_KEY_STREAM` takes what a subgraph emits, for those who watch `values` with `subgraphs`.

The events of a step are told from within the task that it is. They are the node's all the same, so
they are written in the context in which the node was invoked.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextvars import Context, copy_context
from functools import lru_cache
from typing import Any, Final, Self

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.callbacks.manager import adispatch_custom_event, dispatch_custom_event
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import (
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)
from langgraph.runtime import Runtime

from acp_langgraph.core.flow import RemoteEvent
from acp_langgraph.errors import EventStreamError
from acp_langgraph.nodes.langgraph import CONFIG_KEY_STREAM, queues_behind, writer_of

# By `role`, as the protocol and OpenAI have it, or by `type`, as LangChain writes messages.
_CLASSES: Final[Mapping[str, type[BaseMessage]]] = {
    "ai": AIMessage,
    "agent": AIMessage,
    "assistant": AIMessage,
    "AIMessage": AIMessage,
    "AIMessageChunk": AIMessageChunk,
    "tool": ToolMessage,
}
_HUMANS: Final = frozenset({"human", "user", "HumanMessage"})
_FIELDS: Final = frozenset(
    {
        "additional_kwargs",
        "artifact",
        "chunk_position",
        "content",
        "id",
        "invalid_tool_calls",
        "name",
        "response_metadata",
        "status",
        "tool_call_chunks",
        "tool_call_id",
        "tool_calls",
        "usage_metadata",
    }
)


class MessageFinder:
    """Finds what an agent says in the events of one run, every message once.

    Messages are looked for where agents put them: an update of the agent's own may be a message or
    a piece of one, and an output may have a list `messages`. Of such a list, which is often a whole
    conversation, what comes after the last word of a human is new.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def find(self, kind: str, payload: Any) -> Iterator[BaseMessage]:
        """The messages of an event; pieces of a message are `AIMessageChunk`s."""
        if not isinstance(payload, dict):
            return
        if kind in {"custom", "messages"}:
            message = _message(payload)
            if isinstance(message, AIMessageChunk):
                self._seen.add(str(message.id))
                yield message
            elif message is not None and self._is_new(message, 0):
                yield message
        elif kind == "values" and isinstance(payload.get("messages"), list):
            for index, found in _last_turn(payload["messages"]):
                message = _message(found)
                if message is not None and self._is_new(message, index):
                    yield message

    def _is_new(self, message: BaseMessage, index: int) -> bool:
        key = message.id or f"{index}\n{json.dumps(message.content)}"
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


def _last_turn(messages: list[Any]) -> list[tuple[int, Any]]:
    start = 0
    for index, message in enumerate(messages):
        if isinstance(message, dict) and _kind(message) in _HUMANS:
            start = index + 1
    return list(enumerate(messages))[start:]


def _message(found: Any) -> BaseMessage | None:
    if not isinstance(found, dict) or "content" not in found:
        return None
    message_class = _CLASSES.get(_kind(found))
    if message_class is None:
        return None
    try:
        return message_class.model_validate(
            {name: found[name] for name in _FIELDS & found.keys() if found[name] is not None}
        )
    except Exception:  # noqa: BLE001 - LangChain meets foreign JSON here; at worst it is no message
        return None


def _kind(message: Mapping[str, Any]) -> str:
    kind = message.get("role") or message.get("type")
    return kind if isinstance(kind, str) else ""


try:  # private, and newer than the oldest LangChain that this package supports
    from langchain_core.language_models._compat_bridge import achunks_to_events
except ImportError:  # pragma: no cover - see above
    achunks_to_events = None  # type: ignore[assignment]


EVENT_NAME: Final = "remote_event"
"""The name of a remote event among the custom events of `astream_events`."""

_WAITING_AT_MOST: Final = 100  # items in the graph's queue
_LOOK_AGAIN: Final = 0.005  # seconds
_GIVE_UP: Final = 60.0  # seconds in which nobody takes anything
_SILENT: Final = {
    BaseCallbackHandler.on_custom_event,
    AsyncCallbackHandler.on_custom_event,
}
_QUIET: Final = {
    getattr(BaseCallbackHandler, "on_stream_event", None),
    getattr(AsyncCallbackHandler, "on_stream_event", None),
}


class EventSink:
    """Those who watch one execution of a node.

    Args:
        key: Identifies the execution, however often it is entered.
        config: What LangGraph gave the node.
        writer: The writer of the stream `custom`, if anybody watches that.
        subgraph: Takes what a subgraph emits, if anybody watches that.
        handlers: Whatever else hears of the node.

    Attributes:
        is_there: Whether anybody watches.
    """

    def __init__(
        self,
        key: str,
        config: RunnableConfig,
        writer: Callable[[Any], None] | None,
        subgraph: Any,
        handlers: Sequence[Any],
    ) -> None:
        self._key = key
        self._config = config
        self._writer = writer
        self._subgraph = subgraph
        self._follows = any(map(_follows, handlers))
        self.is_there = writer is not None or subgraph is not None or self._follows
        self._context: Context = copy_context()
        place = config.get("configurable", {}).get("checkpoint_ns", "")
        self._place = tuple(str(place).split("|"))
        self._takes_events = any(map(_takes_events, handlers))
        streams = [handler.stream for handler in handlers if hasattr(handler, "stream")]
        self._queues = list(queues_behind([writer, *streams]))
        self._spoken: _Utterance | None = None

    @classmethod
    def of(cls, key: str, config: RunnableConfig, runtime: Runtime[Any]) -> EventSink:
        """Those who watch, of whom LangGraph tells by what it gives to the node."""
        writer = writer_of(runtime)
        stream = config.get("configurable", {}).get(CONFIG_KEY_STREAM)
        subgraph = stream if stream is not None and "values" in stream.modes else None
        handlers = getattr(config.get("callbacks"), "handlers", ())
        if writer is None and subgraph is None and not any(map(_follows, handlers)):
            return UNWATCHED
        return cls(key, config, writer, subgraph, handlers)

    def tell(self, event: RemoteEvent) -> None:
        """Show an event, and wait while too much of what was shown is not taken yet."""
        self._write(event)
        if self._follows:
            dispatch_custom_event(EVENT_NAME, event, config=self._config)
            for message in _finder(self._key).find(event["kind"], event["payload"]):
                self._say(event["agent"], message)
        if event["kind"] == "progress":  # few, and not worth holding the run for
            return
        for pause in self._patience():
            time.sleep(pause)

    async def atell(self, event: RemoteEvent) -> None:
        """`tell`, awaiting."""
        self._write(event)
        if self._follows:
            await adispatch_custom_event(EVENT_NAME, event, config=self._config)
            for message in _finder(self._key).find(event["kind"], event["payload"]):
                await self._asay(event["agent"], message)
        await asyncio.sleep(0)  # the others on the loop see it now, and not after all that came
        if event["kind"] == "progress":
            return
        for pause in self._patience():
            await asyncio.sleep(pause)

    def hush(self) -> None:
        """End the message that is being said piece by piece, if one is."""
        spoken, self._spoken = self._spoken, None
        if spoken is not None:
            for event in spoken.events_at_the_end():
                spoken.run.on_stream_event(event)
            spoken.run.on_llm_end(_whole(spoken.message))

    async def ahush(self) -> None:
        """`hush`, awaiting."""
        spoken, self._spoken = self._spoken, None
        if spoken is not None:
            for event in spoken.events_at_the_end():
                await spoken.run.on_stream_event(event)
            await spoken.run.on_llm_end(_whole(spoken.message))

    def _write(self, event: RemoteEvent) -> None:
        if self._writer is not None:
            self._context.run(self._writer, event)
        payload = event["payload"]
        if self._subgraph is not None and event["kind"] == "values" and isinstance(payload, dict):
            place = (*self._place, *event.get("namespace", ()))
            self._subgraph((place, "values", dict(payload)))

    def _say(self, agent: str, message: BaseMessage) -> None:
        """Have a message appear as a chat model's, which is how messages get into the stream."""
        is_piece = isinstance(message, AIMessageChunk)
        if self._spoken is not None and (not is_piece or self._spoken.message.id != message.id):
            self.hush()
        if self._spoken is None:
            manager = get_callback_manager_for_config(self._config)
            (run,) = manager.on_chat_model_start({"name": agent}, [[]], name=agent)
            if not isinstance(message, AIMessageChunk):
                run.on_llm_end(_whole(message))
                return
            self._spoken = _Utterance(run, self._takes_events)
        if isinstance(message, AIMessageChunk):
            chunk = self._spoken.add(message)
            self._spoken.run.on_llm_new_token(str(chunk.text), chunk=chunk)
            for event in self._spoken.events():
                self._spoken.run.on_stream_event(event)

    async def _asay(self, agent: str, message: BaseMessage) -> None:
        """`_say`, awaiting."""
        is_piece = isinstance(message, AIMessageChunk)
        if self._spoken is not None and (not is_piece or self._spoken.message.id != message.id):
            await self.ahush()
        if self._spoken is None:
            manager = get_async_callback_manager_for_config(self._config)
            (run,) = await manager.on_chat_model_start({"name": agent}, [[]], name=agent)
            if not isinstance(message, AIMessageChunk):
                await run.on_llm_end(_whole(message))
                return
            self._spoken = _Utterance(run, self._takes_events)
        if isinstance(message, AIMessageChunk):
            chunk = self._spoken.add(message)
            await self._spoken.run.on_llm_new_token(str(chunk.text), chunk=chunk)
            for event in self._spoken.events():
                await self._spoken.run.on_stream_event(event)

    def _patience(self) -> Iterator[float]:
        """Pauses to make until there is room for more.

        Raises:
            EventStreamError: If nobody takes anything for long: an iteration was given up, or is
                stuck, and must not hold the run.
        """
        for queue in self._queues:
            before, since = queue.qsize(), time.monotonic()
            while (waiting := queue.qsize()) > _WAITING_AT_MOST:
                if waiting < before:
                    before, since = waiting, time.monotonic()
                elif time.monotonic() - since > _GIVE_UP:
                    raise EventStreamError(f"nobody took what is streamed for {_GIVE_UP:.0f} s")
                yield _LOOK_AGAIN


class _Utterance:
    """A message that is being said piece by piece.

    Args:
        run: What a chat model would tell of it.
        as_events: Whether it is also told as events of the protocol that LangGraph's v3 streams speak.
    """

    def __init__(self, run: Any, as_events: bool) -> None:
        self.run = run
        self.message = AIMessageChunk(content="")
        self._pieces: deque[ChatGenerationChunk] = deque()
        self._over = not as_events
        self._events: Any = None
        self._next: Any = None

    def add(self, piece: AIMessageChunk) -> ChatGenerationChunk:
        self.message = self.message + piece if self.message.id else piece
        chunk = ChatGenerationChunk(message=piece)
        if not self._over:
            self._pieces.append(chunk)
        return chunk

    def events(self) -> Iterator[Any]:
        """What LangChain makes of the pieces; its converter is stepped, for it wants to await them."""
        if self._events is None and self._pieces:
            self._events = achunks_to_events(self, message_id=self.message.id)
        while self._events is not None:
            self._next = self._next or anext(self._events)
            try:
                self._next.send(None)
            except StopIteration as found:
                self._next = None
                yield found.value
            except StopAsyncIteration:
                self._events = None
            else:
                return

    def events_at_the_end(self) -> Iterator[Any]:
        self._over = True
        yield from self.events()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatGenerationChunk:
        while not self._pieces:
            if self._over:
                raise StopAsyncIteration
            await _Later()
        return self._pieces.popleft()


class _Later:
    """Awaiting it gives control back to whoever steps a coroutine by hand."""

    def __await__(self) -> Generator[None]:
        yield


@lru_cache(maxsize=1000)
def _finder(key: str) -> MessageFinder:  # noqa: ARG001 - one for each key
    """Finds the messages of an execution; after a question, those before it are known."""
    return MessageFinder()


def _whole(message: BaseMessage) -> LLMResult:
    return LLMResult(generations=[[ChatGeneration(message=message)]])


def _follows(handler: Any) -> bool:
    """Whether a callback handler shows things while they happen, and does not only record them."""
    silent = BaseCallbackHandler.on_custom_event
    listens = getattr(type(handler), "on_custom_event", silent) not in _SILENT
    return listens or hasattr(handler, "tap_output_iter")


def _takes_events(handler: Any) -> bool:
    """Whether a callback handler takes messages as the events of LangGraph's v3 streams."""
    quiet = getattr(BaseCallbackHandler, "on_stream_event", None)
    known = achunks_to_events is not None and quiet is not None
    return known and getattr(type(handler), "on_stream_event", quiet) not in _QUIET


UNWATCHED: Final = EventSink("", {}, None, None, ())
"""Where nobody watches, as with most executions."""
