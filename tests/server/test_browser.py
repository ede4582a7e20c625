"""What a browser sends for a page of somebody else is refused."""

from __future__ import annotations

import pytest
from support.graphs import echo

from acp_langgraph.server import create_app

RUN = {"input": {"text": "hi"}}
JSON = "application/json"


@pytest.fixture
def client(serving):
    return serving({"echo": echo()})


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
@pytest.mark.parametrize("path", ["/runs", "/runs/search", "/threads"])
def test_a_body_that_is_not_json_is_refused(client, kind, path):
    refused = client.post(path, content=b"{}", headers={"content-type": kind})

    assert refused.status_code == 415
    assert client.post("/runs/search", json={}).json() == []


@pytest.mark.parametrize("kind", [JSON, "Application/JSON; charset=utf-8", "application/a+json"])
def test_json_is_taken_however_it_is_spelt(client, kind):
    headers = {"content-type": kind}

    assert client.post("/runs/search", content=b"{}", headers=headers).is_success


def test_a_client_that_says_nothing_of_its_body_is_no_browser(client):
    plain = client.post("/runs/search", content=b"{}")
    page = client.post("/runs/search", content=b"{}", headers={"sec-fetch-site": "same-origin"})

    assert (plain.status_code, page.status_code) == (200, 415)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://other.example"},
        {"origin": "http://localhost:1"},
        {"origin": "null"},
        {"origin": "file://"},
        {"origin": "https://other.example", "sec-fetch-site": "none"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_a_page_of_another_site_is_refused(client, headers, method):
    refused = client.request(method, "/runs/search", headers=headers)

    assert refused.status_code == 403
    assert not [name for name in refused.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "host",
    [
        "other.example",
        "127.0.0.1.other.example",
        "localhost.other.example",
        "a@localhost",
        "",
        "[1",
    ],
)
@pytest.mark.parametrize("path", ["/runs/search", "/openapi.json", "/agents/search"])
def test_a_name_that_is_not_ours_leads_nowhere(client, host, path):
    refused = client.request("POST", path, json={}, headers={"host": host})

    assert refused.status_code == 421


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.:8000", "127.0.0.1:1", "127.9.9.9", "[::1]:2"]
)
def test_this_machine_is_reached_by_each_of_its_names(client, host):
    assert client.get("/openapi.json", headers={"host": host}).is_success


def test_our_own_page_may_ask(client):
    headers = {"origin": client.server.url, "sec-fetch-site": "same-origin"}

    assert client.post("/runs/search", json={}, headers=headers).is_success


@pytest.mark.parametrize("host", ["agents.example", "Agents.Example:8443"])
def test_a_name_that_is_allowed_is_ours_too(serving, host):
    client = serving({"echo": echo()}, allow_hosts=["Agents.example"])
    own = {"host": host, "origin": "https://agents.example"}

    assert client.post("/runs/search", json={}, headers=own).is_success
    assert client.get("/openapi.json", headers={"host": "other.example"}).status_code == 421
    other = {"host": host, "origin": "https://other.example"}
    assert client.post("/runs/search", json={}, headers=other).status_code == 403


def test_any_name_may_be_allowed(serving):
    client = serving({"echo": echo()}, allow_hosts=["*"])

    assert client.get("/openapi.json", headers={"host": "other.example"}).is_success


def test_who_has_a_key_is_no_page_of_others(serving):
    client = serving({"echo": echo()}, api_key="secret", headers={"x-api-key": "secret"})
    elsewhere = {"host": "agents.example", "origin": "https://app.example"}

    assert client.post("/runs/search", json={}, headers=elsewhere).is_success
    text = {"content-type": "text/plain"}
    assert client.post("/runs/search", content=b"{}", headers=text).status_code == 415


def test_who_needs_no_key_is_judged_as_if_there_were_none(serving):
    client = serving({"echo": echo()}, api_key=lambda key: True)

    assert client.post("/runs/search", json={}).is_success
    other = {"origin": "https://other.example"}
    assert client.post("/runs/search", json={}, headers=other).status_code == 403


@pytest.mark.parametrize("host", ["http://a.example", "a.example:80", "a.example/path", "", "a@b"])
def test_what_is_no_host_cannot_be_allowed(host):
    with pytest.raises(ValueError, match="is no host"):
        create_app({"echo": echo()}, allow_hosts=[host])


@pytest.mark.parametrize("key", ["schlüssel", "a\nb", "a\x7fb"])
def test_a_key_that_no_header_can_carry_is_refused_at_the_start(key):
    with pytest.raises(ValueError, match="no header can carry"):
        create_app({"echo": echo()}, api_key=key)


def test_answers_cannot_be_embedded_by_other_sites(client):
    headers = client.post("/runs/search", json={}).headers

    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_password_that_a_browser_brings_along_is_no_key(serving):
    client = serving({"echo": echo()}, api_key=lambda key: True)
    other = {"origin": "https://other.example", "authorization": "Basic YTpi"}

    assert client.post("/runs/search", json={}, headers=other).status_code == 403
