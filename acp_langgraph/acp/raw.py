"""The operations once more, each returning all of the answer: `client.with_raw_response`."""

from __future__ import annotations

from typing import TypeVar

from acp_langgraph.acp import calls
from acp_langgraph.acp.events import read_events, streamed, unstreamed
from acp_langgraph.acp.models import RunOutputStream
from acp_langgraph.core.calls import Call
from acp_langgraph.core.methods import (
    ApiResponse,
    async_collects,
    async_replies,
    collects,
    replies,
)
from acp_langgraph.transport import AsyncTransport, Transport

__all__ = ["AsyncRawResponses", "RawResponses"]

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
