"""Certificates and keys: what is wrong with them, and whose they are."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.authority import Authority
from support.colors import Color
from support.peers import certificate, speaking_tls
from support.sending import send

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call
from acp_langgraph.errors import ApiConnectionError, ApiValueError
from acp_langgraph.testing import FakeHTTPServer, Response

READ: Call[Any] = Call("read", "GET", "/things/1", dict)
WRITE: Call[Any] = Call("write", "POST", "/things", dict, body={"a": 1})
BROKEN = "-----BEGIN CERTIFICATE-----\nsesame\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def good(authority: Authority) -> Path:
    return authority.certificate("good")


@pytest.fixture
def server() -> Iterator[FakeHTTPServer]:
    with FakeHTTPServer(lambda _: Response.json({"done": True})) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One that says nothing about certificates."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


UNUSABLE: dict[str, dict[str, Any]] = {
    "no CA": {"ssl_ca_cert": "none.pem"},
    "a folder for a CA": {"ssl_ca_cert": "."},
    "an empty CA": {"ssl_ca_cert": "empty.pem"},
    "a broken CA": {"ssl_ca_cert": "broken.pem"},
    "an impossible name": {"ssl_ca_cert": "none\0.pem"},
    "broken data": {"ca_cert_data": BROKEN},
    "broken bytes": {"ca_cert_data": BROKEN.encode()},
    "other data": {"ca_cert_data": "sesame"},
    "other bytes": {"ca_cert_data": b"sesame"},
    "data beyond ASCII": {"ca_cert_data": "s\xebsame"},
    "bytes beyond ASCII": {"ca_cert_data": BROKEN.encode() + b"\xff"},
    "broken data beside a good CA": {"ssl_ca_cert": "good.pem", "ca_cert_data": "sesame"},
    "no certificate": {"client_cert": "none.pem"},
    "a broken certificate": {"client_cert": "broken.pem"},
    "no key": {"client_cert": ("good.pem", "none.pem")},
    "another's key": {"client_cert": ("good.pem", "other.pem")},
    "an encrypted key": {"client_cert": ("good.pem", "encrypted.pem")},
}


@pytest.fixture(scope="module")
def unusable(authority: Authority, good: Path) -> Path:
    """The folder with what `UNUSABLE` names."""
    folder = good.parent
    (folder / "broken.pem").write_text(BROKEN)
    (folder / "empty.pem").touch()
    certificate(folder, "other")
    subprocess.run(
        [
            *("openssl", "ec", "-in", good, "-aes128", "-passout", "pass:sesame"),
            *("-out", folder / "encrypted.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize("fault", UNUSABLE)
def test_what_cannot_be_used_is_named_by_its_setting_and_file_and_nothing_is_tried(
    color: Color, server: Any, unusable: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.chdir(unusable)
    setting, value = list(UNUSABLE[fault].items())[-1]
    configuration = ApiClientConfiguration(tls(server), **UNUSABLE[fault])
    with pytest.raises(ApiValueError, match=rf"^{setting}.* cannot be used: .") as caught:
        send(color, configuration, READ)
    named = value[-1] if isinstance(value, tuple) else value
    assert setting == "ca_cert_data" or named in str(caught.value)
    assert "sesame" not in str(caught.value)
    assert not server.connections


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("place", ["none.pem", "broken.pem"])
def test_what_the_environment_names_and_cannot_be_used_is_named_too(
    color: Color,
    server: Any,
    unusable: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    place: str,
) -> None:
    monkeypatch.setenv(variable, str(unusable / place))
    with pytest.raises(ApiValueError, match=rf"{variable}, .*{place}, cannot be used: ."):
        send(color, tls(server), READ)
    assert not server.connections


@pytest.mark.parametrize("given", ["file", "text", "bytes", "DER", "environment", "all"])
def test_a_server_is_known_by_the_authority_however_that_is_given(
    color: Color,
    server: Any,
    authority: Authority,
    good: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
) -> None:
    file, data = str(authority.file), authority.file.read_bytes()
    pem = data[data.index(b"-----BEGIN CERTIFICATE") :].decode()
    settings: dict[str, dict[str, Any]] = {
        "file": {"ssl_ca_cert": file},
        "text": {"ca_cert_data": pem},
        "bytes": {"ca_cert_data": pem.encode()},
        "DER": {"ca_cert_data": ssl.PEM_cert_to_DER_cert(pem)},
        "environment": {},
        "all": {"ssl_ca_cert": str(good), "ca_cert_data": pem},
    }
    if given == "environment":
        monkeypatch.setenv("SSL_CERT_FILE", file)
    with speaking_tls(server.url, good) as peer:
        configuration = ApiClientConfiguration(peer.url, **settings[given])
        assert send(color, configuration, READ) == [{"done": True}]


@pytest.mark.parametrize(
    ("made", "advice"),
    [
        ({"host": "DNS:elsewhere.invalid"}, "made out for another host"),
        ({"host": "IP:127.0.0.2"}, "made out for another host"),
        ({"begins": 2010, "ends": 2011}, "out of date"),
        ({"begins": 2080}, "begins in the future"),
    ],
    ids=["another name", "another address", "expired", "not yet valid"],
)
def test_each_fault_of_a_certificate_has_its_own_advice(
    color: Color, server: Any, authority: Authority, made: Any, advice: str
) -> None:
    bad = authority.certificate("bad", **made)
    with speaking_tls(server.url, bad) as peer, pytest.raises(ApiConnectionError) as caught:
        send(color, quick(peer.url, ssl_ca_cert=str(authority.file)), WRITE)
    assert advice in str(caught.value)
    assert "ssl_ca_cert" not in str(caught.value)
    assert not caught.value.sent
    assert not server.requests


def test_a_name_that_is_not_the_certificates_has_the_same_advice(
    color: Color, server: Any, authority: Authority, good: Path
) -> None:
    with speaking_tls(server.url, good) as peer:
        named = peer.url.replace("127.0.0.1", "localhost")
        with pytest.raises(ApiConnectionError, match="made out for another host"):
            send(color, quick(named, ssl_ca_cert=str(authority.file)), WRITE)


@pytest.mark.parametrize(
    ("signed", "advice"), [(True, "Who signed .* is not known here"), (False, "signed .* itself")]
)
def test_a_certificate_that_nobody_vouches_for_says_what_to_name(
    color: Color, server: Any, good: Path, tmp_path: Path, *, signed: bool, advice: str
) -> None:
    shown = good if signed else certificate(tmp_path, "own")
    with (
        speaking_tls(server.url, shown) as peer,
        pytest.raises(ApiConnectionError, match=advice) as caught,
    ):
        send(color, quick(peer.url), WRITE)
    assert "ssl_ca_cert" in str(caught.value)
    assert not caught.value.sent


def tls(server: FakeHTTPServer) -> str:
    return server.url.replace("http:", "https:")


def quick(url: str, **settings: Any) -> ApiClientConfiguration:
    return ApiClientConfiguration(url, retries=0, **settings)
