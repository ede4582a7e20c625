"""Whoever is spoken to by TLS proves who it is: the server, a token issuer, a proxy.

Whatever the scheme of the base URL; and each of them is reached by the proxy that is meant for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.colors import Color
from support.peers import Certificates, speaking_tls, tunnels
from support.sending import send
from support.signing import ClientCredentials, token_issuer

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call
from acp_langgraph.errors import ApiConnectionError
from acp_langgraph.testing import FakeHTTPServer, Fault, Response

READ: Call[Any] = Call("read", "GET", "/things/1", dict)
WRITE: Call[Any] = Call("write", "POST", "/things", dict, body={"a": 1})
DONE = [{"done": True}]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def server() -> Iterator[FakeHTTPServer]:
    with FakeHTTPServer(lambda _: Response.json({"done": True})) as running:
        yield running


@pytest.fixture
def issuer() -> Iterator[FakeHTTPServer]:
    with token_issuer() as running:
        yield running


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One that names no proxies."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def quick(url: str, **settings: Any) -> ApiClientConfiguration:
    return ApiClientConfiguration(url, retries=0, **settings)


# A certificate that proves nothing


@pytest.mark.parametrize("base", ["http", "https"])
def test_an_issuer_that_nobody_vouches_for_gets_no_secret(
    color: Color, server: Any, issuer: Any, certificates: Certificates, base: str
) -> None:
    with (
        speaking_tls(server.url, certificates.elsewhere) as safe,
        speaking_tls(issuer.url, certificates.here) as impostor,
    ):
        url = server.url if base == "http" else safe.url
        configuration = quick(url, ssl_ca_cert=str(certificates.elsewhere))
        with pytest.raises(ApiConnectionError, match=r"(?i)certificate") as caught:
            send(color, configuration, WRITE, auth=ClientCredentials(impostor.url))
    assert not issuer.requests
    assert not server.requests
    assert not caught.value.sent


def test_an_issuer_is_not_trusted_by_default_either(
    color: Color, server: Any, issuer: Any, certificates: Certificates
) -> None:
    with (
        speaking_tls(issuer.url, certificates.here) as impostor,
        pytest.raises(ApiConnectionError, match=r"(?i)certificate"),
    ):
        send(color, quick(server.url), WRITE, auth=ClientCredentials(impostor.url))
    assert not issuer.requests
    assert not server.requests


def test_an_issuer_with_another_hosts_certificate_gets_no_secret(
    color: Color, server: Any, issuer: Any, certificates: Certificates
) -> None:
    configuration = quick(server.url, ssl_ca_cert=str(certificates.elsewhere))
    with (
        speaking_tls(issuer.url, certificates.elsewhere) as impostor,
        pytest.raises(ApiConnectionError, match=r"(?i)certificate"),
    ):
        send(color, configuration, WRITE, auth=ClientCredentials(impostor.url))
    assert not issuer.requests


@pytest.mark.parametrize("said", ["setting", "environment"])
def test_a_proxy_that_nobody_vouches_for_gets_neither_its_password_nor_the_request(
    color: Color,
    server: Any,
    certificates: Certificates,
    environment: pytest.MonkeyPatch,
    said: str,
) -> None:
    with speaking_tls(server.url, certificates.here) as impostor:
        proxy = impostor.url.replace("https://", "https://guest:sesame-proxy@")
        configuration = quick("http://agents.invalid", api_key="sesame-key")
        if said == "setting":
            configuration = configuration.model_copy(update={"proxy": proxy})
        else:
            environment.setenv("HTTP_PROXY", proxy)
        with pytest.raises(ApiConnectionError, match=r"(?i)certificate") as caught:
            send(color, configuration, WRITE)
    assert not server.requests
    assert not caught.value.sent


def test_a_proxy_with_another_hosts_certificate_gets_nothing(
    color: Color, server: Any, certificates: Certificates
) -> None:
    with speaking_tls(server.url, certificates.elsewhere) as impostor:
        ca = str(certificates.elsewhere)
        configuration = quick("http://agents.invalid", proxy=impostor.url, ssl_ca_cert=ca)
        with pytest.raises(ApiConnectionError, match=r"(?i)certificate"):
            send(color, configuration, WRITE)
    assert not server.requests


# The configured CA


@pytest.mark.parametrize("given", ["ssl_ca_cert", "ca_cert_data"])
def test_an_issuer_is_known_by_the_configured_ca(
    color: Color, server: Any, issuer: Any, certificates: Certificates, given: str
) -> None:
    ca = str(certificates.here) if given == "ssl_ca_cert" else certificates.here.read_text()
    with speaking_tls(issuer.url, certificates.here) as safe:
        configuration = quick(server.url, **{given: ca})
        assert send(color, configuration, WRITE, auth=ClientCredentials(safe.url)) == DONE
    assert server.requests[0].headers["authorization"] == "Bearer sesame-token"


@pytest.mark.parametrize("given", ["ssl_ca_cert", "ca_cert_data"])
def test_a_proxy_is_known_by_the_configured_ca(
    color: Color, server: Any, certificates: Certificates, given: str
) -> None:
    ca = str(certificates.here) if given == "ssl_ca_cert" else certificates.here.read_text()
    with speaking_tls(server.url, certificates.here) as safe:
        configuration = quick("http://agents.invalid", proxy=safe.url, **{given: ca})
        assert send(color, configuration, WRITE) == DONE
    assert server.requests[0].target == "http://agents.invalid/things"


def test_a_server_behind_a_proxy_is_known_by_the_configured_ca(
    color: Color, server: Any, certificates: Certificates
) -> None:
    with (
        speaking_tls(server.url, certificates.here) as safe,
        tunnels(certificates.here) as proxy,
    ):
        configuration = quick(safe.url, proxy=proxy.url, ssl_ca_cert=str(certificates.here))
        assert send(color, configuration, WRITE) == DONE
    assert proxy.tunnels == [safe.url.removeprefix("https://")]


def test_a_server_behind_a_proxy_proves_who_it_is(
    color: Color, server: Any, certificates: Certificates
) -> None:
    ca = str(certificates.elsewhere)
    with (
        speaking_tls(server.url, certificates.here) as impostor,
        tunnels() as proxy,
        pytest.raises(ApiConnectionError, match=r"(?i)certificate"),
    ):
        send(color, quick(impostor.url, proxy=proxy.url, ssl_ca_cert=ca), WRITE)
    assert not server.requests


# Which proxy


def test_an_issuer_that_needs_no_proxy_is_asked_directly(
    color: Color, server: Any, issuer: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTP_PROXY", server.url)
    environment.setenv("NO_PROXY", "127.0.0.1")
    assert (
        send(color, quick("http://agents.invalid"), WRITE, auth=ClientCredentials(issuer.url))
        == DONE
    )
    assert [request.target for request in issuer.requests] == ["/token"]
    assert [request.target for request in server.requests] == ["http://agents.invalid/things"]


def test_an_issuer_is_asked_by_the_proxy_where_the_server_needs_none(
    color: Color, server: Any, issuer: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTP_PROXY", issuer.url)
    environment.setenv("NO_PROXY", "127.0.0.1")
    assert (
        send(color, quick(server.url), WRITE, auth=ClientCredentials("http://issuer.invalid"))
        == DONE
    )
    assert [request.target for request in issuer.requests] == ["http://issuer.invalid/token"]
    assert [request.target for request in server.requests] == ["/things"]


def test_an_issuer_is_asked_by_the_proxy_for_its_own_scheme(
    color: Color, server: Any, issuer: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTPS_PROXY", issuer.url)
    issuer.faults.add(Fault.status(502), on="*")
    with pytest.raises(ApiConnectionError) as caught:
        send(color, quick(server.url), WRITE, auth=ClientCredentials("https://issuer.invalid"))
    asked = [(request.method, request.target) for request in issuer.requests]
    assert asked == [("CONNECT", "issuer.invalid:443")]
    assert not server.requests
    assert not caught.value.sent


def test_what_needs_no_proxy_may_be_told_by_host_and_port(
    color: Color, server: Any, issuer: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTP_PROXY", server.url)
    environment.setenv("NO_PROXY", issuer.url.removeprefix("http://"))
    url = server.url.replace("127.0.0.1", "localhost")
    assert send(color, quick(url), READ, auth=ClientCredentials(issuer.url)) == DONE
    assert [request.target for request in issuer.requests] == ["/token"]
    assert [request.target for request in server.requests] == [f"{url}/things/1"]


def test_a_proxy_of_the_configuration_is_for_everything(
    color: Color, server: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("NO_PROXY", "*")
    server.faults.add(Fault.respond(Response.json({"access_token": "sesame-token"})), times=1)
    configuration = quick("http://agents.invalid", proxy=server.url)
    assert (
        send(color, configuration, WRITE, auth=ClientCredentials("http://issuer.invalid")) == DONE
    )
    assert [request.target for request in server.requests] == [
        "http://issuer.invalid/token",
        "http://agents.invalid/things",
    ]
