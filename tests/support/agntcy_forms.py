"""Forms in which programs make, read and change an `ApiClientConfiguration`.

Each is a function of the class; what it gives must be the same for AGNTCY's and for this package's.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

URL = "http://127.0.0.1:8000"
ENVIRONMENT = {
    "MY_V1_AGENT_HOST": "http://of-the-environment",
    "MY_V1_AGENT_API_KEY": '{"x-api-key": "k", "other": "o"}',
    "MY_V1_AGENT_API_KEY_PREFIX": '{"other": "Key"}',
    "MY_V1_AGENT_USERNAME": "ada",
    "MY_V1_AGENT_PASSWORD": "pass",
    "MY_V1_AGENT_ACCESS_TOKEN": "token",
    "MY_V1_AGENT_SERVER_VARIABLES": '{"stage": "test"}',
    "MY_V1_AGENT_SERVER_OPERATION_VARIABLES": "{}",
    "MY_V1_AGENT_SSL_CA_CERT": "ca.pem",
    "MY_V1_AGENT_RETRIES": "5",
    "MY_V1_AGENT_TIMEOUT": "[1, 2.5]",
    "MY_V1_AGENT_CA_CERT_DATA": "data",
    "MY_V1_AGENT_DEBUG": "TRUE",
    "LATER_ENDPOINT": "http://endpoint",
}
SETTINGS = (
    "host",
    "api_key",
    "api_key_prefix",
    "username",
    "password",
    "access_token",
    "server_variables",
    "server_operation_variables",
    "ssl_ca_cert",
    "retries",
    "timeout",
    "ca_cert_data",
)
SERVERS = [
    {
        "url": "http://{stage}.example.com",
        "variables": {"stage": {"default_value": "live", "enum_values": ["live", "test"]}},
    }
]


def settings(made: Any) -> list[Any]:
    return [getattr(made, name) for name in SETTINGS]


def changed(kind: Any, name: str, value: Any) -> Any:
    made = kind(URL)
    before = getattr(made, name)
    setattr(made, name, value)
    return before, getattr(made, name)


def raised(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ValueError:
        return ValueError


def in_environment(function: Callable[[], Any]) -> Any:
    with patch.dict(os.environ, ENVIRONMENT):
        return function()


def refreshed(kind: Any) -> Any:
    made = kind(URL, {"a": "old"})

    def hook(configuration: Any) -> None:
        configuration.api_key["a"] = "new"

    made.refresh_api_key_hook = hook
    return made.get_api_key_with_prefix("a"), made.api_key


def default(kind: Any) -> Any:
    made = kind(URL, retries=9)
    kind.set_default(made)
    try:
        return kind.get_default() is made, kind.get_default_copy().retries
    finally:
        kind.set_default(None)


def copied(kind: Any) -> Any:
    made = kind(URL, {"a": "1"}, timeout=[1, 2])
    twin = copy.deepcopy(made)
    made.api_key["a"] = "2"
    made.host = "http://elsewhere"
    return settings(twin), made.host


def debugging(kind: Any) -> Any:
    made = kind(URL, debug=True)
    levels = [each.level for each in made.logger.values()][:1]
    made.debug = False
    return made.debug, levels, [each.level for each in made.logger.values()][:1]


FORMS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda kind: settings(kind()),
    "a host by position": lambda kind: settings(kind(URL)),
    "a host by name": lambda kind: kind(host=URL).host,
    "all by position": lambda kind: settings(
        kind(URL, {"a": "1"}, {"a": "P"}, "u", "p", "t", {"v": "1"}, {}, "ca", 1, 2.5, "data")
    ),
    "None for all": lambda kind: settings(kind(*[None] * 12, debug=None)),
    "keys": lambda kind: kind(URL, api_key={"x-api-key": "k"}).api_key,
    "no keys": lambda kind: kind(URL, api_key=None, api_key_prefix=None).api_key,
    "a user": lambda kind: kind(URL, username="ada", password="pass").get_basic_auth_token(),
    "a user without a password": lambda kind: kind(URL, username="ada").get_basic_auth_token(),
    "a token": lambda kind: kind(URL, access_token="t").access_token,
    "variables": lambda kind: kind(URL, server_variables={"a": "1"}).server_variables,
    "operations' variables": lambda kind: (
        kind(URL, server_operation_variables={1: {"a": "1"}}).server_operation_variables
    ),
    "a certificate authority": lambda kind: kind(URL, ssl_ca_cert="ca.pem").ssl_ca_cert,
    "its data": lambda kind: kind(URL, ca_cert_data=b"data").ca_cert_data,
    "retries": lambda kind: kind(URL, retries=0).retries,
    "seconds": lambda kind: kind(URL, timeout=7).timeout,
    "a pair of seconds": lambda kind: kind(URL, timeout=[1.5, 60]).timeout,
    "debugging": debugging,
    "another host": lambda kind: changed(kind, "host", "http://elsewhere"),
    "other keys": lambda kind: changed(kind, "api_key", {"b": "2"}),
    "another token": lambda kind: changed(kind, "access_token", "later"),
    "unverified": lambda kind: changed(kind, "verify_ssl", False),
    "a certificate": lambda kind: changed(kind, "cert_file", "own.pem"),
    "its key": lambda kind: changed(kind, "key_file", "own.key"),
    "a certificate's name": lambda kind: changed(kind, "assert_hostname", "elsewhere"),
    "a server's name": lambda kind: changed(kind, "tls_server_name", "elsewhere"),
    "a pool": lambda kind: changed(kind, "connection_pool_maxsize", 3),
    "a proxy": lambda kind: changed(kind, "proxy", "http://proxy:3128"),
    "a proxy's headers": lambda kind: changed(kind, "proxy_headers", {"a": "1"}),
    "sockets": lambda kind: changed(kind, "socket_options", [(6, 1, 1)]),
    "safe characters": lambda kind: changed(kind, "safe_chars_for_path_param", "/"),
    "a folder": lambda kind: changed(kind, "temp_folder_path", "folder"),
    "times": lambda kind: (kind().datetime_format, kind().date_format),
    "the log's lines": lambda kind: changed(kind, "logger_format", "%(message)s"),
    "the loggers": lambda kind: {type(each) for each in kind().logger.values()} == {logging.Logger},
    "servers of operations": lambda kind: (
        kind(URL).server_operation_index,
        kind(URL).ignore_operation_servers,
    ),
    "the environment": lambda kind: in_environment(
        lambda: settings(kind.fromEnvPrefix("MY_V1_AGENT_"))
    ),
    "the environment's debugging": lambda kind: in_environment(
        lambda: kind.fromEnvPrefix("MY_V1_AGENT_").debug
    ),
    "a prefix in other letters": lambda kind: in_environment(
        lambda: settings(kind.fromEnvPrefix(env_var_prefix="my-v1.agent_"))
    ),
    "an endpoint": lambda kind: in_environment(lambda: kind.fromEnvPrefix("LATER_").host),
    "more than the environment says": lambda kind: in_environment(
        lambda: settings(kind.fromEnvPrefix("MY_V1_AGENT_", URL, {"a": "1"}, retries=0))
    ),
    "an empty environment": lambda kind: settings(kind.fromEnvPrefix("NOBODYS_")),
    "a default": default,
    "a copy": copied,
    "a key with its prefix": lambda kind: kind(URL, {"a": "1"}, {"a": "P"}).get_api_key_with_prefix(
        "a"
    ),
    "a key by an alias": lambda kind: kind(URL, {"b": "1"}).get_api_key_with_prefix("a", "b"),
    "a key that is not there": lambda kind: kind(URL).get_api_key_with_prefix("a"),
    "a refreshed key": refreshed,
    "security schemes": lambda kind: kind(URL, {"x-api-key": "k"}).auth_settings(),
    "servers": lambda kind: kind(URL).get_host_settings(),
    "no server": lambda kind: kind(URL).get_host_from_settings(None),
    "a server": lambda kind: kind(URL).get_host_from_settings(0),
    "a server's variables": lambda kind: kind(URL).get_host_from_settings(
        0, {"stage": "test"}, SERVERS
    ),
    "a server's default": lambda kind: kind(URL).get_host_from_settings(0, servers=SERVERS),
    "a variable's wrong value": lambda kind: raised(
        lambda: kind(URL).get_host_from_settings(0, {"stage": "none"}, SERVERS)
    ),
    "a server too many": lambda kind: raised(lambda: kind(URL).get_host_from_settings(9)),
    "a report": lambda kind: [
        line.partition(":")[0]
        for line in kind(URL, {"a": "secret"}, None, "u", "secret").to_debug_report().splitlines()
        if "secret" not in line
    ],
}
