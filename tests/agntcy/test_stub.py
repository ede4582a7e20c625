"""Type checkers see what there is."""

from __future__ import annotations

import ast
from pathlib import Path

from support.agntcy_stub import stub

from acp_langgraph import agntcy
from acp_langgraph.agntcy import client


def test_the_stub_is_made_from_the_table_of_operations() -> None:
    written = Path(client.__file__).with_suffix(".pyi").read_text(encoding="utf-8").splitlines()
    told = "python tests/support/agntcy_stub.py > acp_langgraph/agntcy/client.pyi"
    assert written == [line.rstrip() for line in stub()], told


def test_the_stub_has_every_method_of_the_clients() -> None:
    tree = ast.parse(Path(client.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    for kind in (agntcy.ACPClient, agntcy.AsyncACPClient):
        (told,) = (each for each in tree.body if getattr(each, "name", "") == kind.__name__)
        assert isinstance(told, ast.ClassDef)
        methods = {
            each.name
            for each in told.body
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        assert {name for name in dir(kind) if not name.startswith("_")} <= methods
