"""What a configuration says is what is done. How it is made is compared in `tests/interop`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.agntcy_calls import call_agntcy
from support.agntcy_forms import FORMS
from support.colors import Color
from support.peers import Certificates, speaking_tls

from acp_langgraph.agntcy import ACPClient, ApiClientConfiguration, ApiValueError, AsyncACPClient
from acp_langgraph.agntcy.models import AgentSearchRequest
from acp_langgraph.errors import ApiConnectionError
from acp_langgraph.testing import FakeHTTPServer, Response

SECRET = "sesame-4711"
ANY = AgentSearchRequest()


@pytest.fixture
def server() -> Iterator[FakeHTTPServer]:
    with FakeHTTPServer(lambda _: Response.json([])) as running:
        yield running


@pytest.fixture(autouse=True)
def _levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("acp_langgraph"), "level", logging.NOTSET)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_works_where_the_reference_is_not_installed(form: str) -> None:
    FORMS[form](ApiClientConfiguration)


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        ({"api_key": {"x-api-key": SECRET}}, "x-api-key", SECRET),
        (
            {"api_key": {"x-api-key": SECRET}, "api_key_prefix": {"x-api-key": "Token"}},
            "x-api-key",
            SECRET,
        ),
        ({"api_key": {"a": SECRET}, "api_key_prefix": {"a": "Key"}}, "a", f"Key {SECRET}"),
        ({"access_token": SECRET}, "authorization", f"Bearer {SECRET}"),
        ({"username": "ada", "password": "pass"}, "authorization", "Basic YWRhOnBhc3M="),
    ],
)
def test_credentials_are_shown(
    color: Color, server: FakeHTTPServer, settings: Any, header: str, value: str
) -> None:
    call_agntcy(color, ApiClientConfiguration(server.url, **settings), "search_agents", ANY)
    assert server.requests[0].headers[header] == value


def test_what_is_changed_counts_with_the_next_request(server: FakeHTTPServer) -> None:
    config = ApiClientConfiguration("http://127.0.0.1:1", retries=0)
    client = ACPClient(configuration=config)
    with pytest.raises(ApiConnectionError):
        client.search_agents(ANY)
    config.host, config.api_key = server.url, {"x-api-key": SECRET}
    assert client.search_agents(ANY) == []
    assert server.requests[0].headers["x-api-key"] == SECRET


def test_the_hook_refreshes_a_key_before_each_request(color: Color, server: FakeHTTPServer) -> None:
    config = ApiClientConfiguration(server.url)
    config.refresh_api_key_hook = lambda config: config.api_key.update({"x-api-key": SECRET})
    call_agntcy(color, config, "search_agents", ANY)
    assert server.requests[0].headers["x-api-key"] == SECRET


def test_a_variable_in_the_host_is_filled_in(color: Color, server: FakeHTTPServer) -> None:
    url = server.url.replace("127.0.0.1", "{address}")
    config = ApiClientConfiguration(url, server_variables={"address": "127.0.0.1"})
    assert call_agntcy(color, config, "search_agents", ANY) == []


def trusting(url: str, file: Path, **settings: Any) -> ApiClientConfiguration:
    config = ApiClientConfiguration(url, ssl_ca_cert=str(file), retries=0)
    for name, value in settings.items():
        setattr(config, name, value)
    return config


@pytest.mark.parametrize(
    "settings",
    [
        {"tls_server_name": "elsewhere.invalid"},
        {"assert_hostname": "elsewhere.invalid"},
        {"assert_hostname": False},
        {"verify_ssl": False},
    ],
)
def test_a_certificate_of_another_name_is_taken_if_that_is_said(
    color: Color, server: FakeHTTPServer, certificates: Certificates, settings: Any
) -> None:
    with speaking_tls(server.url, certificates.elsewhere) as peer:
        config = trusting(peer.url, certificates.elsewhere, **settings)
        assert call_agntcy(color, config, "search_agents", ANY) == []


@pytest.mark.parametrize("settings", [{}, {"tls_server_name": "third.invalid"}])
def test_a_certificate_of_another_name_is_refused_if_it_is_not(
    color: Color, server: FakeHTTPServer, certificates: Certificates, settings: Any
) -> None:
    with speaking_tls(server.url, certificates.elsewhere) as peer:
        config = trusting(peer.url, certificates.elsewhere, **settings)
        with pytest.raises(ApiConnectionError, match="made out for another host"):
            call_agntcy(color, config, "search_agents", ANY)
    assert not server.requests


def test_nobody_is_believed_whose_certificate_is_not_known(
    color: Color, server: FakeHTTPServer, certificates: Certificates
) -> None:
    with speaking_tls(server.url, certificates.elsewhere) as peer:
        config = trusting(peer.url, certificates.here, tls_server_name="elsewhere.invalid")
        with pytest.raises(ApiConnectionError):
            call_agntcy(color, config, "search_agents", ANY)
    assert not server.requests


def test_a_proxy_gets_its_headers(color: Color, server: FakeHTTPServer) -> None:
    config = ApiClientConfiguration("http://agents.invalid")
    config.proxy, config.proxy_headers = server.url, {"x-for-proxy": "yes"}
    assert call_agntcy(color, config, "search_agents", ANY) == []
    (request,) = server.requests
    assert request.target == "http://agents.invalid/agents/search"
    assert request.headers["x-for-proxy"] == "yes"


def test_a_file_is_written_what_is_logged(
    color: Color, server: FakeHTTPServer, tmp_path: Path
) -> None:
    config = ApiClientConfiguration(server.url, {"x-api-key": SECRET}, debug=True)
    config.logger_format = "%(levelname)s %(message)s"
    config.logger_file = str(tmp_path / "log")
    try:
        call_agntcy(color, config, "search_agents", ANY)
        text = (tmp_path / "log").read_text(encoding="utf-8")
        assert "DEBUG POST" in text
        assert "/agents/search" in text
        assert SECRET not in text
    finally:
        handler = config.logger_file_handler
        assert handler is not None
        logging.getLogger("acp_langgraph").removeHandler(handler)
        handler.close()


@pytest.mark.parametrize(("name", "value"), [("RETRIES", SECRET), ("API_KEY", SECRET)])
def test_a_variable_that_cannot_be_read_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MY_{name}", value)
    with pytest.raises(ApiValueError, match=f"MY_{name} is not") as failed:
        ApiClientConfiguration.fromEnvPrefix("my_")
    assert SECRET not in str(failed.value)


def test_a_configuration_shows_no_secrets() -> None:
    config = ApiClientConfiguration("http://h", {"x-api-key": SECRET}, None, "u", SECRET, SECRET)
    assert SECRET not in f"{config!r} {config} {config.to_debug_report()}"


def test_special_connections_serve_every_event_loop_and_are_closed(
    server: FakeHTTPServer,
) -> None:
    config = ApiClientConfiguration(server.url)
    config.connection_pool_maxsize = 2

    async def ask(client: AsyncACPClient) -> None:
        assert await client.search_agents(ANY) == []

    unclosed = AsyncACPClient(configuration=config)
    asyncio.run(ask(unclosed))
    asyncio.run(ask(unclosed))
    with ACPClient(configuration=config) as client:
        assert client.search_agents(ANY) == []
    assert client.search_agents(ANY) == []
    client.api_client.close()
