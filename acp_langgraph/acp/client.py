"""The clients: `ACPClient` blocks, `AsyncACPClient` awaits; otherwise they are equals.

    with ACPClient("http://127.0.0.1:8000") as client:
        (agent,) = client.search_agents({"name": "mailcomposer"})
        outcome = client.create_and_wait_for_stateless_run_output(
            {"agent_id": agent.agent_id, "input": {"brief": "..."}}, timeout=300
        )

    async with AsyncACPClient(ApiClientConfiguration.from_env_prefix("MAILCOMPOSER_")) as client:
        async for update in client.stream_stateless_run_output(run_id):
            ...

There is a method for each of the protocol's 30 operations, under its operationId. What a method
takes and does is written once, in `acp_langgraph.acp.calls`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from acp_langgraph.acp import calls
from acp_langgraph.acp.listening import EventReader, read_events, streamed, unstreamed
from acp_langgraph.acp.models import RunOutputStream
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call
from acp_langgraph.core.operations import (
    ApiResponse,
    async_collects,
    async_replies,
    async_sends,
    async_streams,
    collects,
    replies,
    sends,
    streams,
)
from acp_langgraph.core.processes import AsyncClosing, Closing
from acp_langgraph.core.secrets import SentSecrets
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.transport.per_call import async_transport_to, transport_to

if TYPE_CHECKING:
    import httpx

    from acp_langgraph.auth import HeaderAuth


T = TypeVar("T")


class RawResponses:
    """Every operation of `ACPClient`, returning an `ApiResponse`.

    An error status raises here as it does there; the error carries status, headers and body. The
    operations that stream return when the stream has ended, with the list of its events.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send(self, call: Call[T], /) -> ApiResponse[T]:
        """Perform any call."""
        reply = self._transport.reply(unstreamed(call))
        return ApiResponse(reply.status, reply.headers, call.read(reply), reply.content)

    def collect(self, call: Call[RunOutputStream], /) -> ApiResponse[list[RunOutputStream]]:
        """Perform any call that streams, and wait for the end of the stream."""
        reply = self._transport.reply(streamed(call))
        return ApiResponse(reply.status, reply.headers, read_events(call, reply), reply.content)

    # Agents

    search_agents = replies(calls.search_agents)
    get_agent_by_id = replies(calls.get_agent_by_id)
    get_acp_descriptor_by_id = replies(calls.get_acp_descriptor_by_id)

    # Stateless runs

    create_stateless_run = replies(calls.create_stateless_run)
    create_and_wait_for_stateless_run_output = replies(
        calls.create_and_wait_for_stateless_run_output
    )
    create_and_stream_stateless_run_output = collects(calls.create_and_stream_stateless_run_output)
    search_stateless_runs = replies(calls.search_stateless_runs)
    get_stateless_run = replies(calls.get_stateless_run)
    wait_for_stateless_run_output = replies(calls.wait_for_stateless_run_output)
    stream_stateless_run_output = collects(calls.stream_stateless_run_output)
    resume_stateless_run = replies(calls.resume_stateless_run)
    cancel_stateless_run = replies(calls.cancel_stateless_run)
    delete_stateless_run = replies(calls.delete_stateless_run)

    # Threads

    create_thread = replies(calls.create_thread)
    search_threads = replies(calls.search_threads)
    get_thread = replies(calls.get_thread)
    patch_thread = replies(calls.patch_thread)
    delete_thread = replies(calls.delete_thread)
    copy_thread = replies(calls.copy_thread)
    get_thread_history = replies(calls.get_thread_history)

    # Runs on a thread

    list_thread_runs = replies(calls.list_thread_runs)
    create_thread_run = replies(calls.create_thread_run)
    create_and_wait_for_thread_run_output = replies(calls.create_and_wait_for_thread_run_output)
    create_and_stream_thread_run_output = collects(calls.create_and_stream_thread_run_output)
    get_thread_run = replies(calls.get_thread_run)
    wait_for_thread_run_output = replies(calls.wait_for_thread_run_output)
    stream_thread_run_output = collects(calls.stream_thread_run_output)
    resume_thread_run = replies(calls.resume_thread_run)
    cancel_thread_run = replies(calls.cancel_thread_run)
    delete_thread_run = replies(calls.delete_thread_run)


