"""Where Quant's AI API is, and as whom to use it.

    QuantClient(organisation="acme")          # the token from QUANT_API_TOKEN
    QuantClient("https://dash.quantgov.cloud", organisation="acme", spelling="organisations")

The API is found both under `/organizations/` (its specification) and `/organisations/` (its own
applications), on several hosts; all of it can be said.
"""

from __future__ import annotations

import os
from typing import Final, Literal, TypeAlias

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import path
from acp_langgraph.errors import ApiValueError

__all__ = ["PUBLIC_CLOUD", "Spelling", "quant_configuration"]

PUBLIC_CLOUD: Final = "https://dashboard.quantcdn.io"
_DEFAULT_PREFIX: Final = "/api/v3"

Spelling: TypeAlias = Literal["organizations", "organisations"]


def quant_configuration(
    configuration: ApiClientConfiguration | str | None = None,
    organisation: str | None = None,
    *,
    spelling: Spelling = "organizations",
    prefix: str = _DEFAULT_PREFIX,
) -> ApiClientConfiguration:
    """The configuration whose host is an organisation's AI root.

    Args:
        configuration: The API's host, or all there is to say of it. Left out: `QUANT_BASE_URL`, or
            else the public cloud. `QUANT_API_TOKEN` is the token where it names no credentials.
        organisation: The organisation's machine name; left out, `QUANT_ORGANISATION`.
        spelling: How the path spells it.
        prefix: Path before it. A host that ends with it already is fine.

    Raises:
        ApiValueError: If something is missing or cannot be.
    """
    if configuration is None:
        configuration = os.environ.get("QUANT_BASE_URL") or PUBLIC_CLOUD
    if isinstance(configuration, str):
        configuration = ApiClientConfiguration(configuration)
    organisation = organisation or os.environ.get("QUANT_ORGANISATION")
    if not organisation:
        raise ApiValueError(
            "name the organisation: give organisation= its machine name, or set QUANT_ORGANISATION"
        )
    if spelling not in {"organizations", "organisations"}:
        raise ApiValueError(f"spelling is 'organizations' or 'organisations', got {spelling!r}")
    prefix = prefix.strip("/")
    host = configuration.base_url.removesuffix("/" + prefix) if prefix else configuration.base_url
    root = "/".join(filter(None, (host, prefix, spelling)))
    changes: dict[str, object] = {
        "host": root + path("/{organisation}/ai", organisation=organisation),
        "server_variables": {},
    }
    token = os.environ.get("QUANT_API_TOKEN")
    if token and not configuration.auth_headers():
        changes["access_token"] = token
    return configuration.model_copy(update=changes)
