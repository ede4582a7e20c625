"""Authentication of the caller's own, on connections of ours.

An `httpx.Auth` is a conversation: it is given a request, yields what to send, is given the answer, and
may yield once more, e.g. with a token that it has just fetched. Here that conversation is held over
whatever sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing

import httpx

__all__ = ["asend_signed", "send_signed"]


def send_signed(
    auth: httpx.Auth, request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]
) -> httpx.Response:
    """Send a request the way an authentication wants it, blocking; the answer to the last one.

    Args:
        auth: Signs the request, and sees every answer.
        request: What is to be sent, with its time-outs among its extensions.
        send: Sends one request; the body of its answer is still to be read.
    """
    patience = request.extensions["timeout"]
    with closing(auth.sync_auth_flow(request)) as conversation:
        request = next(conversation)
        while True:
            request.extensions.setdefault("timeout", patience)  # also where it fetches a token
            response = send(request)
            try:
                request = conversation.send(response)
            except StopIteration:
                return response
            except BaseException:
                response.close()
                raise
            response.close()


async def asend_signed(
    auth: httpx.Auth,
    request: httpx.Request,
    send: Callable[[httpx.Request], Awaitable[httpx.Response]],
) -> httpx.Response:
    """`send_signed`, awaiting."""
    patience = request.extensions["timeout"]
    async with aclosing(auth.async_auth_flow(request)) as conversation:
        request = await anext(conversation)
        while True:
            request.extensions.setdefault("timeout", patience)  # also where it fetches a token
            response = await send(request)
            try:
                request = await conversation.asend(response)
            except StopAsyncIteration:
                return response
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()
