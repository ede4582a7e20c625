"""The fake bridge keeps to the real one's contract, seen with a plain HTTP client."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from acp_langgraph.testing import BRIDGE_ERRORS, BridgeQuery, BridgeService, FakeBridge, Response

NLQ = {"content-type": "application/nlq"}


def refuse(query: BridgeQuery) -> Response:
    return Response.json({"error": "bad key"}, 401)


def post(bridge: FakeBridge, path: str, text: str = "hi", **headers: str) -> httpx.Response:
    return httpx.post(bridge.url + path, content=text.encode(), headers={**NLQ, **headers})


def test_a_service_that_refuses_is_put_into_words_with_status_200() -> None:
    with FakeBridge({"crm": refuse}) as bridge:
        answer = post(bridge, "/crm/anything/below/", authorization="Bearer k")
        assert (answer.status_code, answer.headers["content-type"]) == (
            200,
            "text/plain; charset=utf-8",
        )
        assert "401 Unauthorized" in answer.text
        assert "bad key" in answer.text
        (query,) = bridge.queries
        assert (query.text, query.service, query.authorization) == ("hi", "crm", "Bearer k")
        assert "Bearer k" not in repr(query)


@pytest.mark.parametrize(
    "content_type", ["application/nlq; charset=utf-8", "Application/NLQ", "text/plain"]
)
def test_without_the_exact_content_type_the_body_goes_to_the_service_unread(
    content_type: str,
) -> None:
    with FakeBridge({"crm": refuse}) as bridge:
        answer = httpx.post(
            f"{bridge.url}/crm/", content="hi", headers={"content-type": content_type}
        )
        assert answer.status_code == 415
        assert not bridge.queries


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/crm", 404),
        ("/none/", 404),
        ("/api-bridge-agent/openapis/", 500),
        ("/api-bridge-agent/mcp/", 500),
        ("/aba/", 404),
    ],
)
def test_the_slashes_matter(path: str, status: int) -> None:
    with FakeBridge({"crm": refuse}) as bridge:
        assert post(bridge, path).status_code == status


def test_the_list_of_services_is_made_once_of_those_that_were_asked() -> None:
    def mailer(query: BridgeQuery) -> str:
        return "mailed"

    services: Any = {
        "crm": BridgeService(refuse, fits=lambda text: "customer" in text),
        "mail": BridgeService(mailer, fits=lambda text: "mail" in text),
    }
    with FakeBridge(services) as bridge:
        post(bridge, "/mail/", "mail it")
        assert post(bridge, "/api-bridge-agent/openapis", "mail it").text == "mailed"
        post(bridge, "/crm/", "a customer")
        late = post(bridge, "/api-bridge-agent/openapis", "a customer")
        assert (late.status_code, late.text.strip()) == BRIDGE_ERRORS["no_service"]
        assert httpx.get(f"{bridge.url}/api-bridge-agent/info").json()["openapi_services"] == {
            "tyk-mail-id": {"name": "mail"}
        }
        bridge.restart(forget=True)
        assert post(bridge, "/api-bridge-agent/openapis", "a customer").status_code == 200


def test_tools_answer_once_they_are_initialized() -> None:
    with FakeBridge({}, tools=lambda query: query.text.upper()) as bridge:
        assert post(bridge, "/api-bridge-agent/mcp").status_code == 500
        assert httpx.get(f"{bridge.url}/api-bridge-agent/mcp/init").text.startswith("MCP Server(s)")
        assert post(bridge, "/api-bridge-agent/nlq").text == "HI"


def test_a_gateway_may_want_a_key_and_a_limit() -> None:
    with FakeBridge({"crm": refuse}, apikey="k", max_request_size=3) as bridge:
        assert post(bridge, "/crm/").status_code == 403
        assert post(bridge, "/crm/", "long", apikey="k").status_code == 413
        assert post(bridge, "/crm/", apikey="k").status_code == 200


@pytest.mark.parametrize("name", BRIDGE_ERRORS)
def test_every_error_is_a_line_of_text(name: str) -> None:
    answer = FakeBridge.error(name)
    assert (answer.status, answer.body) == (
        BRIDGE_ERRORS[name][0],
        f"{BRIDGE_ERRORS[name][1]}\n".encode(),
    )
