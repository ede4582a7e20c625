"""Every class, member and parameter that `agntcy-acp` 1.5.2 documents is here, or it is said why not.

`inventory.txt` has a line for each class, function and member, with its parameters in their order.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from acp_langgraph import agntcy
from acp_langgraph.agntcy.langgraph import acp_node, api_bridge, io_mapper

LINES = Path(__file__).with_name("inventory.txt").read_text(encoding="utf-8").splitlines()
PLACES = (agntcy, acp_node, api_bridge, io_mapper)

# What is not here, by how its line begins, and why.
EXCEPTIONS = {
    f"ApiClient.{name}(": "how the reference's generated code makes a request of its own; no operation needs it"
    for name in (
        "call_api",
        "files_parameters",
        "param_serialize",
        "parameters_to_tuples",
        "parameters_to_url_query",
        "response_deserialize",
        "select_header_accept",
        "select_header_content_type",
        "update_params_for_auth",
    )
}


def named(line: str) -> tuple[list[str], list[str] | None]:
    """The names in a line, from the class inwards, and the parameters of what is called."""
    name, called, parameters = line.partition("(")
    return name.split("."), [
        each for each in re.split(r"[ ,)]+", parameters) if each
    ] if called else None


def found(path: list[str]) -> Any:
    """What a line is about."""
    (home,) = {
        id(getattr(each, path[0])): each for each in PLACES if hasattr(each, path[0])
    }.values()
    kind = getattr(home, path[0])
    for name in path[1:]:
        fields = getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", {})
        if name not in fields:
            # Attributes are an object's; exceptions have them once they are made.
            holder = (
                kind
                if hasattr(kind, name)
                else kind()
                if not issubclass(kind, Exception)
                else kind("")
            )
            kind = getattr(holder, name)
    return kind


def differs(line: str) -> bool:
    """Whether there is no such thing, or its parameters are others."""
    path, parameters = named(line)
    try:
        there = found(path)
    except (AttributeError, ValueError):
        return True
    if not parameters:
        return parameters is not None and not callable(there)
    fields = getattr(there, "model_fields", None)
    taken = fields or [name for name in inspect.signature(there).parameters if name != "self"]
    return list(taken)[: len(parameters)] != parameters


CLASSES = sorted({line.partition("(")[0].partition(".")[0] for line in LINES})


@pytest.mark.parametrize("kind", CLASSES)
def test_every_member_is_here_with_its_parameters_in_their_order(kind: str) -> None:
    lines = [line for line in LINES if re.match(rf"{kind}\b", line)]
    wrong = {line for line in lines if differs(line)}
    assert wrong == {line for line in lines if line.startswith(tuple(EXCEPTIONS))}


@pytest.mark.parametrize("begin", EXCEPTIONS)
def test_an_exception_is_still_needed(begin: str) -> None:
    assert any(line.startswith(begin) for line in LINES)
    assert not hasattr(agntcy.ApiClient, begin.removeprefix("ApiClient.").removesuffix("("))


def test_the_inventory_has_every_operation_in_its_three_forms_and_both_colors() -> None:
    operations = [line for line in LINES if re.match(r"(Async)?ACPClient\.", line)]
    assert len(operations) == 2 * 3 * 30
