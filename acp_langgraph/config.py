"""Where and as whom to connect to a server.

    config = ApiClientConfiguration("http://127.0.0.1:8000", api_key="...")
    config = ApiClientConfiguration.from_env_prefix("MAILCOMPOSER_")

A configuration is a value: frozen, comparable, and safe to print, for credentials are in no `repr`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from acp_langgraph.errors import ApiValueError

__all__ = ["ApiClientConfiguration"]

_BLANKS = "there is a blank or a line end in it, and no URL has one"
_EXAMPLE = "a server is named by a URL such as https://agents.example.com or http://127.0.0.1:8000"
A_PROXY = "http://proxy.example.com:3128 or socks5://127.0.0.1:1080"
_LONGEST_SCHEME = 10
_PROXIES = frozenset({"http", "https", "socks5", "socks5h"})
_API_KEY_HEADERS = {"xapikey": "x-api-key", "apikeyauth": "x-api-key"}


class Settings(TypedDict, total=False):
    """What an `ApiClientConfiguration` is made of, for type checkers and editors."""

    host: str | None
    api_key: str | dict[str, str] | None
    api_key_prefix: str | dict[str, str] | None
    username: str | None
    password: str | None
    access_token: str | None
    server_variables: dict[str, str] | None
    headers: dict[str, str] | None
    ssl_ca_cert: str | None
    ca_cert_data: str | bytes | None
    verify_ssl: bool | None
    client_cert: str | tuple[str, str] | None
    proxy: str | None
    retries: int | None
    timeout: float | None
    connect_timeout: float | None
    max_answer_bytes: int | None
    debug: bool | None
    trace: bool | None
    trace_baggage: bool | None


class ApiClientConfiguration(BaseModel):
    """Where and as whom to connect.

        config = ApiClientConfiguration("http://127.0.0.1:8000", api_key="...", timeout=30)

    Wherever one is wanted, a URL will do where that is all there is to say. A configuration is never
    changed; `config.model_copy(update={...})` makes another. Seconds may be fractions. `None` stands
    for the default, except that of `timeout`.

    Attributes:
        host: Base URL, `http` or `https`; may hold a path and `{variables}`. A user name and
            password in it are moved to `username` and `password`.
        api_key: The key itself, sent as `x-api-key`, or a mapping of header name to key.
        api_key_prefix: Put before the key, e.g. `Token`; a text or a mapping like `api_key`.
        username: For HTTP Basic authentication, together with `password`.
        password: See `username`.
        access_token: Sent as `Authorization: Bearer ...`.
        server_variables: Values of the `{variables}` in `host`.
        headers: Sent with every request.
        ssl_ca_cert: File with the certificate authorities to trust: for the server, for a proxy, and for
            whoever issues its tokens to an `httpx.Auth`.
        ca_cert_data: The same as PEM text.
        verify_ssl: Whether the server, and the others that `ssl_ca_cert` is for, must prove who they are.
            Leave it on.
        client_cert: Certificate file, or a pair of certificate and key file.
        proxy: URL of a proxy, `http`, `https` or `socks5` (for which there is the extra `socks`).
            Left out, `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count, as for httpx.
        retries: How often a request that may be repeated is tried again.
        timeout: Seconds that one request and all of its answer may take, or each piece of a stream;
            `None` waits for ever. It does not hold for requests that wait for a run to end. How long a
            *run* may take is a setting of the node.
        connect_timeout: Seconds to wait for a connection.
        max_answer_bytes: An answer larger than this is refused.
        debug: Whether every exchange is logged, without bodies and credentials.
        trace: Whether this host is told where a request belongs in a trace of LangSmith's or
            OpenTelemetry's, by `langsmith-trace` and W3C's `traceparent` and `tracestate`.
        trace_baggage: Whether it is sent `baggage` as well, which may hold private data: tags and
            metadata of the run, and whatever else the application put there.

    Raises:
        ApiValueError: If a setting is unknown or impossible; says which, never its value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = "http://localhost"
    api_key: str | dict[str, str] | None = Field(default=None, repr=False)
    api_key_prefix: str | dict[str, str] | None = Field(default=None, repr=False)
    username: str | None = Field(default=None, repr=False)
    password: str | None = Field(default=None, repr=False)
    access_token: str | None = Field(default=None, repr=False)
    server_variables: dict[str, str] = {}
    headers: dict[str, str] = Field(default={}, repr=False)
    ssl_ca_cert: str | None = None
    ca_cert_data: str | bytes | None = Field(default=None, repr=False)
    verify_ssl: bool = True
    client_cert: str | tuple[str, str] | None = None
    proxy: str | None = Field(default=None, repr=False)
    retries: int = Field(default=3, ge=0, le=100)
    timeout: float | None = Field(default=60.0, gt=0)
    connect_timeout: float = Field(default=10.0, gt=0)
    max_answer_bytes: int = Field(default=64 * 2**20, gt=0)
    debug: bool = False
    trace: bool = False
    trace_baggage: bool = False

    def __init__(self, host: str | None = None, /, **settings: Unpack[Settings]) -> None:
        if host is not None:
            settings["host"] = host
        meant = {
            name: value
            for name, value in settings.items()
            if value is not None or name == "timeout" or name not in type(self).model_fields
        }
        try:
            super().__init__(**meant)
        except ValidationError as error:
            raise ApiValueError(
                f"the client configuration is not valid: {_faults(error, type(self))}"
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            raise AttributeError(
                f"a configuration is never changed, for others may use it; make a changed copy: "
                f"config.model_copy(update={{{name!r}: ...}})",
                name=name,
                obj=self,
            )
        super().__setattr__(name, value)

    @field_validator("host")
    @classmethod
    def _host_is_a_url(cls, host: str) -> str:
        if _has_blanks(host):
            raise ValueError(f"{_BLANKS}; {_EXAMPLE}")
        parts = split_url(host)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{_fault_of_parts(host)}; {_EXAMPLE}")
        if parts.query or parts.fragment:
            raise ValueError(
                "the URL of a server has neither query nor fragment; a key belongs into api_key or "
                "access_token"
            )
        return host

    @field_validator("proxy")
    @classmethod
    def _proxy_is_a_url(cls, proxy: str | None) -> str | None:
        if not proxy:
            return None
        if (url := proxy_url(proxy)) is None:
            raise ValueError(f"a proxy is named by a URL such as {A_PROXY}")
        return url

    @model_validator(mode="before")
    @classmethod
    def _credentials_leave_the_url(cls, settings: Any) -> Any:
        parts = split_url(settings.get("host")) if isinstance(settings, dict) else None
        if parts is None or parts.username is None:
            return settings
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return {
            "username": unquote(parts.username),
            "password": unquote(parts.password or ""),
            **settings,
            "host": bare,
        }

    @model_validator(mode="after")
    def _variables_are_known(self) -> Self:
        try:
            url = self.host.format(**self.server_variables)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"host names the variable {error}; set it in server_variables"
            ) from None
        except (AttributeError, TypeError):
            raise ValueError("a variable in host is a name in braces, and no more") from None
        if fault := _fault_of_name(url):
            raise ValueError(f"host: {fault}")
        if self.trace_baggage and not self.trace:
            raise ValueError("trace_baggage needs trace=True")
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")
        return self

    @classmethod
    def from_env_prefix(cls, prefix: str, **settings: Unpack[Settings]) -> Self:
        """Read a configuration from environment variables.

        `MAILCOMPOSER_HOST` (or `MAILCOMPOSER_ENDPOINT`), `MAILCOMPOSER_API_KEY`,
        `MAILCOMPOSER_TIMEOUT` and so on: the prefix, then a field's name in capitals. Mappings are
        JSON objects.

        Args:
            prefix: E.g. `MAILCOMPOSER_`.
            **settings: Override what the environment says.

        Raises:
            ApiValueError: If a variable cannot be read; names the variable, not its value.
        """
        found: dict[str, Any] = {}
        variables: dict[str, str] = {}
        for name in cls.model_fields:
            variable = f"{prefix}{name.upper()}"
            text = os.environ.get(variable)
            if name == "host" and text is None:
                variable = f"{prefix}ENDPOINT"
                text = os.environ.get(variable)
            if text is None:
                continue
            variables[name] = variable
            try:
                found[name] = _from_text(text)
            except ValueError:
                raise ApiValueError(f"{variable} is not valid JSON") from None
        if "host" not in found and "host" not in settings:
            meant = f"{prefix}_"
            hint = (
                f"; or is the prefix {meant!r}?"
                if {f"{meant}HOST", f"{meant}ENDPOINT"} & os.environ.keys()
                else ""
            )
            raise ApiValueError(
                f"set the environment variable {prefix}HOST or {prefix}ENDPOINT to the URL of the "
                f"server{hint}"
            )
        try:
            return cls(**{**found, **settings})
        except ApiValueError as error:
            read = ", ".join(variables[name] for name in found if name not in settings)
            raise ApiValueError(f"{error} (read from {read})" if read else str(error)) from None

    @classmethod
    def fromEnvPrefix(cls, prefix: str, **settings: Unpack[Settings]) -> Self:  # noqa: N802 - as in the AGNTCY SDK
        """The name by which users of the AGNTCY SDK know `from_env_prefix`."""
        return cls.from_env_prefix(prefix, **settings)

    @property
    def base_url(self) -> str:
        """The host with its variables filled in, without a slash at the end."""
        return self.host.format(**self.server_variables).rstrip("/")

    def auth_headers(self) -> dict[str, str]:
        """The headers that carry the credentials."""
        headers: dict[str, str] = {}
        keys = {"x-api-key": self.api_key} if isinstance(self.api_key, str) else self.api_key or {}
        for name, key in keys.items():
            prefix = self.api_key_prefix
            if isinstance(prefix, Mapping):
                prefix = prefix.get(name)
            header = _API_KEY_HEADERS.get(name.replace("_", "").replace("-", "").lower(), name)
            headers[header] = f"{prefix} {key}" if prefix else key
        if self.access_token is not None:
            headers["authorization"] = f"Bearer {self.access_token}"
        elif self.username is not None:
            pair = f"{self.username}:{self.password or ''}".encode()
            headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return headers


def proxy_url(named: str) -> str | None:
    """The URL of a proxy, which may be named without a scheme; `None` if there can be none like that."""
    url = named if "://" in named else f"http://{named}"
    parts = split_url(url)
    return None if parts is None or parts.scheme not in _PROXIES or _fault_of_name(url) else url


def _has_blanks(text: str) -> bool:
    return any(each.isspace() or not each.isprintable() for each in text)


def _fault_of_parts(url: str) -> str:
    """Which part of a URL is wrong; never what is there, which may be a part of a password."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return "it does not begin with http:// or https://"
    if scheme.lower() not in {"http", "https"}:
        known = scheme.isascii() and scheme.isalpha() and len(scheme) <= _LONGEST_SCHEME
        return f"it begins with {f'{scheme}://' if known else 'something else'}, not http:// or https://"
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return "the brackets around an IPv6 address in it are wrong"
    if not name:
        return "the name of the machine is missing after ://"
    escaped = ", or a / ? # in the password before it is not written as %2F %3F %23"
    return f"the port in it is no number up to 65535{escaped if '@' in rest else ''}"


def _fault_of_name(url: str) -> str | None:
    """Why nothing can be called what a URL calls its machine, if so."""
    if _has_blanks(url):
        return _BLANKS
    parts = split_url(url)
    name = (parts and parts.hostname) or ""
    if ":" in name:
        return None  # an IPv6 address, which has been read as one
    if not name or any(
        each.isascii() and not each.isalnum() and each not in "-._" for each in name
    ):
        return f"no machine can be called {name!r}"
    if name.replace(".", "").isdigit():
        try:
            IPv4Address(name)
        except ValueError:
            return f"{name!r} is no IP address; it is four numbers up to 255 with dots between them"
    try:
        name.encode("idna")  # as every look-up does
    except UnicodeError:
        return f"no machine can be called {name!r}: something between its dots is empty or too long"
    return None


def split_url(url: Any) -> SplitResult | None:
    """The parts of a URL; `None` if it is none."""
    if isinstance(url, str) and _has_blanks(url):
        return None  # `urlsplit` would drop them
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where the port is no number
    except (TypeError, ValueError, AttributeError):
        return None
    return parts if isinstance(url, str) else None


def _from_text(text: str) -> Any:
    return json.loads(text) if text.lstrip().startswith(("{", "[")) else text


def _faults(error: ValidationError, kind: type[BaseModel]) -> str:
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {_fault(fault, kind)}"
        for fault in faults
    )


def _fault(fault: ErrorDetails, kind: type[BaseModel]) -> str:
    if fault["type"] == "extra_forbidden":
        near = get_close_matches(str(fault["loc"][-1]), kind.model_fields, n=1)
        return "there is no such setting" + (f"; did you mean {near[0]!r}?" if near else "")
    return fault["msg"].removeprefix("Value error, ")
