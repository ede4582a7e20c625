"""What type checkers see of `acp_langgraph.agntcy.client`, from the table of its operations.

    python tests/support/agntcy_stub.py > acp_langgraph/agntcy/client.pyi

`tests/agntcy/test_stub.py` compares the two.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from acp_langgraph.agntcy.client import FORMS, OPERATIONS, ACPClient, AsyncACPClient, Operation

HEAD = """\
# Made by tests/support/agntcy_stub.py; its lines are as long as they come.
# fmt: off
# ruff: noqa: N802
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self, TypedDict, Unpack

from acp_langgraph.agntcy.api_client import ApiClient, AsyncApiClient
from acp_langgraph.agntcy.configuration import ApiClientConfiguration, Timeout
from acp_langgraph.agntcy.models import (
{models}
)
from acp_langgraph.agntcy.responses import AsyncRawResponse, RawResponse
from acp_langgraph.core.operations import ApiResponse as ApiResponse

class Options(TypedDict, total=False):
    _request_timeout: float | tuple[float, float] | None
    _request_auth: dict[str, Any] | None
    _content_type: str | None
    _headers: dict[str, Any] | None
    _host_index: int
"""


def stub() -> Iterator[str]:
    """Its lines."""
    used = {each.gives for each in OPERATIONS} | {each.takes for each in OPERATIONS}
    names = {_type(each).removeprefix("list[").removesuffix("]") for each in used} - {"Any", "None"}
    yield from HEAD.format(models="\n".join(f"    {name}," for name in sorted(names))).splitlines()
    for kind, connects, color in (
        (ACPClient, "ApiClient", ""),
        (AsyncACPClient, "AsyncApiClient", "a"),
    ):
        yield ""
        yield f"class {kind.__name__}:"
        yield f"    api_client: {connects}"
        yield "    stream_chunk_size: int"
        yield f"    def __init__(self, api_client: {connects} | None = ..., configuration: ApiClientConfiguration | None = ..., stream_chunk_size: int = ...) -> None: ..."
        for name in ("fromConfiguration", "fromEnvPrefix"):
            taken = ", ".join(_settings(getattr(kind, name)))
            yield "    @classmethod"
            yield f"    def {name}(cls, {taken}) -> Self: ..."
        begin = "async def" if color else "def"
        yield f"    {begin} __{color}enter__(self) -> Self: ..."
        yield f"    {begin} __{color}exit__(self, *_: object) -> None: ..."
        for operation in OPERATIONS:
            yield from _methods(operation, color)


def _settings(factory: Any) -> Iterator[str]:
    parameters = list(inspect.signature(factory).parameters.values())
    if parameters[0].name == "self":
        del parameters[0]
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY:
            yield "*"
        yield f"{each.name}: {each.annotation}" + ("" if each.default is each.empty else " = ...")


def _methods(operation: Operation, color: str) -> Iterator[str]:
    taken = ["self"]
    for name, each in operation.own.items():
        own = each.annotation.replace("Id", "str")
        hint = _type(operation.takes or Any) if name == "body" else own
        hint = hint.replace("CancelAction", "str")
        taken.append(f"{each.name}: {hint}" + ("" if each.default is each.empty else " = ..."))
    arguments = ", ".join([*taken, "**options: Unpack[Options]"])
    gives = _type(operation.gives)
    raw = "AsyncRawResponse" if color else "RawResponse"
    for form, given in zip(FORMS, (gives, f"ApiResponse[{gives}]", raw), strict=True):
        streamed = operation.streams and given != raw
        result = f"{'Async' if color else ''}Iterator[{gives}]" if streamed else given
        begin = "async def" if color and not streamed else "def"
        yield f"    {begin} {operation.name}{form}({arguments}) -> {result}: ..."


def _type(kind: Any) -> str:
    if kind is None or kind is Any:
        return str(getattr(kind, "__name__", kind))
    return f"list[{kind.__args__[0].__name__}]" if hasattr(kind, "__args__") else str(kind.__name__)


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in stub()))
