"""Since when a node waits for what was started elsewhere."""

from __future__ import annotations

from functools import partial

from acp_langgraph.core.flow import Flow, Step
from acp_langgraph.quant.pace import QuantPolicy

__all__ = ["since"]


def since(policy: QuantPolicy) -> Flow[float]:
    """When the node began to wait: remembered, so that a restart does not begin anew."""
    return (yield from Step("begin", partial(_now, policy)))


def _now(policy: QuantPolicy) -> Flow[float]:
    yield from ()
    return policy.clock()