class AsyncRawResponses:
    """Every operation of `AsyncACPClient`, returning an `ApiResponse`.

    An error status raises here as it does there; the error carries status, headers and body. The
    operations that stream return when the stream has ended, with the list of its events.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def send(self, call: Call[T], /) -> ApiResponse[T]:
        """Perform any call."""
        reply = await self._transport.reply(unstreamed(call))
        return ApiResponse(reply.status, reply.headers, call.read(reply), reply.content)

    async def collect(self, call: Call[RunOutputStream], /) -> ApiResponse[list[RunOutputStream]]:
        """Perform any call that streams, and wait for the end of the stream."""
        reply = await self._transport.reply(streamed(call))
        return ApiResponse(reply.status, reply.headers, read_events(call, reply), reply.content)

    # Agents

    search_agents = async_replies(calls.search_agents)
    get_agent_by_id = async_replies(calls.get_agent_by_id)
    get_acp_descriptor_by_id = async_replies(calls.get_acp_descriptor_by_id)

    # Stateless runs

    create_stateless_run = async_replies(calls.create_stateless_run)
    create_and_wait_for_stateless_run_output = async_replies(
        calls.create_and_wait_for_stateless_run_output
    )
    create_and_stream_stateless_run_output = async_collects(
        calls.create_and_stream_stateless_run_output
    )
    search_stateless_runs = async_replies(calls.search_stateless_runs)
    get_stateless_run = async_replies(calls.get_stateless_run)
    wait_for_stateless_run_output = async_replies(calls.wait_for_stateless_run_output)
    stream_stateless_run_output = async_collects(calls.stream_stateless_run_output)
    resume_stateless_run = async_replies(calls.resume_stateless_run)
    cancel_stateless_run = async_replies(calls.cancel_stateless_run)
    delete_stateless_run = async_replies(calls.delete_stateless_run)

    # Threads

    create_thread = async_replies(calls.create_thread)
    search_threads = async_replies(calls.search_threads)
    get_thread = async_replies(calls.get_thread)
    patch_thread = async_replies(calls.patch_thread)
    delete_thread = async_replies(calls.delete_thread)
    copy_thread = async_replies(calls.copy_thread)
    get_thread_history = async_replies(calls.get_thread_history)

    # Runs on a thread

    list_thread_runs = async_replies(calls.list_thread_runs)
    create_thread_run = async_replies(calls.create_thread_run)
    create_and_wait_for_thread_run_output = async_replies(
        calls.create_and_wait_for_thread_run_output
    )
    create_and_stream_thread_run_output = async_collects(calls.create_and_stream_thread_run_output)
    get_thread_run = async_replies(calls.get_thread_run)
    wait_for_thread_run_output = async_replies(calls.wait_for_thread_run_output)
    stream_thread_run_output = async_collects(calls.stream_thread_run_output)
    resume_thread_run = async_replies(calls.resume_thread_run)
    cancel_thread_run = async_replies(calls.cancel_thread_run)
    delete_thread_run = async_replies(calls.delete_thread_run)


class ACPClient(Closing):
    """A blocking client of one server that speaks the Agent Connect Protocol.

        with ACPClient("http://127.0.0.1:8000") as client:
            (agent,) = client.search_agents({"name": "mailcomposer"})
            body = {"agent_id": agent.agent_id, "input": {"text": "Hello"}}
            answer = client.create_and_wait_for_stateless_run_output(body)
            print(answer.output.values)

    Every method also takes `timeout`, seconds for all of the answer or for the next piece of a
    stream, and `headers`, sent with that one call. A body is a model of `acp_langgraph.acp.models`
    or a dict of the same shape. Calls that may be repeated without harm are, as configured.

    The methods that stream return an iterator. The request goes out with the first event that is
    asked for; `close()` on the iterator, or dropping it, hangs up. That a stream ends says nothing
    about the run: read the run's status.

    A client may be shared by threads. It is a context manager; without `with`, `close` it.

    Attributes:
        with_raw_response: The same operations, each returning an `ApiResponse` with status, headers
            and raw body beside the result.

    Args:
        configuration: Where and as whom to connect; a URL will do.
        client: A client of the caller's own, which stays open when this is closed. Its `base_url`
            stands in for a missing configuration.
        auth: A `TokenAuth` or `HeaderAuth`, or an `httpx.Auth` of the caller's own.

    Raises, all methods:
        ApiTypeError: If an argument has the wrong type. Nothing was sent.
        ApiValueError: If an argument has an impossible value. Nothing was sent.
        ApiConnectionError: If no answer came, with `ApiTimeoutError` for none in time.
        ApiException: If the answer is an error or cannot be read; its child classes tell which.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        client: httpx.Client | None = None,
        auth: httpx.Auth | HeaderAuth | None = None,
    ) -> None:
        self._transport = transport_to(configuration, client=client, auth=auth)

    @cached_property
    def with_raw_response(self) -> RawResponses:
        """The same operations, each returning an `ApiResponse`."""
        return RawResponses(self._transport)

    def send(self, call: Call[T], /) -> T:
        """Perform any call and return its result."""
        return self._transport.send(unstreamed(call))

    def stream(self, call: Call[RunOutputStream], /) -> Generator[RunOutputStream, None, None]:
        """Perform any call that streams and yield the events as they come."""
        return _events(
            self._transport.stream(streamed(call)),
            _reader(call, self._transport),
            self._transport.shown,
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # Agents

    search_agents = sends(calls.search_agents)
    get_agent_by_id = sends(calls.get_agent_by_id)
    get_acp_descriptor_by_id = sends(calls.get_acp_descriptor_by_id)

    # Stateless runs

    create_stateless_run = sends(calls.create_stateless_run)
    create_and_wait_for_stateless_run_output = sends(calls.create_and_wait_for_stateless_run_output)
    create_and_stream_stateless_run_output = streams(calls.create_and_stream_stateless_run_output)
    search_stateless_runs = sends(calls.search_stateless_runs)
    get_stateless_run = sends(calls.get_stateless_run)
    wait_for_stateless_run_output = sends(calls.wait_for_stateless_run_output)
    stream_stateless_run_output = streams(calls.stream_stateless_run_output)
    resume_stateless_run = sends(calls.resume_stateless_run)
    cancel_stateless_run = sends(calls.cancel_stateless_run)
    delete_stateless_run = sends(calls.delete_stateless_run)

    # Threads

    create_thread = sends(calls.create_thread)
    search_threads = sends(calls.search_threads)
    get_thread = sends(calls.get_thread)
    patch_thread = sends(calls.patch_thread)
    delete_thread = sends(calls.delete_thread)
    copy_thread = sends(calls.copy_thread)
    get_thread_history = sends(calls.get_thread_history)

    # Runs on a thread

    list_thread_runs = sends(calls.list_thread_runs)
    create_thread_run = sends(calls.create_thread_run)
    create_and_wait_for_thread_run_output = sends(calls.create_and_wait_for_thread_run_output)
    create_and_stream_thread_run_output = streams(calls.create_and_stream_thread_run_output)
    get_thread_run = sends(calls.get_thread_run)
    wait_for_thread_run_output = sends(calls.wait_for_thread_run_output)
    stream_thread_run_output = streams(calls.stream_thread_run_output)
    resume_thread_run = sends(calls.resume_thread_run)
    cancel_thread_run = sends(calls.cancel_thread_run)
    delete_thread_run = sends(calls.delete_thread_run)


class AsyncACPClient(AsyncClosing):
    """An awaiting client of one server that speaks the Agent Connect Protocol.

        async with AsyncACPClient("http://127.0.0.1:8000") as client:
            (agent,) = await client.search_agents({"name": "mailcomposer"})
            body = {"agent_id": agent.agent_id, "input": {"text": "Hello"}}
            answer = await client.create_and_wait_for_stateless_run_output(body)
            print(answer.output.values)

    Every method also takes `timeout`, seconds for all of the answer or for the next piece of a
    stream, and `headers`, sent with that one call. A body is a model of `acp_langgraph.acp.models`
    or a dict of the same shape. Calls that may be repeated without harm are, as configured.

    The methods that stream return an iterator for `async for`, without `await`. The request goes out
    with the first event that is asked for; `aclose()` on the iterator, or dropping it, hangs up. That
    a stream ends says nothing about the run: read the run's status.

    A client may be shared by tasks, also of several event loops. It is a context manager; without
    `async with`, `aclose` it.

    Attributes:
        with_raw_response: The same operations, each returning an `ApiResponse` with status, headers
            and raw body beside the result.

    Args:
        configuration: Where and as whom to connect; a URL will do.
        client: A client of the caller's own, which stays open when this is closed. Its `base_url`
            stands in for a missing configuration.
        auth: A `TokenAuth` or `HeaderAuth`, or an `httpx.Auth` of the caller's own.

    Raises, all methods:
        ApiTypeError: If an argument has the wrong type. Nothing was sent.
        ApiValueError: If an argument has an impossible value. Nothing was sent.
        ApiConnectionError: If no answer came, with `ApiTimeoutError` for none in time.
        ApiException: If the answer is an error or cannot be read; its child classes tell which.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        client: httpx.AsyncClient | None = None,
        auth: httpx.Auth | HeaderAuth | None = None,
    ) -> None:
        self._transport = async_transport_to(configuration, client=client, auth=auth)

    @cached_property
    def with_raw_response(self) -> AsyncRawResponses:
        """The same operations, each returning an `ApiResponse`."""
        return AsyncRawResponses(self._transport)

    async def send(self, call: Call[T], /) -> T:
        """Perform any call and return its result."""
        return await self._transport.send(unstreamed(call))

    def stream(self, call: Call[RunOutputStream], /) -> AsyncGenerator[RunOutputStream, None]:
        """Perform any call that streams and yield the events as they come."""
        return _async_events(
            self._transport.stream(streamed(call)),
            _reader(call, self._transport),
            self._transport.shown,
        )

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._transport.aclose()

    # Agents

    search_agents = async_sends(calls.search_agents)
    get_agent_by_id = async_sends(calls.get_agent_by_id)
    get_acp_descriptor_by_id = async_sends(calls.get_acp_descriptor_by_id)

    # Stateless runs

    create_stateless_run = async_sends(calls.create_stateless_run)
    create_and_wait_for_stateless_run_output = async_sends(
        calls.create_and_wait_for_stateless_run_output
    )
    create_and_stream_stateless_run_output = async_streams(
        calls.create_and_stream_stateless_run_output
    )
    search_stateless_runs = async_sends(calls.search_stateless_runs)
    get_stateless_run = async_sends(calls.get_stateless_run)
    wait_for_stateless_run_output = async_sends(calls.wait_for_stateless_run_output)
    stream_stateless_run_output = async_streams(calls.stream_stateless_run_output)
    resume_stateless_run = async_sends(calls.resume_stateless_run)
    cancel_stateless_run = async_sends(calls.cancel_stateless_run)
    delete_stateless_run = async_sends(calls.delete_stateless_run)

    # Threads

    create_thread = async_sends(calls.create_thread)
    search_threads = async_sends(calls.search_threads)
    get_thread = async_sends(calls.get_thread)
    patch_thread = async_sends(calls.patch_thread)
    delete_thread = async_sends(calls.delete_thread)
    copy_thread = async_sends(calls.copy_thread)
    get_thread_history = async_sends(calls.get_thread_history)

    # Runs on a thread

    list_thread_runs = async_sends(calls.list_thread_runs)
    create_thread_run = async_sends(calls.create_thread_run)
    create_and_wait_for_thread_run_output = async_sends(calls.create_and_wait_for_thread_run_output)
    create_and_stream_thread_run_output = async_streams(calls.create_and_stream_thread_run_output)
    get_thread_run = async_sends(calls.get_thread_run)
    wait_for_thread_run_output = async_sends(calls.wait_for_thread_run_output)
    stream_thread_run_output = async_streams(calls.stream_thread_run_output)
    resume_thread_run = async_sends(calls.resume_thread_run)
    cancel_thread_run = async_sends(calls.cancel_thread_run)
    delete_thread_run = async_sends(calls.delete_thread_run)


def _reader(call: Call[RunOutputStream], transport: Transport | AsyncTransport) -> EventReader:
    return EventReader(call, transport.endpoint.configuration.max_answer_bytes)


def _events(
    chunks: Generator[bytes, None, None], reader: EventReader, shown: SentSecrets
) -> Generator[RunOutputStream, None, None]:
    with closing(chunks), shown.out_of_errors():
        for chunk in chunks:
            yield from reader.feed(chunk)
        reader.close()


async def _async_events(
    chunks: AsyncGenerator[bytes, None], reader: EventReader, shown: SentSecrets
) -> AsyncGenerator[RunOutputStream, None]:
    with shown.out_of_errors():
        async with aclosing(chunks):
            async for chunk in chunks:
                for update in reader.feed(chunk):
                    yield update
        reader.close()
