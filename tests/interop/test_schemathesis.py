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

LONG = "SCHEMATHESIS_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "5"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not LONG,
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


VARIANTS = {
    "open": ({}, {}),
    "key": ({"api_key": "secret"}, {"x-api-key": "secret", "host": "agents.example"}),
    "host": ({"allow_hosts": ["agents.example"]}, {"host": "agents.example"}),
}
"""How the server is reached: its settings, and what every request brings along."""


@pytest.fixture(scope="module", params=list(VARIANTS) if LONG else ["open"])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
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
    settings, headers = VARIANTS[request.param]
    limits = Limits(run_seconds=5, wait_seconds=5)
    with serve(agents, limits=limits, webhooks=nowhere, **settings) as server:
        server.headers = headers
        yield server


@schema.parametrize()
@SETTINGS
def test_every_answer_is_a_documented_one(server, case):
    case.call_and_validate(
        base_url=server.url, headers=server.headers, excluded_checks=UNSUITABLE, timeout=20
    )


def test_every_answer_is_a_documented_one_along_chains_of_operations(server):
    machine = schema.as_state_machine()

    class Chains(machine):
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"base_url": server.url, "headers": server.headers, "timeout": 20}

        def validate_response(self, response: Any, case: Any, *_: Any, **__: Any) -> None:
            case.validate_response(response, excluded_checks=UNSUITABLE)

    # What comes next depends on what a server with a memory answers. Hypothesis takes that for
    # flakiness as soon as it goes the same way twice; so each of many chains is one of its own.
    chains, each = (EXAMPLES, 1) if LONG else (1, EXAMPLES)
    for _ in range(chains):
        Chains.run(settings=settings(SETTINGS, stateful_step_count=8, max_examples=each))
