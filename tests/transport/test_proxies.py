"""Which proxy a request goes through, and what is said of one that there cannot be."""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.authority import Authority
from support.colors import Color
from support.peers import speaking_tls
from support.sending import send
from support.socks import socks_proxy

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call
from acp_langgraph.errors import ApiConnectionError, ApiValueError
from acp_langgraph.testing import FakeHTTPServer, Fault, RecordedRequest, Response

READ: Call[Any] = Call("read", "GET", "/things/1", dict)
EXTRA = r'a SOCKS proxy needs an extra: pip install "acp-langgraph\[socks\]"'


def by_name(request: RecordedRequest) -> Response:
    return Response.json({"target": request.target})


@pytest.fixture
def server() -> Iterator[FakeHTTPServer]:
    with FakeHTTPServer(by_name) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[FakeHTTPServer]:
    """A proxy, which answers by itself."""
    with FakeHTTPServer(by_name) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One that names no proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def quick(url: str, **settings: Any) -> ApiClientConfiguration:
    return ApiClientConfiguration(url, retries=0, **settings)


@pytest.mark.parametrize("said", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "setting"])
@pytest.mark.parametrize("form", ["{}", "http://{}", "joe:sesame@{}", "http://joe:sesame@{}/"])
def test_a_proxy_may_be_named_without_a_scheme(
    color: Color, proxy: Any, environment: pytest.MonkeyPatch, said: str, form: str
) -> None:
    named = form.format(proxy.url.removeprefix("http://"))
    if said != "setting":
        environment.setenv(said, named)
    settings = {"proxy": named} if said == "setting" else {}
    send(color, quick("http://agents.invalid", **settings), READ)
    (request,) = proxy.requests
    assert request.target == "http://agents.invalid/things/1"
    shown = request.headers.get("proxy-authorization")
    assert shown == ("Basic am9lOnNlc2FtZQ==" if "joe" in form else None)  # joe:sesame


NO_PROXIES = [
    *("ftp://joe:sesame@proxy", "socks4://joe:sesame@proxy", "http://", "http://joe:sesame@"),
    *("http://joe:sesame@proxy:port", "joe:sesame@proxy:port", "joe:sesame@pro xy"),
    *("http://joe:ses/ame@proxy:3128", "http://joe:sesame@.proxy", "http://joe:sesame@proxy\n:1"),
]


@pytest.mark.parametrize("named", NO_PROXIES)
def test_a_setting_that_can_be_no_proxy_is_refused_without_showing_it(named: str) -> None:
    with pytest.raises(ApiValueError, match="proxy: a proxy is named by a URL such as") as caught:
        quick("http://agents.invalid", proxy=named)
    assert not re.search("joe|ses", str(caught.value))


@pytest.mark.parametrize("named", NO_PROXIES)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_variable_that_can_be_no_proxy_is_named_without_its_value(
    color: Color, environment: pytest.MonkeyPatch, variable: str, named: str
) -> None:
    environment.setenv(variable, named)
    with pytest.raises(ApiValueError, match=rf"environment \({variable}\) names is no U") as caught:
        send(color, quick("http://agents.invalid"), READ)
    assert not re.search("joe|ses", str(caught.value))


@pytest.mark.parametrize(
    "names",
    [
        *("127.0.0.1", "127.0.0.1:{port}", " x.invalid , 127.0.0.1:{port}", "*"),
        *("http://127.0.0.1", "http://127.0.0.1:{port}", "all://127.0.0.1:{port}", "all://*"),
    ],
)
def test_what_no_proxy_names_is_reached_directly(
    color: Color, server: Any, proxy: Any, environment: pytest.MonkeyPatch, names: str
) -> None:
    environment.setenv("HTTP_PROXY", proxy.url)
    environment.setenv("NO_PROXY", names.format(port=server.port))
    assert send(color, server.url, READ) == [{"target": "/things/1"}]
    assert not proxy.requests


