"""`ApiClientConfiguration` as `agntcy_acp` has it: settings by position, `None` for every default, attributes.

    config = ApiClientConfiguration("http://127.0.0.1:8000", {"x-api-key": "..."}, timeout=[5, 60])
    config.verify_ssl = False
    config = ApiClientConfiguration.fromEnvPrefix("MAILCOMPOSER_")

It may be changed as long as it is used: what it says counts with the next request. `connection` makes of it
the package's own configuration, which is a value and is never changed.
"""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Self, TypeAlias

from acp_langgraph import config
from acp_langgraph.agntcy.exceptions import ApiValueError

Timeout: TypeAlias = float | tuple[float, float] | list[float]
"""Seconds: for all of an exchange, or for connecting and for the rest of it."""

_API_KEY: Final = "x-api-key"
_AS_LONG_AS: Final = 300.0  # seconds; what the reference's awaiting client waits
_IN_ENVIRONMENT: Final = str.maketrans("-.", "__")


class ApiClientConfiguration:
    """Where and as whom to connect.

    What is given as `None`, or is left out, has its default.

    Args:
        host: Base URL.
        api_key: Keys by the name of their header.
        api_key_prefix: What stands before them, likewise. Not before an `x-api-key`.
        username: For HTTP Basic authentication.
        password: See `username`.
        access_token: Sent as `Authorization: Bearer ...`.
        server_variables: Values for `{variables}` in `host`.
        server_operation_variables: Kept, and of no use: no operation has a server of its own.
        ssl_ca_cert: File with the certificate authorities to trust.
        retries: How often a request that may be repeated is tried again; 3 by default.
        timeout: Seconds that an exchange may take, or a pair: for connecting, and for the rest. 300 by
            default. What waits for a run waits as long as that takes.
        ca_cert_data: Certificate authorities, as PEM text.
        debug: Whether every exchange is logged.

    Attributes:
        verify_ssl: Whether a server must prove who it is.
        cert_file: Certificate of this side.
        key_file: Its key, if that is in another file.
        assert_hostname: What the server's certificate must be made out for, if not for its host; `False`
            for whatever it is made out for.
        tls_server_name: The name that the server is asked for, and that its certificate is made out for.
        connection_pool_maxsize: How many connections are kept.
        proxy: URL of a proxy.
        proxy_headers: What the proxy is sent.
        socket_options: Options of every socket.
        refresh_api_key_hook: Called with this configuration before its keys are read.
        logger: The loggers that `debug` and `logger_file` are for.
        logger_file_handler: What writes to `logger_file`.
        logger_stream_handler: Kept, and of no use.
        ignore_operation_servers, server_index, server_operation_index, temp_folder_path,
            safe_chars_for_path_param, client_side_validation, datetime_format, date_format: Kept, and of
            no use: the protocol has nothing that they are for.
    """

    _default: ClassVar[Any] = None

    def __init__(
        self,
        host: str | None = None,
        api_key: dict[str, str] | None = None,
        api_key_prefix: dict[str, str] | None = None,
        username: str | None = None,
        password: str | None = None,
        access_token: str | None = None,
        server_variables: dict[str, str] | None = None,
        server_operation_variables: dict[int, dict[str, str]] | None = None,
        ssl_ca_cert: str | None = None,
        retries: int | None = None,
        timeout: Timeout | None = None,
        ca_cert_data: str | bytes | None = None,
        *,
        debug: bool | None = None,
    ) -> None:
        self._base = "http://localhost" if host is None else host
        self.server_index: int | None = 0 if host is None else None
        self.api_key = api_key or {}
        self.api_key_prefix = api_key_prefix or {}
        self.username, self.password, self.access_token = username, password, access_token
        self.server_variables = server_variables or {}
        self.server_operation_variables = server_operation_variables or {}
        self.server_operation_index: dict[int, int] = {}
        self.ssl_ca_cert, self.ca_cert_data = ssl_ca_cert, ca_cert_data
        self.retries, self.timeout = retries, timeout
        self.refresh_api_key_hook: Callable[[ApiClientConfiguration], object] | None = None
        self.verify_ssl = True
        self.cert_file: str | None = None
        self.key_file: str | None = None
        self.assert_hostname: str | bool | None = None
        self.tls_server_name: str | None = None
        self.connection_pool_maxsize: int | None = (os.cpu_count() or 1) * 5
        self.proxy: str | None = None
        self.proxy_headers: Mapping[str, str] | None = None
        self.socket_options: Any = None
        self.ignore_operation_servers = True
        self.temp_folder_path: str | None = None
        self.safe_chars_for_path_param = ""
        self.client_side_validation = True
        self.datetime_format = "%Y-%m-%dT%H:%M:%S.%f%z"
        self.date_format = "%Y-%m-%d"
        self.logger = {"package_logger": logging.getLogger("acp_langgraph")}
        self.logger_format = "%(asctime)s %(levelname)s %(message)s"
        self.logger_stream_handler: logging.Handler | None = None
        self.logger_file_handler: logging.Handler | None = None
        self._logger_file: str | None = None
        self._debug = False
        if debug is not None:
            self.debug = debug

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = copy.copy(self)
        memo[id(self)] = twin
        apart = {"logger", "logger_file_handler", "logger_stream_handler"}
        for name in vars(self).keys() - apart:
            setattr(twin, name, copy.deepcopy(getattr(self, name), memo))
        return twin

    @classmethod
    def fromEnvPrefix(  # noqa: N802 - its name
        cls,
        env_var_prefix: str,
        host: str | None = None,
        api_key: dict[str, str] | None = None,
        api_key_prefix: dict[str, str] | None = None,
        username: str | None = None,
        password: str | None = None,
        access_token: str | None = None,
        server_variables: dict[str, str] | None = None,
        server_operation_variables: dict[int, dict[str, str]] | None = None,
        ssl_ca_cert: str | None = None,
        retries: int | None = None,
        timeout: Timeout | None = None,
        ca_cert_data: str | bytes | None = None,
        *,
        debug: bool | None = None,
    ) -> Self:
        """Read what is not given from environment variables.

        They are called as the settings, in capitals and after the prefix; the host may be in
        `..._ENDPOINT`. A `-` or `.` in the prefix is a `_` there. Mappings are JSON objects.

        Raises:
            ApiValueError: If a variable cannot be read; names the variable, not its value.
        """
        given = locals()
        settings = {name: given[name] for name in _READ_BY}
        for name, read in _READ_BY.items():
            if settings[name] is None:
                settings[name] = _in_environment(env_var_prefix, name, read)
        if settings["host"] is None:
            settings["host"] = _in_environment(env_var_prefix, "endpoint", str)
        return cls(**settings)

    @classmethod
    def set_default(cls, default: Self | None) -> None:
        """Have `get_default` return a configuration, which clients without one use."""
        cls._default = default

    @classmethod
    def get_default(cls) -> Self:
        """The configuration of clients without one."""
        if cls._default is None:
            cls._default = cls()
        made: Self = cls._default
        return made

    @classmethod
    def get_default_copy(cls) -> Self:
        """`get_default`, by an older name."""
        return cls.get_default()

    @property
    def host(self) -> str:
        """The base URL; empty if none was given, which connects to `http://localhost`."""
        return self.get_host_from_settings(self.server_index, self.server_variables)

    @host.setter
    def host(self, value: str) -> None:
        self._base, self.server_index = value, None

    @property
    def debug(self) -> bool:
        """Whether every exchange is logged, to the logger `acp_langgraph.http`."""
        return self._debug

    @debug.setter
    def debug(self, value: bool) -> None:
        self._debug = value
        for each in self.logger.values():
            each.setLevel(logging.DEBUG if value else logging.WARNING)

    @property
    def logger_file(self) -> str | None:
        """A file that is written what is logged."""
        return self._logger_file

    @logger_file.setter
    def logger_file(self, value: str | None) -> None:
        self._logger_file = value
        if value:
            self.logger_file_handler = logging.FileHandler(value)
            self.logger_file_handler.setFormatter(self.logger_formatter)
            for each in self.logger.values():
                each.addHandler(self.logger_file_handler)

    @property
    def logger_format(self) -> str:
        """How a line in `logger_file` looks."""
        return self._logger_format

    @logger_format.setter
    def logger_format(self, value: str) -> None:
        self._logger_format = value
        self.logger_formatter = logging.Formatter(value)

    def get_api_key_with_prefix(self, identifier: str, alias: str | None = None) -> str | None:
        """A key, with what stands before it; `None` if there is none.

        Args:
            identifier: Its name.
            alias: Another name that it may have.
        """
        if self.refresh_api_key_hook is not None:
            self.refresh_api_key_hook(self)
        key = self.api_key.get(identifier, self.api_key.get(alias or ""))
        prefix = self.api_key_prefix.get(identifier)
        return (f"{prefix} {key}" if prefix else key) or None

    def get_basic_auth_token(self) -> str:
        """What `Authorization` is for the user name and password."""
        pair = f"{self.username or ''}:{self.password or ''}".encode("latin-1")
        return f"Basic {base64.b64encode(pair).decode()}"

    def auth_settings(self) -> dict[str, Any]:
        """The security schemes of the protocol's specification, which names none."""
        return {}

    def to_debug_report(self) -> str:
        """What somebody who helps wants to know; there is nothing secret in it."""
        from acp_langgraph import __version__  # noqa: PLC0415 - rarely wanted

        return (
            "Python SDK Debug Report:\n"
            f"OS: {sys.platform}\n"
            f"Python Version: {sys.version}\n"
            "Version of the API: 0.2.3\n"
            f"SDK Package Version: {__version__}"
        )

    def get_host_settings(self) -> list[dict[str, Any]]:
        """The servers that the protocol's specification names: one without a URL."""
        return [{"url": "", "description": "No description provided"}]

    def get_host_from_settings(
        self,
        index: int | None,
        variables: Mapping[str, str] | None = None,
        servers: list[dict[str, Any]] | None = None,
    ) -> str:
        """The URL of a server, its variables filled in; the configured one if `index` is `None`.

        Raises:
            ValueError: If there is no such server, or a variable may not have that value.
        """
        if index is None:
            return self._base
        servers = self.get_host_settings() if servers is None else servers
        if not -len(servers) <= index < len(servers):
            raise ValueError(f"there is no server {index}; there are {len(servers)}")
        url: str = servers[index]["url"]
        for name, about in servers[index].get("variables", {}).items():
            value = (variables or {}).get(name, about["default_value"])
            if "enum_values" in about and value not in about["enum_values"]:
                raise ValueError(
                    f"the variable {name!r} of the host is one of {about['enum_values']}"
                )
            url = url.replace(f"{{{name}}}", value)
        return url

    def connection(self) -> config.ApiClientConfiguration:
        """What it says now, as the package's own configuration.

        Raises:
            ApiValueError: If a setting is impossible; says which, never its value.
        """
        if self.refresh_api_key_hook is not None:
            self.refresh_api_key_hook(self)
        timeout = _AS_LONG_AS if self.timeout is None else self.timeout
        connect, rest = (None, timeout) if isinstance(timeout, (int, float)) else timeout
        own = self.cert_file
        return config.ApiClientConfiguration(
            self.host or self._base,
            api_key=dict(self.api_key),
            api_key_prefix={n: p for n, p in self.api_key_prefix.items() if n.lower() != _API_KEY},
            username=self.username,
            password=self.password,
            access_token=self.access_token,
            server_variables=dict(self.server_variables),
            ssl_ca_cert=self.ssl_ca_cert,
            ca_cert_data=self.ca_cert_data,
            verify_ssl=self.verify_ssl,
            client_cert=(own, self.key_file) if own and self.key_file else own,
            proxy=self.proxy,
            retries=self.retries,
            timeout=rest,
            connect_timeout=connect,
            debug=self.debug,
        )


def _is_true(text: str) -> bool:
    return text.lower() == "true"


_READ_BY: Final[dict[str, Callable[[str], Any]]] = {
    "host": str,
    "api_key": json.loads,
    "api_key_prefix": json.loads,
    "username": str,
    "password": str,
    "access_token": str,
    "server_variables": json.loads,
    "server_operation_variables": json.loads,
    "ssl_ca_cert": str,
    "retries": int,
    "timeout": json.loads,
    "ca_cert_data": str,
    "debug": _is_true,
}


def _in_environment(prefix: str, name: str, read: Callable[[str], Any]) -> Any:
    variable = f"{prefix}{name}".upper().translate(_IN_ENVIRONMENT)
    text = os.environ.get(variable)
    try:
        return None if text is None else read(text)
    except ValueError:
        kind = "a whole number" if read is int else "JSON"
        raise ApiValueError(f"the environment variable {variable} is not {kind}") from None
