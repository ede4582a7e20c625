"""Finding text, tool uses and ids in answers of every form."""

from __future__ import annotations

from typing import Any

import pytest

from acp_langgraph.quant.models import ChatResponse
from acp_langgraph.quant.reading import answer_text, orchestration_id, polled_id, tool_uses

HOST = "https://q.example/api/v3/organizations/acme/ai"
USE = {"toolUseId": "u", "name": "draw"}


@pytest.mark.parametrize(
    "answer",
    [
        {"response": {"content": "hi"}},
        {"response": {"content": [{"text": "h"}, {"toolUse": {}}, {"text": "i"}]}},
        {"response": {"text": "hi"}},
        {"response": "hi"},
        {"content": "hi"},
        {"text": "hi"},
    ],
)
def test_the_text_is_found(answer: Any) -> None:
    assert answer_text(ChatResponse.model_validate(answer)) == "hi"


@pytest.mark.parametrize(
    "answer",
    [
        {"response": {"toolUse": USE}},
        {"response": {"toolUse": [USE]}},
        {"toolUse": USE},
        {"response": {"content": "", "toolUse": [USE, "nonsense", None]}},
    ],
)
def test_tool_uses_are_found_as_object_and_as_list(answer: Any) -> None:
    (use,) = tool_uses(ChatResponse.model_validate(answer))
    assert (use.tool_use_id, use.name) == ("u", "draw")


@pytest.mark.parametrize("answer", [{}, {"response": None}, {"response": {"toolUse": []}}])
def test_an_answer_without_anything_is_no_error(answer: Any) -> None:
    read = ChatResponse.model_validate(answer)
    assert (answer_text(read), tool_uses(read), orchestration_id(read, HOST)) == ("", [], None)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("/ai/chat/executions/a%3D", ("chat/executions", "a=")),
        ("chat/executions/a", ("chat/executions", "a")),
        (f"{HOST}/tools/executions/x?y=1", ("tools/executions", "x")),
        ("https://q.example:443/ai/chat/executions/a", ("chat/executions", "a")),
        ("https://q.example:444/ai/chat/executions/a", ("", "")),
        ("https://q.example.evil/ai/chat/executions/a", ("", "")),
        ("https://u@q.example/ai/chat/executions/a", ("chat/executions", "a")),
        ("javascript:/chat/executions/a", ("", "")),
        ("/ai/agents/x", ("", "")),
        ("", ("", "")),
    ],
)
def test_only_the_id_of_a_poll_url_is_taken_and_only_of_the_configured_origin(
    url: str, found: tuple[str, str]
) -> None:
    assert polled_id(url, HOST) == found