@pytest.mark.parametrize(
    "names", ["", "127.0.0.1:1", "27.0.0.1", "https://127.0.0.1", "http://127.0.0.1:1", "http://["]
)
def test_what_no_proxy_does_not_name_is_reached_by_the_proxy(
    color: Color, server: Any, proxy: Any, environment: pytest.MonkeyPatch, names: str
) -> None:
    environment.setenv("HTTP_PROXY", proxy.url)
    environment.setenv("NO_PROXY", names)
    assert send(color, server.url, READ) == [{"target": f"{server.url}/things/1"}]
    assert not server.requests


@pytest.mark.parametrize(
    ("names", "directly"),
    [
        *((".invalid", True), ("invalid", True), ("A.INVALID", True), ("b.invalid", False)),
        *(("nvalid", False), ("all://*.invalid", True), ("all://*invalid", True)),
        ("all://invalid", False),
    ],
)
def test_what_no_proxy_names_means_all_below_it(
    color: Color, proxy: Any, environment: pytest.MonkeyPatch, names: str, *, directly: bool
) -> None:
    environment.setenv("HTTP_PROXY", proxy.url)
    environment.setenv("NO_PROXY", names)
    if directly:
        with pytest.raises(ApiConnectionError, match="There is no host of that name"):
            send(color, quick("http://a.invalid"), READ)
    else:
        send(color, quick("http://a.invalid"), READ)
    assert len(proxy.requests) == (not directly)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("said", ["setting", "environment"])
def test_a_socks_proxy_without_the_extra_is_refused_in_a_sentence(
    color: Color, environment: pytest.MonkeyPatch, scheme: str, said: str
) -> None:
    environment.setitem(sys.modules, "aiohttp_socks", None)
    environment.setitem(sys.modules, "socksio", None)
    named = f"{scheme}://joe:sesame@127.0.0.1:9"
    if said == "environment":
        environment.setenv("ALL_PROXY", named)
    settings = {"proxy": named} if said == "setting" else {}
    with pytest.raises(ApiValueError, match=EXTRA) as caught:
        send(color, quick("http://agents.invalid", **settings), READ)
    assert "sesame" not in str(caught.value)


@pytest.fixture
def extra() -> None:
    for module in ("aiohttp_socks", "socksio"):
        pytest.importorskip(module, reason="it is in the extra socks")


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("said", ["setting", "environment"])
def test_a_socks_proxy_is_asked_for_the_name_with_its_own_credentials(
    color: Color, server: Any, environment: pytest.MonkeyPatch, scheme: str, said: str
) -> None:
    url = f"http://agents.invalid:{server.port}"
    with socks_proxy() as socks:
        named = socks.url.replace("socks5://", f"{scheme}://joe:let%20me@")
        if said == "environment":
            environment.setenv("ALL_PROXY", named)
        settings = {"proxy": named} if said == "setting" else {}
        assert send(color, quick(url, **settings), READ, READ) == [{"target": "/things/1"}] * 2
    assert socks.asked == [("agents.invalid", server.port)]
    assert socks.shown == [("joe", "let me")]


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize("trusted", [True, False])
def test_a_server_behind_a_socks_proxy_proves_who_it_is(
    color: Color, server: Any, tmp_path: Path, *, trusted: bool
) -> None:
    authority = Authority(tmp_path)
    good = authority.certificate("good", host="DNS:agents.invalid")
    settings = {"ssl_ca_cert": str(authority.file)} if trusted else {}
    with socks_proxy() as socks, speaking_tls(server.url, good) as peer:
        url = peer.url.replace("127.0.0.1", "agents.invalid")
        configuration = quick(url, proxy=socks.url, **settings)
        if trusted:
            assert send(color, configuration, READ) == [{"target": "/things/1"}]
        else:
            with pytest.raises(ApiConnectionError, match="signed") as caught:
                send(color, configuration, READ)
            assert not caught.value.sent
    assert len(server.requests) == trusted


