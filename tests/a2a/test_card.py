"""What is read in cards, and where requests go for it."""

from __future__ import annotations

from typing import Any

import pytest

from acp_langgraph.a2a.calls import HttpJson, JsonRpc, OldJsonRpc
from acp_langgraph.a2a.card import AgentCard, described
from acp_langgraph.a2a.models import made
from acp_langgraph.a2a.peer import bindings_of
from acp_langgraph.errors import NodeConfigurationError, UnknownAgentError

BASE = "https://agents.example/baker"


def card(*interfaces: dict[str, Any], **more: Any) -> AgentCard:
    given = {"name": "baker", "supportedInterfaces": list(interfaces), **more}
    return made(AgentCard, given, "the card")


def interface(url: str, binding: str = "JSONRPC", version: str = "1.0") -> dict[str, Any]:
    return {"url": url, "protocolBinding": binding, "protocolVersion": version}


def ways(found: AgentCard, base: str = BASE) -> list[tuple[type, str]]:
    return [(type(each), each.where) for each in bindings_of(found, base)]


def test_the_interface_that_a_card_prefers_is_taken_and_1_0_before_0_3() -> None:
    rest, old = interface(f"{BASE}/rest", "HTTP+JSON"), interface(f"{BASE}/old", version="0.3")
    grpc = interface("agents.example:443", "GRPC")
    assert ways(card(grpc, old, rest, interface(f"{BASE}/"))) == [
        (HttpJson, "/rest"),
        (JsonRpc, "/"),
        (JsonRpc, "/old"),
        (OldJsonRpc, "/old"),
    ]


def test_a_card_of_0_3_says_where_the_agent_is_in_its_own_words() -> None:
    old = {"name": "baker", "url": BASE, "protocolVersion": "0.3.0"}
    assert ways(made(AgentCard, old, "")) == [(OldJsonRpc, "")]
    more = {
        "preferredTransport": "GRPC",
        "additionalInterfaces": [{"url": f"{BASE}/a", "transport": "JSONRPC"}],
    }
    assert ways(made(AgentCard, {**old, **more}, "")) == [(OldJsonRpc, "/a")]


@pytest.mark.parametrize(
    "url",
    [
        "http://agents.example/baker/a2a",  # TLS ends before it
        "http://localhost:9999/baker/a2a",
        "http://0.0.0.0/baker/a2a",
        "http://[::1]:80/baker/a2a",
    ],
)
def test_an_agent_that_says_that_it_is_on_this_machine_is_asked_at_the_configured_host(
    url: str,
) -> None:
    assert ways(card(interface(url))) == [(JsonRpc, "/a2a")]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/baker/a2a",
        "https://agents.example:8443/baker/a2a",
        "https://agents.example@evil.example/baker/a2a",
        "https://agents.example/other",
        "https://agents.example/bakery",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "//evil.example/baker",
        "https://agents.example/baker/a b",
        "https://agents.example/baker/\r\nx-evil: 1",
        "https://[::1/baker",
        "https://agents.example:port/baker",
        "",
    ],
)
def test_nothing_is_sent_to_where_else_a_card_points(url: str) -> None:
    with pytest.raises(NodeConfigurationError, match=r"agents\.example/baker only|offers"):
        bindings_of(card(interface(url)), BASE, "node")


def test_what_is_not_spoken_is_named() -> None:
    with pytest.raises(NodeConfigurationError, match=r"offers GRPC 1\.0; what"):
        bindings_of(card(interface("https://agents.example/baker", "GRPC")), BASE)
    with pytest.raises(NodeConfigurationError, match="no interface"):
        bindings_of(card(), BASE)


@pytest.mark.parametrize(
    ("schemes", "required", "words"),
    [
        (
            {"k": {"apiKeySecurityScheme": {"location": "header", "name": "X-API-Key"}}},
            {"securityRequirements": [{"schemes": {"k": {}}}]},
            "an API key in the header X-API-Key",
        ),
        (
            {
                "k": {"type": "apiKey", "in": "query", "name": "key"},
                "b": {"type": "http", "scheme": "Bearer"},
            },
            {"security": [{"k": []}, {"b": []}]},
            "an API key in the query key or Authorization: Bearer",
        ),
        (
            {"o": {"oauth2SecurityScheme": {}}, "m": {"mtlsSecurityScheme": {}}},
            {"securityRequirements": [{"schemes": {"o": {"list": ["x"]}, "m": {}}}]},
            "a token of OAuth 2.0 and a client's certificate (mutual TLS)",
        ),
        ({}, {"security": [{"unknown": []}]}, "unknown"),
        ({"k": 7}, {"security": [{"k": []}, 7, {"schemes": 7}], "securityRequirements": None}, "k"),
        ({}, {}, ""),
    ],
)
def test_what_an_agent_wants_to_be_shown_is_put_into_words(
    schemes: Any, required: Any, words: str
) -> None:
    assert card(securitySchemes=schemes, **required).wants == words


def test_a_skill_is_found_by_its_id_or_its_name_and_what_there_is_is_named() -> None:
    bakes = card(
        skills=[{"id": "bake", "name": "Baking", "inputModes": ["text/plain"]}, {"id": "eat"}]
    )
    assert bakes.of_skill("bake") == bakes.of_skill("Baking")
    with pytest.raises(UnknownAgentError, match="'cook'; it has bake, eat"):
        bakes.of_skill("cook")
    assert described(bakes, "bake").descriptor.specs.input == {"type": "string"}
    assert described(bakes, "eat").descriptor.specs.input == {}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": None, "skills": None, "capabilities": None, "securitySchemes": None},
        {"supportedInterfaces": [{}]},
        {"name": "\x1b[31m" + "x" * 10_000, "description": "\r\n", "version": None},
    ],
)
def test_a_card_of_little_sense_is_read_and_offers_nothing(given: Any) -> None:
    found = made(AgentCard, given, "the card")
    assert len(described(found).name) <= 200
    assert described(found).name.isprintable()
    with pytest.raises(NodeConfigurationError):
        bindings_of(found, BASE)
