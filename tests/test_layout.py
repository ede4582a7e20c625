"""The arrows between the package's folders point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import acp_langgraph

PACKAGE = Path(acp_langgraph.__file__).parent

# What each folder may import of this package, beside itself, `errors`, `config` and `lazy`.
MAY_IMPORT = {
    "core": set(),
    "auth": {"core"},
    "transport": {"core", "auth"},
    "jobs": {"core"},
    "acp": {"core", "jobs", "transport", "auth", "json_schema"},
    "agent_protocol": {"core", "jobs", "acp"},
    "a2a": {"core", "jobs", "acp", "json_schema"},
    "bridge": {"core", "jobs", "transport", "auth"},
    "quant": {"core", "jobs", "transport", "auth"},
    "mapping": {"core", "transport", "json_schema"},
    "nodes": {
        "core",
        "jobs",
        "transport",
        "acp",
        "agent_protocol",
        "a2a",
        "bridge",
        "quant",
        "mapping",
        "auth",
        "json_schema",
    },
    "waking": {"core", "jobs", "nodes", "agent_protocol", "transport"},
    "agntcy": {"core", "transport", "acp", "bridge", "mapping", "nodes"},
    "server": {"core", "acp"},
    "testing": {"core", "acp", "agent_protocol"},
    "json_schema": set(),
    "checking": {"core", "auth", "transport", "acp", "mapping", "nodes", "json_schema"},
    "codegen": {"core", "acp", "json_schema"},
    "demo": {"nodes", "server", "testing", "mapping", "bridge", "terminal"},
    "cli": {
        "core",
        "acp",
        "a2a",
        "agent_protocol",
        "transport",
        "json_schema",
        "checking",
        "codegen",
        "waking",
    },
}

ONLY_HERE = {
    "httpx": {
        *("transport", "auth/signing", "acp/client", "bridge/client", "quant/client", "nodes"),
        *("agntcy/api_client", "agntcy/responses"),
    },
    "aiohttp": {"transport", "auth/signing", "server/webhooks", "server/addresses"},
    # Not for clients, whose programs may have nothing to do with it: it takes as long to load as they do.
    "langchain_core": {
        *("nodes", "mapping", "server", "demo", "checking", "waking", "core/chat"),
        "agntcy/langgraph",
    },
    "langgraph": {"nodes", "mapping", "server", "demo", "checking", "waking"},
    "starlette": {"server"},
    "uvicorn": {"server"},
}


def modules() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(PACKAGE).with_suffix("").as_posix(), ast.parse(path.read_text()))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def imported(tree: ast.Module) -> set[str]:
    """Every module that is named in an import, wherever it stands."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_folders_import_only_what_lies_below_them() -> None:
    wrong = []
    for name, tree in modules():
        folder = name.split("/")[0]
        if folder not in MAY_IMPORT:
            continue
        allowed = {folder, "errors", "config", "lazy"} | MAY_IMPORT[folder]
        for module in imported(tree):
            parts = module.split(".")
            if parts[0] == "acp_langgraph" and len(parts) > 1 and parts[1] not in allowed:
                wrong.append(f"{name} imports {module}")
    assert not wrong


def test_foreign_libraries_stay_where_they_belong() -> None:
    wrong = []
    for name, tree in modules():
        for module in imported(tree):
            homes = ONLY_HERE.get(module.split(".")[0])
            if homes is not None and not any(name.startswith(home) for home in homes):
                wrong.append(f"{name} imports {module}")
    assert not wrong


def test_every_folder_is_known_to_this_test() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders <= set(MAY_IMPORT)