@pytest.mark.usefixtures("extra")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # httpcore leaves its socket open
@pytest.mark.parametrize("fault", ["refuses", "is away", "speaks HTTP"])
def test_what_a_socks_proxy_does_not_reach_was_not_sent(
    color: Color, server: Any, proxy: Any, fault: str
) -> None:
    with socks_proxy(refuses=fault == "refuses") as socks:
        named = {
            "is away": "socks5://127.0.0.1:9",
            "speaks HTTP": f"socks5://127.0.0.1:{proxy.port}",
        }
        with pytest.raises(ApiConnectionError, match="cannot connect") as caught:
            send(color, quick(server.url, proxy=named.get(fault, socks.url)), READ)
    assert not caught.value.sent
    assert not server.requests
    del caught
    gc.collect()


def told_of(color: Color, configuration: ApiClientConfiguration) -> str:
    """What an error says of the exchange that it ended."""
    with pytest.raises(ApiConnectionError) as caught:
        send(color, configuration, READ)
    assert not re.search("joe|sesame", str(caught.value))
    assert not caught.value.sent
    return str(caught.value).partition("/things/1: ")[2]


REFUSED = f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"
AWAY = f"{REFUSED}. Is the proxy running, and is this its host and port?"


@pytest.mark.parametrize("url", ["http://agents.invalid", "https://agents.invalid"])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_a_proxy_that_is_away_is_named_with_its_setting_and_without_its_credentials(
    color: Color, url: str, scheme: str
) -> None:
    if scheme == "socks5":
        for module in ("aiohttp_socks", "socksio"):
            pytest.importorskip(module, reason="it is in the extra socks")
    told = told_of(color, quick(url, proxy=f"{scheme}://joe:sesame@127.0.0.1:9"))
    proxy = f"the proxy {scheme}://127.0.0.1:9 (of the setting proxy)"
    assert told == f"cannot connect to {proxy}: {AWAY}"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_that_is_away_is_named_with_its_variable_and_how_to_go_without_it(
    color: Color, environment: pytest.MonkeyPatch, variable: str
) -> None:
    environment.setenv(variable, "joe:sesame@127.0.0.1:9")
    proxy = f"the proxy http://127.0.0.1:9 (of the environment variable {variable})"
    without = "NO_PROXY=agents.invalid goes without it"
    told = told_of(color, quick("http://agents.invalid"))
    assert told == f"cannot connect to {proxy}: {AWAY} {without}"


def test_a_proxy_of_no_known_name_is_told_from_the_server(color: Color) -> None:
    told = told_of(color, quick("http://agents.invalid", proxy="joe:sesame@proxy.invalid:3128"))
    assert told.startswith("cannot connect to the proxy http://proxy.invalid:3128 (of the setting")
    assert "no host of that name" in told


@pytest.mark.parametrize(
    ("status", "says"), [(407, "The proxy wants credentials"), (502, "502 Bad Gateway")]
)
def test_what_a_proxy_does_not_reach_is_told_as_its_word(
    color: Color, proxy: Any, status: int, says: str
) -> None:
    proxy.faults.add(Fault.status(status), on="*")
    named = proxy.url.replace("//", "//joe:sesame@")
    told = told_of(color, quick("https://agents.invalid", proxy=named))
    assert told.startswith(
        f"cannot connect through the proxy {proxy.url} (of the setting proxy): {status}"
    )
    assert says in told


def test_a_proxy_that_breaks_off_is_named_and_no_scheme_is_suspected(
    color: Color, proxy: Any
) -> None:
    proxy.faults.add(Fault.lose_answer(), on="*")
    with pytest.raises(ApiConnectionError, match="broke through the proxy http://127") as caught:
        send(color, quick("http://agents.invalid", proxy=proxy.url), READ)
    assert "https" not in str(caught.value)


def test_who_is_behind_a_proxy_is_the_server_of_which_a_certificate_is_told(
    color: Color, server: Any, tmp_path: Path
) -> None:
    pytest.importorskip("aiohttp_socks", reason="it is in the extra socks")
    good = Authority(tmp_path).certificate("good", host="DNS:agents.invalid")
    with socks_proxy() as socks, speaking_tls(server.url, good) as peer:
        url = peer.url.replace("127.0.0.1", "agents.invalid")
        told = told_of(color, quick(url, proxy=socks.url))
    assert told.startswith(
        f"cannot connect through the proxy {socks.url} (of the setting proxy): [SSL"
    )
    assert "Who signed the server's certificate" in told
