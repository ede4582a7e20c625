"""The names that users import."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import acp_langgraph

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
