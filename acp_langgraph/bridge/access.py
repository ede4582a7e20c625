"""Who may see what: the service's credential, and the gateway's headers.

A bridge forwards nearly every header to the service behind it. `Authorization` is the service's
credential and travels with queries only, never to the bridge's own endpoints. What identifies a
client to the gateway itself goes into other headers: `apikey`, or whatever the operator chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import ApiValueError

DEFAULT_TIMEOUT: Final = 120.0
"""Seconds; a query is two calls of a language model and one of the service."""

_FORBIDDEN: Final = {
    "authorization": "it belongs to the service behind the bridge; give it as service_api_key",
    "x-nl-config": "it reconfigures the bridge, and hangs it",
    "x-tyk-authorization": "it is the gateway's admin secret and would reach the service",
    "content-type": "the mode decides it",
    "content-length": "the body decides it",
    "x-nl-query-enabled": "the mode decides it",
    "x-nl-response-type": "the mode decides it",
}


def connection(
    configuration: ApiClientConfiguration | str, timeout: float | None = None
) -> ApiClientConfiguration:
    """The configuration of a gateway, for which a URL will do.

    Raises:
        ApiValueError: If it is not valid, or would send `Authorization` with every request.
    """
    if not isinstance(configuration, ApiClientConfiguration):
        configuration = ApiClientConfiguration(configuration, timeout=timeout or DEFAULT_TIMEOUT)
        if timeout is None:  # nobody said so: a client of the caller's own has its own
            configuration.model_fields_set.discard("timeout")
    elif timeout is not None:
        configuration = configuration.model_copy(update={"timeout": timeout})
    refuse({**configuration.headers, **configuration.auth_headers()})
    return configuration


def gateway_headers(apikey: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers of every request.

    Args:
        apikey: Sent as `apikey`.
        headers: Whatever else the gateway or the service wants.

    Raises:
        ApiValueError: If a header is not the caller's to set, or cannot be sent.
    """
    refuse(headers or {})
    given = {
        name.lower(): _sendable(f"the header {name}", value)
        for name, value in (headers or {}).items()
    }
    if apikey is not None:
        given["apikey"] = _sendable("apikey", apikey)
    return {
        # The bridge hands these on to the service. It can unpack nothing but gzip for its model.
        "accept": "*/*",
        "accept-encoding": "identity",
        **given,
    }


def authorization(service_api_key: str | None) -> str | None:
    """The value of `Authorization`: as it is if it names its scheme, else a bearer token.

    Raises:
        ApiValueError: If it is empty or no text that a header can hold.
    """
    if service_api_key is None:
        return None
    key = _sendable("service_api_key", service_api_key)
    return key if " " in key else f"Bearer {key}"


def authenticates(client: Any) -> bool:
    """Whether a caller's own HTTP client adds credentials to every request.

    Raises:
        ApiValueError: If it adds a header that must not reach a bridge.
    """
    refuse(getattr(client, "headers", {}))  # what is no client is the transport's to refuse
    return getattr(client, "auth", None) is not None


def refuse(headers: Mapping[str, str]) -> None:
    """Refuse headers that are not the caller's to set.

    Raises:
        ApiValueError: If one is not.
    """
    for name in headers:
        if why := _FORBIDDEN.get(name.lower()):
            raise ApiValueError(f"the header {name} cannot be sent to a bridge: {why}")


def _sendable(what: str, value: str) -> str:
    if not isinstance(value, str):
        raise ApiValueError(f"{what} must be text, got {type(value).__name__}")
    text = value.strip()
    if not text:
        raise ApiValueError(f"{what} is empty; leave it out where none is needed")
    if not text.isascii() or not text.isprintable():
        raise ApiValueError(f"{what} holds characters that a header cannot carry")
    return text
