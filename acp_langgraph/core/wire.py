"""What every protocol's models have in common: tolerant reading, strict writing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["Wire", "dump", "with_zone"]


class Wire(BaseModel):
    """Base of everything on the wire: unknown fields are kept."""

    model_config = ConfigDict(
        extra="allow",
        hide_input_in_errors=True,
        protected_namespaces=(),
        defer_build=True,  # most programs use a few of the models
        ser_json_inf_nan="constants",
    )


def dump(model: Wire) -> dict[str, Any]:
    """The JSON object that stands for a model; fields that were not set are left out."""
    return model.model_dump(mode="json", exclude_unset=True, by_alias=True)


def with_zone(moment: datetime) -> datetime:
    """The same moment; one without a zone is taken for UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
