"""What is given to an ACP operation and to no other protocol's."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field

from acp_langgraph.core.arguments import Query, as_json
from acp_langgraph.core.sendable import plain

__all__ = ["CancelAction", "Parameters", "answered"]

CancelAction: TypeAlias = Literal["interrupt", "rollback"]


def answered(answer: Any) -> Any:
    """The JSON value to send for the answer to an interrupt.

    Raises:
        ApiValueError: If it cannot be sent as JSON.
    """
    return as_json("the answer", plain, answer, "answer")


class Parameters(Query):
    """Every query parameter of the protocol."""

    wait: bool | None = None
    action: CancelAction | None = None
    limit: int | None = Field(default=None, ge=0)
    offset: int | None = Field(default=None, ge=0)
    before: str | None = Field(default=None, min_length=1)
