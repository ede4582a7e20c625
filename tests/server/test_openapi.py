"""The server's own document says what the specification says (`specification.json` has its facts)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support.graphs import echo

from acp_langgraph.acp.calls import OPERATIONS
from acp_langgraph.server.openapi import openapi

SPECIFICATION = json.loads((Path(__file__).parent / "specification.json").read_text())
DOCUMENT = openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]


def documented(operation: str) -> dict:
    method, path = operation.split()
    return DOCUMENT["paths"][path][method.lower()]


def test_the_operations_are_those_of_the_specification():
    routed = {f"{each.method} {each.path}": each.name for each in OPERATIONS.values()}

    assert routed == {name: facts["id"] for name, facts in SPECIFICATION["operations"].items()}


@pytest.mark.parametrize("operation", SPECIFICATION["operations"])
def test_an_operation_has_the_statuses_and_queries_of_the_specification(operation):
    facts, ours = SPECIFICATION["operations"][operation], documented(operation)

    assert ours["operationId"] == facts["id"]
    assert sorted(map(int, ours["responses"])) == facts["statuses"]
    queries = [each["name"] for each in ours["parameters"] if each["in"] == "query"]
    assert sorted(queries) == facts["query"]


@pytest.mark.parametrize("name", SPECIFICATION["schemas"])
def test_a_schema_has_the_fields_and_defaults_of_the_specification(name):
    facts, ours = SPECIFICATION["schemas"][name], SCHEMAS[name]

    assert set(ours["properties"]) == {*facts["required"], *facts["optional"]}
    assert set(facts["required"]) <= set(ours.get("required", ()))
    for field, rules in facts["optional"].items():
        declared = ours["properties"][field]
        assert {key: declared.get(key) for key in rules} == rules


def test_the_schemas_are_schemas():
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)


def test_the_document_is_served(serving):
    assert serving({"echo": echo()}).get("/openapi.json").json() == DOCUMENT
