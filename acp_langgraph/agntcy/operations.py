"""The 30 operations of the reference in its three forms, by one table.

    client.get_thread(thread_id)                              # what it gives
    client.get_thread_with_http_info(thread_id)               # and status, headers, raw body
    client.get_thread_without_preload_content(thread_id)      # the answer, its body still to come

Which ids and parameters an operation takes, how it is called and how it is repeated is known to
`acp_langgraph.acp.calls`. What is different here is in the table: by which name the body goes, and which
models. `client.pyi` is made from the same table, for type checkers.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from acp_langgraph.acp import calls
from acp_langgraph.acp.models import RunOutputStream as Event
from acp_langgraph.agntcy import models
from acp_langgraph.agntcy.exceptions import ApiValueError, told
from acp_langgraph.agntcy.responses import async_opened, opened
from acp_langgraph.agntcy.shapes import Model
from acp_langgraph.core.calls import ABSENT, Call
from acp_langgraph.core.operations import Ready, as_json
from acp_langgraph.core.wire import plain, sendable_headers

if TYPE_CHECKING:
    from acp_langgraph.agntcy.api_client import ApiClient, AsyncApiClient

OPTIONS: Final = ("_request_timeout", "_request_auth", "_content_type", "_headers", "_host_index")
FORMS: Final = ("", "_with_http_info", "_without_preload_content")
EVENTS: Final = models.RunOutputStream


class Body(NamedTuple):
    """By which name an operation takes its body, and what that is; any JSON if `None`."""

    name: str
    kind: type[Model] | None


_STATELESS: Final = Body("run_create_stateless", models.RunCreateStateless)
_STATEFUL: Final = Body("run_create_stateful", models.RunCreateStateful)
_ANSWER: Final = Body("body", None)

# operation -> what it takes for its body, what it gives
TABLE: Final[Mapping[str, tuple[Body | None, Any]]] = {
    "search_agents": (
        Body("agent_search_request", models.AgentSearchRequest),
        list[models.Agent],
    ),
    "get_agent_by_id": (None, models.Agent),
    "get_acp_descriptor_by_id": (None, models.AgentACPDescriptor),
    "create_stateless_run": (_STATELESS, models.RunStateless),
    "create_and_wait_for_stateless_run_output": (_STATELESS, models.RunWaitResponseStateless),
    "create_and_stream_stateless_run_output": (_STATELESS, EVENTS),
    "search_stateless_runs": (
        Body("run_search_request", models.RunSearchRequest),
        list[models.RunStateless],
    ),
    "get_stateless_run": (None, models.RunStateless),
    "wait_for_stateless_run_output": (None, models.RunWaitResponseStateless),
    "stream_stateless_run_output": (None, EVENTS),
    "resume_stateless_run": (_ANSWER, models.RunStateless),
    "cancel_stateless_run": (None, None),
    "delete_stateless_run": (None, None),
    "create_thread": (Body("thread_create", models.ThreadCreate), models.Thread),
    "search_threads": (
        Body("thread_search_request", models.ThreadSearchRequest),
        list[models.Thread],
    ),
    "get_thread": (None, models.Thread),
    "patch_thread": (Body("thread_patch", models.ThreadPatch), models.Thread),
    "delete_thread": (None, None),
    "copy_thread": (None, models.Thread),
    "get_thread_history": (None, list[models.ThreadState]),
    "list_thread_runs": (None, list[models.RunStateful]),
    "create_thread_run": (_STATEFUL, models.RunStateful),
    "create_and_wait_for_thread_run_output": (_STATEFUL, models.RunWaitResponseStateful),
    "create_and_stream_thread_run_output": (_STATEFUL, EVENTS),
    "get_thread_run": (None, models.RunStateful),
    "wait_for_thread_run_output": (None, models.RunWaitResponseStateful),
    "stream_thread_run_output": (None, EVENTS),
    "resume_thread_run": (_ANSWER, models.RunStateful),
    "cancel_thread_run": (None, None),
    "delete_thread_run": (None, None),
}


@dataclass(frozen=True)
class Operation:
    """An operation as the reference has it.

    Attributes:
        name: Its name in the specification.
        body: What it takes for its body, if it takes one.
        gives: What it gives; `EVENTS` for a stream of these.
    """

    name: str
    body: Body | None
    gives: Any

    @property
    def streams(self) -> bool:
        """Whether it is answered with a stream."""
        return self.gives is EVENTS

    @cached_property
    def own(self) -> dict[str, inspect.Parameter]:
        """Its parameters without the options, by their names in `acp_langgraph.acp.calls`."""
        either = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = inspect.signature(getattr(calls, self.name)).parameters
        return {
            name: each.replace(kind=either, name=self.body.name, default=each.empty)
            if name == "body" and self.body
            else each.replace(kind=either)
            for name, each in parameters.items()
            if each.kind is not each.VAR_KEYWORD
        }

    @cached_property
    def signature(self) -> inspect.Signature:
        """What its methods take."""
        either = inspect.Parameter.POSITIONAL_OR_KEYWORD
        options = [
            inspect.Parameter(name, either, default=0 if name == "_host_index" else None)
            for name in OPTIONS
        ]
        self_ = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        return inspect.Signature([self_, *self.own.values(), *options])

    def call(self, api: ApiClient | AsyncApiClient, args: Any, kwargs: Any) -> Call[Any]:
        """What is sent for what one of its methods is called with."""
        bound = self.signature.bind(None, *args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        with told():
            own = {name: given[each.name] for name, each in self.own.items()}
            if self.body and self.body.kind:
                own["body"] = self._sent(self.body.kind, given[self.body.name])
            call: Call[Any] = getattr(calls, self.name)(**own)
            return self._with_options(call, api, {name: given[name] for name in OPTIONS})

    @staticmethod
    def _sent(kind: type[Model], body: Any) -> Ready:
        return Ready(as_json(kind.__name__, plain, kind.model_validate(body).to_dict()))

    def _with_options(
        self, call: Call[Any], api: ApiClient | AsyncApiClient, options: Mapping[str, Any]
    ) -> Call[Any]:
        if options["_host_index"] != 0:
            raise ApiValueError("_host_index is 0: the protocol has one host")
        headers = {**api.default_headers, **({"cookie": api.cookie} if api.cookie else {})}
        headers |= options["_headers"] or {}
        query, auth = dict(call.query), options["_request_auth"]
        if auth:
            if auth["in"] == "query":
                query[auth["key"]] = auth["value"]
                api.transport().shown.add([(auth["key"], auth["value"])])
            else:
                headers["cookie" if auth["in"] == "cookie" else auth["key"]] = auth["value"]
        if options["_content_type"] and call.body is not ABSENT:
            headers["content-type"] = options["_content_type"]
        sent = sendable_headers({name: str(value) for name, value in headers.items()}, "headers")
        seconds = options["_request_timeout"]
        return replace(
            call,
            returns=self.gives,
            query=query,
            headers={**{name.lower(): value for name, value in sent.items()}, **call.headers},
            # Of a pair the first is for connecting, and the rest comes after that.
            timeout=sum(seconds) if isinstance(seconds, (tuple, list)) else seconds,
        )

    def event(self, event: Event) -> models.RunOutputStream | None:
        """An event of its stream; `None` for one of a type that the protocol does not know."""
        if isinstance(event.data, dict):
            return None
        kind = "agent_event" if event.event == "message" else event.event
        data = event.data.model_dump(mode="json", exclude_unset=True)
        return models.RunOutputStream.from_dict({"id": event.id or "", "event": kind, "data": data})


OPERATIONS: Final = tuple(Operation(name, *row) for name, row in TABLE.items())


def blocking(operation: Operation) -> dict[str, Callable[..., Any]]:
    """The blocking methods of an operation by their names."""

    def events(api: ApiClient, call: Call[Any]) -> Iterator[models.RunOutputStream]:
        with told(), closing(api.client().stream(call)) as stream:
            for event in stream:
                if (made := operation.event(event)) is not None:
                    yield made

    def data(api: ApiClient, call: Call[Any]) -> Any:
        with told():
            return api.client().send(call)

    def whole(api: ApiClient, call: Call[Any]) -> Any:
        with told():
            return api.client().with_raw_response.send(call)

    def raw(api: ApiClient, call: Call[Any]) -> Any:
        with told():
            return opened(api.transport(), call)

    return _methods(operation, *((events, events) if operation.streams else (data, whole)), raw)


def awaiting(operation: Operation) -> dict[str, Callable[..., Any]]:
    """The awaiting methods of an operation by their names."""

    async def events(api: AsyncApiClient, call: Call[Any]) -> AsyncIterator[models.RunOutputStream]:
        with told():
            async with aclosing(api.client().stream(call)) as stream:
                async for event in stream:
                    if (made := operation.event(event)) is not None:
                        yield made

    async def data(api: AsyncApiClient, call: Call[Any]) -> Any:
        with told():
            return await api.client().send(call)

    async def whole(api: AsyncApiClient, call: Call[Any]) -> Any:
        with told():
            return await api.client().with_raw_response.send(call)

    async def raw(api: AsyncApiClient, call: Call[Any]) -> Any:
        with told():
            return await async_opened(api.transport(), call)

    return _methods(operation, *((events, events) if operation.streams else (data, whole)), raw)


def _methods(
    operation: Operation, *forms: Callable[[Any, Call[Any]], Any]
) -> dict[str, Callable[..., Any]]:
    """The methods by their names, of what performs a call in each of the three forms."""
    made: dict[str, Callable[..., Any]] = {}
    for suffix, form in zip(FORMS, forms, strict=True):

        def method(self: Any, /, *args: Any, _form: Any = form, **kwargs: Any) -> Any:
            return _form(self.api_client, operation.call(self.api_client, args, kwargs))

        method.__name__ = method.__qualname__ = name = operation.name + suffix
        method.__doc__ = getattr(calls, operation.name).__doc__
        method.__signature__ = operation.signature  # type: ignore[attr-defined]  # read by inspect
        made[name] = method
    return made
