"""`acp-langgraph agents`."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from acp_langgraph.testing import FakeACPServer, FakeHTTPServer, Response
from acp_langgraph.testing.runs import FakeAgent


def test_the_agents_are_listed_with_what_they_can_do(declaring, run):
    told = run("agents", declaring.url)

    assert told.exit_code == 0
    assert f"3 agents at {declaring.url}" in told.stdout
    assert f"reviewer  1.2.0  {declaring.agent_ids['reviewer']}" in told.stdout
    assert "Corrects mails." in told.stdout
    assert "remembers threads, may ask (approve), calls webhooks" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80


def test_one_agent_is_shown_with_what_goes_in_and_comes_out(declaring, run):
    told = run("agents", declaring.url, "reviewer")

    assert told.exit_code == 0
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    for line in (
        "reviewer 1.2.0",
        "email string The mail, as it is to be sent.",
        'audience "general" or "technical"',
        "limit integer default 3",
        "corrected string or null default null",
        "tone string",
        "May ask: approve the question",
        "draft string optional",
        "the answer, with Command(resume=...)",
        "boolean",
    ):
        assert line in lines, told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80


def test_scripts_get_json(declaring, run):
    listed = json.loads(run("agents", declaring.url, "--json").stdout)
    shown = json.loads(run("agents", declaring.url, "reviewer", "--json").stdout)

    assert [each["name"] for each in listed] == ["reviewer", "shout", "open"]
    assert listed[0]["capabilities"]["interrupts"] is True
    assert shown["agent_id"] == listed[0]["agent_id"] == declaring.agent_ids["reviewer"]
    assert shown["specs"]["input"]["required"] == ["email", "audience"]


def test_an_agent_may_be_named_by_its_id(declaring, run):
    told = run("agents", declaring.url, declaring.agent_ids["shout"])

    assert told.stdout.startswith("shout  1.0.0")


def test_what_an_agent_says_of_itself_moves_no_cursor_and_is_no_markup(run):
    nested = {
        "type": "object",
        "properties": {"\x1b[2J[red]x[/red]": {"description": "\x07\x9b1m"}},
    }
    nasty = FakeAgent("n\x1b[31m", [], description="[bold]a[/bold]\x1b]0;title\x07", input=nested)
    with FakeACPServer(agents=[nasty]) as server:
        for arguments in (["agents", server.url], ["agents", server.url, server.agent_id]):
            told = run(*arguments).stdout
            assert "[bold]a[/bold]" in told
            assert not {"\x1b", "\x07", "\x9b"} & set(told)
        as_json = run("agents", server.url, "--json").stdout
    assert "\x1b" not in as_json


@pytest.mark.parametrize(
    "kids",
    [
        {"type": "array", "items": {"$ref": "#"}},
        {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    ],
)
def test_a_schema_inside_itself_is_shown_once(run, kids):
    again = {"type": "object", "properties": {"kids": kids}}
    with FakeACPServer(agents=[FakeAgent("tree", [], input=again)]) as server:
        told = run("agents", server.url, "tree").stdout

    assert told.count("kids") == 2  # the field, and what its items are


def test_an_unknown_agent_is_told_with_the_near_ones(declaring, run):
    told = run("agents", declaring.url, "revewer")

    assert (told.exit_code, told.stdout) == (1, "")
    assert "the server knows no agent named 'revewer'; it has 'reviewer'" in told.stderr
    assert f"acp-langgraph agents {declaring.url}" in told.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "wants credentials: give --api-key or --token"),
        (["--api-key", "wrong"], "does not accept these credentials"),
        (["--token", "wrong"], "does not accept these credentials"),
        (["--header", "x-api-key: made up"], None),
        (["--header", "x-api-key"], "a header is written NAME:VALUE"),
    ],
)
def test_credentials_come_from_options_or_the_environment(declaring, run, options, words):
    told = run("agents", declaring.url, *options, key=None)

    if words is None:
        assert told.exit_code == 0
    else:
        assert told.exit_code in {1, 2}
        assert words in told.stderr
        assert "wrong" not in told.stderr


def test_a_host_that_is_away_is_told(run, closed_port):
    told = run("agents", closed_port)

    assert told.exit_code == 1
    assert told.stderr.startswith(f"error: {closed_port} cannot be reached: ")
    assert "Is the server running" in told.stderr


def test_why_a_host_is_away_is_told_in_full(run):
    with FakeHTTPServer(lambda _: Response.text("")) as server:
        told = run("agents", server.url.replace("http:", "https:"))

    assert told.exit_code == 1
    assert " cannot be reached: [SSL: " in told.stderr
    assert "is it http:// instead of https://?" in told.stderr


def test_a_proxy_that_is_away_is_told(run, closed_port, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", closed_port)
    told = run("agents", "http://agents.invalid")

    assert told.exit_code == 1
    assert f"cannot be reached: cannot connect to the proxy {closed_port} (of the" in told.stderr


@pytest.mark.parametrize("host", ["http://h\n", "http://.svc", "http://127.1"])
def test_a_host_that_cannot_be_is_said_in_a_line(run, host):
    told = run("agents", host)

    assert told.exit_code == 2
    assert told.stderr.startswith("error: ")
    assert "host: " in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_certificate_file_that_cannot_be_used_is_said_in_a_line(run, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")

    told = run("agents", "https://127.0.0.1:9")

    assert told.exit_code == 1
    assert "SSL_CERT_FILE, /nowhere/ca.pem, cannot be used: " in told.stderr
    assert told.stderr.count("\n") == 1


def test_what_is_no_url_is_told(run):
    told = run("agents", "localhost")

    assert told.exit_code == 2
    assert "named by a URL such as" in told.stderr


@pytest.mark.parametrize("status", [200, 404, 405, 501])
def test_what_is_no_acp_server_is_told(run, status):
    class Pages(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"\x1b]0;title\x07")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        told = run("agents", url)
        server.shutdown()
        thread.join()

    assert told.exit_code == 1
    assert f"there is no ACP server at {url}" in told.stderr
    assert not {"\x1b", "\x07"} & set(told.stderr)


def test_a_server_that_lists_nothing_without_a_name_says_what_to_do(run):
    with FakeACPServer.like_agntcy({"two": []}) as server:
        told = run("agents", server.url)
        named = run("agents", server.url, "two")

    assert told.exit_code == 1
    assert "does not list its agents; name one" in told.stderr
    assert named.exit_code == 0


def test_a_descriptor_without_an_end_is_told(run):
    schema: dict[str, object] = {}
    for _ in range(300):
        schema = {"properties": {"a": schema}}
    with FakeACPServer(agents=[FakeAgent("deep", [], input=schema)]) as server:
        listed = run("agents", server.url)
        shown = run("agents", server.url, "deep")

    assert "gives no descriptor" in listed.stdout
    assert shown.exit_code == 1
    assert "Invalid JSON: recursion limit exceeded" in shown.stderr


@pytest.mark.parametrize("broken", [False, True])
def test_what_a_server_says_is_told_without_the_key_that_it_repeats(run, broken):
    def repeat(request):
        said = f"no key is {request.headers['x-api-key']}"
        if broken:
            return Response.recorded([f"HTTP/1.1 200 OK\r\n{said}\r\n\r\n".encode()])
        return Response.text(said, 501)

    with FakeHTTPServer(repeat) as server:
        told = run("agents", server.url, "--api-key", "sesame-key")

    assert told.exit_code == 1
    assert server.url in told.stderr
    assert "sesame" not in told.output
