"""The names that users import."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import acp_langgraph
import acp_langgraph.agntcy
import acp_langgraph.mapping

MODULES = [
    module.name
    for module in pkgutil.walk_packages(acp_langgraph.__path__, "acp_langgraph.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_is_there(name: str) -> None:
    module: Any = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert not [each for each in exported if not hasattr(module, each)]


def test_the_package_exports_what_the_readme_and_the_examples_use() -> None:
    for name in ("ACPNode", "ACPClient", "AsyncACPClient", "ApiClientConfiguration"):
        assert name in acp_langgraph.__all__
        assert getattr(acp_langgraph, name).__doc__


def test_every_public_name_is_documented() -> None:
    undocumented = [
        name for name in acp_langgraph.__all__ if not getattr(acp_langgraph, name).__doc__
    ]
    assert not undocumented


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, acp_langgraph; print(sorted({'langgraph', 'httpx', 'pydantic'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", [acp_langgraph, acp_langgraph.agntcy, acp_langgraph.mapping])
def test_every_lazy_name_is_exported_and_known_to_type_checkers(module: Any) -> None:
    homes = [(home, name) for home, names in module._HOMES.items() for name in names]
    assert sorted(name for _, name in homes) == module.__all__
    stub = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    told = [
        (each.module, name.name)
        for each in stub.body
        if isinstance(each, ast.ImportFrom)
        for name in each.names
    ]
    assert sorted(told) == sorted((f"{module.__name__}.{home}", name) for home, name in homes)
