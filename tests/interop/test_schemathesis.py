"""Schemathesis against a running server: whatever is sent, the answer is a documented one.

A few examples per operation by default. For a longer run:

    SCHEMATHESIS_EXAMPLES=200 python -m pytest tests/interop/test_schemathesis.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from support.graphs import Gate, asking, echo, failing, fan_out, streaming

from acp_langgraph.server import Limits, RunningServer, WebhookPolicy, serve
from acp_langgraph.server.openapi import openapi

schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")

from hypothesis import HealthCheck, Phase, settings  # noqa: E402 - comes with schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402 - see above

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "5"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SCHEMATHESIS_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# What an agent takes is its own affair: a body that fits the protocol may not fit the agent.
UNSUITABLE = [positive_data_acceptance]

# Schemathesis draws random numbers where Hypothesis would rather not have it.
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")

schema = schemathesis.openapi.from_dict(openapi())


@schema.hook
def map_body(_: Any, body: Any) -> Any:
    """Let nobody wait for a run that is to start much later."""
    if isinstance(body, dict) and type(body.get("after_seconds")) is int:
        body["after_seconds"] = 0
    return body


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    gate = Gate()
    gate.open()
    agents = {
        "asking": asking("ok?"),
        "echo": echo(),
        "failing": failing(),
        "many": fan_out(2),
        "streaming": streaming(gate),
    }
    nowhere = WebhookPolicy(allow=["http://127.0.0.1:9"])
    with serve(agents, limits=Limits(run_seconds=5), webhooks=nowhere) as server:
        yield server


@schema.parametrize()
@SETTINGS
def test_every_answer_is_a_documented_one(server, case):
    case.call_and_validate(base_url=server.url, excluded_checks=UNSUITABLE, timeout=20)


def test_every_answer_is_a_documented_one_along_chains_of_operations(server):
    machine = schema.as_state_machine()

    class Chains(machine):
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"base_url": server.url, "timeout": 20}

        def validate_response(self, response: Any, case: Any, *_: Any, **__: Any) -> None:
            case.validate_response(response, excluded_checks=UNSUITABLE)

    Chains.run(settings=settings(SETTINGS, stateful_step_count=8))
