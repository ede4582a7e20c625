"""What users rely on changes only on purpose, and is the same in both colors."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from support.public_api import described

import acp_langgraph
from acp_langgraph import (
    ACPClient,
    ACPNode,
    APIBridgeAgentNode,
    ApiClientConfiguration,
    AsyncACPClient,
    AsyncBridgeClient,
    AsyncQuantClient,
    BridgeClient,
    QuantChatNode,
    QuantClient,
    QuantOrchestrationNode,
    QuantTaskNode,
    QuantToolNode,
    acheck_graph,
    achecked,
    check_graph,
    checked,
    mapping,
)
from acp_langgraph.acp.client import AsyncRawResponses, RawResponses
from acp_langgraph.config import Settings
from acp_langgraph.mapping.edges import MappingNode
from acp_langgraph.nodes.quant.base import QuantNode, QuantOptions
from acp_langgraph.server import create_app
from acp_langgraph.server.serving import Settings as ServerSettings
from acp_langgraph.transport import AsyncTransport, Transport

PAIRS = [
    (ACPClient, AsyncACPClient),
    (RawResponses, AsyncRawResponses),
    (BridgeClient, AsyncBridgeClient),
    (QuantClient, AsyncQuantClient),
    (Transport, AsyncTransport),
]
NODES = [
    ACPNode,
    APIBridgeAgentNode,
    MappingNode,
    QuantChatNode,
    QuantOrchestrationNode,
    QuantTaskNode,
    QuantToolNode,
]
MAPPING = ["ask", "make_delta", "make_value", "propose"]


def test_what_is_promised_is_what_is_written_down() -> None:
    written = Path(__file__).with_name("public_api.txt").read_text(encoding="utf-8").splitlines()
    now = list(described())
    changes = [line for line in difflib.ndiff(written, now) if line[0] in "-+"]
    told = "if that is meant: python tests/support/public_api.py > tests/public_api.txt"
    assert not changes, "\n".join([told, *changes])


@pytest.mark.parametrize(("blocking", "awaiting"), PAIRS, ids=lambda kind: kind.__name__)
def test_a_pair_has_the_same_methods_with_the_same_arguments_and_words(
    blocking: type, awaiting: type
) -> None:
    names = {name.removeprefix("a") if name == "aclose" else name for name in public(awaiting)}
    names.discard("finish")  # only an event loop ends before its work is done
    assert names == public(blocking)
    for name in sorted(names - {"close"}):
        one, other = getattr(blocking, name), getattr(awaiting, name)
        assert colorless(inspect.getdoc(one)) == colorless(inspect.getdoc(other)), name
        if callable(one):
            assert taken(one) == taken(other), name
    assert taken(blocking) == taken(awaiting)
    assert arguments(blocking) == arguments(awaiting)


@pytest.mark.parametrize("node", NODES)
def test_a_node_takes_the_same_in_both_colors(node: type) -> None:
    for name in ("invoke", "stream"):
        one, other = getattr(node, name), getattr(node, f"a{name}")
        assert taken(one) == taken(other), name
        assert not inspect.iscoroutinefunction(one)


@pytest.mark.parametrize("name", MAPPING)
def test_a_function_of_the_mapping_takes_the_same_in_both_colors(name: str) -> None:
    one, other = getattr(mapping, name), getattr(mapping, f"a{name}")
    assert taken(one) == taken(other)
    assert inspect.iscoroutinefunction(other)
    assert not inspect.iscoroutinefunction(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [(check_graph, acheck_graph), (checked, achecked), (ACPNode.from_agent, ACPNode.afrom_agent)],
)
def test_what_looks_at_agents_takes_the_same_in_both_colors(one: Any, other: Any) -> None:
    assert taken(one) == taken(other)
    assert inspect.iscoroutinefunction(other)
    assert not inspect.iscoroutinefunction(one)


def test_type_checkers_know_every_setting_of_a_configuration() -> None:
    assert set(Settings.__annotations__) == set(ApiClientConfiguration.model_fields)
    fields = {name: field.annotation for name, field in ApiClientConfiguration.model_fields.items()}
    # `None` stands for the default of those that have no `None` of their own.
    assert get_type_hints(Settings) == {name: kind | None for name, kind in fields.items()}


def test_type_checkers_know_every_setting_of_a_server() -> None:
    parameters = [*inspect.signature(create_app).parameters.values()][1:]
    assert set(ServerSettings.__annotations__) == {each.name for each in parameters}
    for each in parameters:
        assert ServerSettings.__annotations__[each.name].__forward_arg__ == each.annotation


def test_type_checkers_know_every_setting_of_quants_nodes() -> None:
    parameters = inspect.signature(QuantNode.__init__).parameters
    own = set(parameters) - {"self", "name", "configuration", "pace"}
    assert set(QuantOptions.__annotations__) == own
    for name in own:
        assert QuantOptions.__annotations__[name].__forward_arg__ == parameters[name].annotation


@pytest.mark.parametrize("name", acp_langgraph.__all__)
def test_help_tells_of_every_argument(name: str) -> None:
    found = getattr(acp_langgraph, name)
    if not callable(found) or (inspect.isclass(found) and issubclass(found, (Exception, dict))):
        return
    words = found.__doc__ or ""
    fields = getattr(found, "model_fields", None)
    for argument in fields or inspect.signature(found).parameters:
        assert re.search(rf"^ {{4,8}}\*{{0,2}}{argument}: ", words, re.MULTILINE), argument


@pytest.mark.parametrize("node", NODES)
def test_help_names_every_value_of_a_setting_that_has_a_few(node: Any) -> None:
    names = {**vars(sys.modules[node.__module__]), "Literal": Literal}
    for argument in inspect.signature(node.__init__).parameters.values():
        wanted = re.match(r"Literal\[.*?\]|\w+", str(argument.annotation))
        hint = eval(wanted[0], names) if wanted else None  # noqa: S307 - the package's own words
        if get_origin(hint) is Literal:
            values = [f"`{each}`" for each in get_args(hint) if each != argument.default]
            assert not [each for each in values if each not in node.__doc__], argument.name


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def taken(function: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [
        ("**" if each.kind is each.VAR_KEYWORD else each.name, each.kind, each.default)
        for each in parameters
    ]


def colorless(words: str | None) -> str:
    """A docstring without what says its color."""
    text = re.sub(
        r"\b[Aa]sync(?:hronous(?:ly)?)?\b|\bAsync(?=[A-Z])|\b[Aa]wait(?:ing|s|ed)?\b",
        "",
        words or "",
    )
    text = re.sub(r"\b[Bb]lock(?:ing|s|ed)?\b|\ba(?=close\b)", "", text)
    return " ".join(text.split())


def arguments(kind: type) -> str:
    """What a class says of its arguments, and all that follows."""
    return colorless((kind.__doc__ or "").partition("Args:")[2])
