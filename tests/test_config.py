"""The client configuration."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import ApiValueError
from acp_langgraph.transport import Transport

SECRETS: dict[str, Any] = {
    "api_key": "sesame-1",
    "username": "ali",
    "password": "sesame-2",
    "access_token": "sesame-3",
    "headers": {"x-more": "sesame-4"},
    "proxy": "http://u:sesame-5@proxy",
}


def test_the_host_may_be_given_by_position() -> None:
    assert ApiClientConfiguration("http://here:1/base/").base_url == "http://here:1/base"


@pytest.mark.parametrize(
    "host", ["", "here", "here:8000", "ftp://here", "http://", "http://h:x", "http://h?a=1", 5]
)
def test_a_host_that_is_no_url_is_refused_with_an_example(host: Any) -> None:
    with pytest.raises(ApiValueError, match=r"host: .*"):
        ApiClientConfiguration(host)


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("http://127.0.0.1:80800", "the port in it is no number up to 65535; a server is named by"),
        ("http://joe:sesame@h:x", "the port in it is no number up to 65535, or a / "),
        ("http://joe:ses/ame@h", "or a / .* in the password before it is not written as %2F"),
        ("agents.example.com:8000", "it does not begin with http:// or https://"),
        ("joe:sesame@agents", "it does not begin with http:// or https://"),
        ("htp://agents", "it begins with htp://, not http:// or https://"),
        ("joe:sesame@http://agents", "it begins with something else, not http:// or https://"),
        ("http://:80", "the name of the machine is missing"),
        ("https://[::1", "the brackets around an IPv6 address in it are wrong"),
    ],
)
def test_a_host_that_is_no_url_is_refused_by_its_part_and_without_credentials(
    host: str, says: str
) -> None:
    with pytest.raises(ApiValueError, match=f"host: .*{says}") as caught:
        ApiClientConfiguration(host)
    assert not re.search("joe|ses|ame@|@", str(caught.value))


@pytest.mark.parametrize(
    "host",
    [
        *("http://h\n", "http://h/\n", " http://h", "http://h ", "http://a b", "http://h\t.x"),
        *("http://h\u2028", "http://u:sesame@h\n", "http://h\0"),
    ],
)
def test_a_host_with_a_blank_or_a_line_end_is_refused_by_saying_so(host: str) -> None:
    with pytest.raises(ApiValueError, match="host: there is a blank or a line end") as caught:
        ApiClientConfiguration(host)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("http://.svc", "http://a..b", "http://ä..b", "http://h..", f"http://{'a' * 64}.svc"),
        *("http://a%20b", "http://h\\x", "http://*"),
        *("http://127.1", "http://1.2.3.4.5", "http://256.0.0.1"),
    ],
)
def test_a_host_that_no_machine_can_have_is_refused(host: str) -> None:
    with pytest.raises(
        ApiValueError, match=r"host: (no machine can be called|.* is no IP address)"
    ):
        ApiClientConfiguration(host)


@pytest.mark.parametrize("region", ["", "a..b", "a\n", "a b"])
def test_a_variable_of_the_host_cannot_make_it_one_that_no_machine_has(region: str) -> None:
    with pytest.raises(ApiValueError, match="host: "):
        ApiClientConfiguration("http://{region}.svc", server_variables={"region": region})


@pytest.mark.parametrize("host", ["http://{region.a}", "http://{region[a]}"])
def test_a_variable_of_the_host_is_a_name(host: str) -> None:
    with pytest.raises(ApiValueError, match="host"):
        ApiClientConfiguration(host, server_variables={"region": "eu"})


@pytest.mark.parametrize(
    "host",
    [
        *(
            "http://h.",
            "http://my_service:8000",
            "http://-a.b",
            "http://EXAMPLE.com",
            "http://4ever",
        ),
        *("http://ä.example", "http://h/a%20b", "http://h/ü", "http://[::1]:80", "http://10.0.0.1"),
    ],
)
def test_a_host_that_a_machine_may_have_is_taken(host: str) -> None:
    assert ApiClientConfiguration(host).base_url == host


@pytest.mark.parametrize("host", ["http://xn--", "http://☃.example"])
def test_a_host_that_cannot_be_encoded_is_refused(host: str) -> None:
    with pytest.raises(ApiValueError, match="host"):
        Transport(host)


def test_credentials_in_the_url_are_taken_out_of_it() -> None:
    config = ApiClientConfiguration("http://al%40i:p%3Aw@here/x")
    assert config.host == "http://here/x"
    assert (config.username, config.password) == ("al@i", "p:w")


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"api_key": "k"}, {"x-api-key": "k"}),
        ({"api_key": {"XApiKey": "k"}}, {"x-api-key": "k"}),
        ({"api_key": {"ApiKeyAuth": "k"}}, {"x-api-key": "k"}),
        ({"api_key": {"X-Other": "k"}}, {"X-Other": "k"}),
        ({"api_key": "k", "api_key_prefix": "Token"}, {"x-api-key": "Token k"}),
        (
            {"api_key": {"a": "1", "b": "2"}, "api_key_prefix": {"a": "P"}},
            {"a": "P 1", "b": "2"},
        ),
        ({"access_token": "t"}, {"authorization": "Bearer t"}),
        (
            {"username": "ä", "password": "p"},
            {"authorization": f"Basic {base64.b64encode('ä:p'.encode()).decode()}"},
        ),
        ({"access_token": "t", "username": "u"}, {"authorization": "Bearer t"}),
        ({}, {}),
    ],
)
def test_credentials_become_headers(settings: Any, headers: Any) -> None:
    assert ApiClientConfiguration("http://h", **settings).auth_headers() == headers


def test_no_secret_is_shown() -> None:
    config = ApiClientConfiguration("http://h", **SECRETS)
    assert "sesame" not in repr(config) + str(config)


@pytest.mark.parametrize("name", ["timeout", "retries", "unknown_setting"])
def test_what_is_wrong_is_named_without_the_value(name: str) -> None:
    with pytest.raises(ApiValueError, match=name) as caught:
        ApiClientConfiguration("http://h", **{name: "sesame"})
    assert "sesame" not in str(caught.value)


def test_a_variable_of_the_host_is_filled_in() -> None:
    config = ApiClientConfiguration("http://{region}.h", server_variables={"region": "eu"})
    assert config.base_url == "http://eu.h"


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ApiValueError, match="region"):
        ApiClientConfiguration("http://{region}.h")


def test_the_environment_gives_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOST": "http://{r}.h",
        "SERVER_VARIABLES": '{"r": "eu"}',
        "API_KEY": '{"XApiKey": "k"}',
        "ACCESS_TOKEN": "t",
        "TIMEOUT": "2.5",
        "RETRIES": "7",
        "DEBUG": "true",
        "SSL_CA_CERT": "/ca.pem",
    }.items():
        monkeypatch.setenv(f"MAILCOMPOSER_{name}", value)
    config = ApiClientConfiguration.from_env_prefix("MAILCOMPOSER_")
    assert config.base_url == "http://eu.h"
    assert config.auth_headers() == {"x-api-key": "k", "authorization": "Bearer t"}
    assert (config.timeout, config.retries, config.debug) == (2.5, 7, True)
    assert config.ssl_ca_cert == "/ca.pem"


def test_an_endpoint_is_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_ENDPOINT", "http://h")
    assert ApiClientConfiguration.fromEnvPrefix("X_").host == "http://h"


def test_a_missing_host_says_which_variables_to_set() -> None:
    with pytest.raises(ApiValueError, match="NOWHERE_HOST or NOWHERE_ENDPOINT"):
        ApiClientConfiguration.from_env_prefix("NOWHERE_")


def test_broken_json_names_the_variable_and_not_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_HOST", "http://h")
    monkeypatch.setenv("X_API_KEY", '{"sesame')
    with pytest.raises(ApiValueError, match="X_API_KEY") as caught:
        ApiClientConfiguration.from_env_prefix("X_")
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("name", sorted({*ApiClientConfiguration.model_fields} - {"timeout"}))
def test_none_stands_for_the_default(name: str) -> None:
    configured = ApiClientConfiguration(**{name: None})
    assert configured == ApiClientConfiguration()
    assert configured.timeout == 60.0


def test_a_timeout_of_none_waits_for_ever() -> None:
    assert ApiClientConfiguration(timeout=None).timeout is None


def test_who_changes_a_setting_is_told_how_to_make_a_changed_copy() -> None:
    config = ApiClientConfiguration("http://h", api_key="a secret key")
    with pytest.raises(AttributeError, match=r"model_copy\(update={'retries': \.\.\.}\)"):
        config.retries = 5
    assert config.model_copy(update={"retries": 5}).retries == 5
