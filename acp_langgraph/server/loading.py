"""Finding the graphs to serve: in a `langgraph.json`, or as `path/to/file.py:graph`.

`langgraph.json` is the file that LangGraph's own command line reads. Of it, this server reads
`graphs`, `dependencies` and `env`:

    {
      "dependencies": ["."],
      "graphs": {"mailer": "./mailer/agent.py:graph"},
      "env": ".env"
    }

A graph is a compiled graph, a `StateGraph` that is yet to be compiled, a `ServedAgent`, or a function
that makes one: without arguments, or given an empty configuration; it may be `async`. It is called
once, at the start. Where a graph is only looked at or woken, the function may also give a context manager
of it. Local folders among the dependencies can be imported from; packages must be
installed already. Variables that the environment has already win over those of `env`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import json
import os
import sys
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from dotenv import dotenv_values
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from acp_langgraph.errors import AcpLangGraphError
from acp_langgraph.server.agents import ServedAgent

CONFIG_FILE: Final = "langgraph.json"
_GENERIC: Final = {"graph", "app", "agent", "workflow", "make_graph"}  # say less than their file


class LoadError(AcpLangGraphError):
    """A graph cannot be loaded; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a graph is: `path/to/file.py:name` or `package.module:name`."""

    text: str
    module: str
    variable: str
    folder: Path

    @classmethod
    def read(cls, text: str, folder: Path) -> _Place:
        module, colon, variable = text.rpartition(":")
        if not colon or not module or not variable.isidentifier():
            raise LoadError(f"{text!r} names no graph; write path/to/file.py:name")
        return cls(text, module, variable, folder)

    @property
    def name(self) -> str:
        """What the agent is called if nobody says otherwise."""
        if self.variable not in _GENERIC:
            return self.variable
        return Path(self.module).stem if self.module.endswith(".py") else self.module


def load_agents(targets: Sequence[str], *, to_look_at: bool = False) -> list[ServedAgent]:
    """The agents that the command line names.

    Args:
        targets: `langgraph.json` files (or folders that hold one), and places of graphs, each
            `path/to/file.py:graph`, `package.module:graph`, or `name=` and one of these. Without
            any, the `langgraph.json` of the current folder.
        to_look_at: None of them will run, so that their databases may be closed again.

    Raises:
        LoadError: If one cannot be loaded, or two have the same name.
    """
    agents = list[ServedAgent]()
    for target in targets or [CONFIG_FILE]:
        path = Path(target)
        if path.is_dir():
            path /= CONFIG_FILE
        if path.suffix == ".json":
            agents += _from_config(path, to_look_at=to_look_at)
        else:
            name, equals, text = target.rpartition("=")
            place = _Place.read(text, Path.cwd())
            agents.append(_loaded(place, name if equals else None, to_look_at=to_look_at))
    names = [agent.name for agent in agents]
    if twice := {name for name in names if names.count(name) > 1}:
        raise LoadError(
            f"two graphs are called {min(twice)!r}; give one another name: "
            "other=path/to/file.py:graph"
        )
    return agents


@asynccontextmanager
async def opened(target: str, *, compiled: bool) -> AsyncIterator[Any]:
    """The graph that a place names, for as long as its database is open.

    Args:
        target: `path/to/file.py:graph` or `package.module:graph`: a graph, or a function that makes one,
            that gives a context manager of one, or that yields one; each may be async.
        compiled: Whether to refuse what is no compiled graph.

    Raises:
        LoadError: If there is no such thing, or it cannot be made.
    """
    place = _Place.read(target, Path.cwd())
    found = _found(place)[1]
    async with _entered(_called(found, place) if inspect.isroutine(found) else found) as graph:
        if compiled and not isinstance(graph, Pregel):
            raise LoadError(
                f"{target} is, or makes, a {type(graph).__name__}, and no compiled graph: compile it with "
                "the checkpointer that its threads are in, or name a function that makes or yields it"
            )
        yield graph


def _from_config(path: Path, *, to_look_at: bool) -> list[ServedAgent]:
    config = _read_config(path)
    folder = path.resolve().parent
    _take_environment(config.get("env"), folder, path)
    dependencies = config.get("dependencies", [])
    if not isinstance(dependencies, list):
        raise LoadError(f"{path}: dependencies must be a list of folders and packages")
    for each in dependencies:
        if isinstance(each, str) and (each == "." or each.startswith(("./", "../", "/"))):
            _make_importable(folder / each)
    graphs = config.get("graphs")
    if not isinstance(graphs, dict) or not graphs:
        raise LoadError(
            f'{path} names no graph; write "graphs": {{"name": "./path/to/file.py:graph"}}'
        )
    return [
        _from_entry(name, entry, folder, path, to_look_at=to_look_at)
        for name, entry in graphs.items()
    ]


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise LoadError(f"there is no {path}; name a graph: path/to/file.py:graph") from None
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise LoadError(f"{path} must hold a JSON object")
    return config


def _from_entry(
    name: str, entry: Any, folder: Path, path: Path, *, to_look_at: bool
) -> ServedAgent:
    place = entry.get("path") if isinstance(entry, dict) else entry
    if not isinstance(place, str):
        raise LoadError(f'{path}: graph {name!r} must be "path/to/file.py:graph"')
    agent = _loaded(_Place.read(place, folder), name, to_look_at=to_look_at)
    description = entry.get("description") if isinstance(entry, dict) else None
    return replace(agent, description=str(description)) if description else agent


def _take_environment(env: Any, folder: Path, path: Path) -> None:
    if env is None:
        return
    if isinstance(env, str):
        if not (folder / env).is_file():
            raise LoadError(f"{path}: there is no env file {folder / env}")
        env = dotenv_values(folder / env)
    if not isinstance(env, dict):
        raise LoadError(f"{path}: env must be a file or an object of variables")
    for name, value in env.items():
        if value is not None:
            os.environ.setdefault(name, str(value))


def _make_importable(folder: Path) -> None:
    for each in (folder / "src", folder):
        text = str(each.resolve())
        if each.is_dir() and text not in sys.path:
            sys.path.insert(0, text)


def _loaded(place: _Place, name: str | None, *, to_look_at: bool) -> ServedAgent:
    module, found = _found(place)
    if inspect.isroutine(found):
        found = _made(found, place, to_look_at=to_look_at)
    if isinstance(found, StateGraph):
        found = _compiled(found, place)
    if isinstance(found, ServedAgent):
        return replace(found, name=name) if name else found
    if not isinstance(found, Pregel):
        raise LoadError(
            f"{place.text} is a {type(found).__name__}, not a LangGraph graph or a function that "
            "makes one"
        )
    return ServedAgent(name or place.name, found, description=_description(module))


def _found(place: _Place) -> tuple[ModuleType, Any]:
    module = _module(place)
    try:
        return module, getattr(module, place.variable)
    except AttributeError:
        raise LoadError(f"{place.text}: {_no_such_name(module, place)}") from None


def _module(place: _Place) -> ModuleType:
    try:
        if place.module.endswith(".py"):
            return _from_file((place.folder / place.module).resolve(), place)
        _make_importable(place.folder)
        return importlib.import_module(place.module)
    except LoadError:
        raise
    except ModuleNotFoundError as error:
        raise LoadError(
            f"{place.text}: there is no module {error.name!r}; install it, or name the folder that "
            f"it is in under dependencies in {CONFIG_FILE}"
        ) from error
    except Exception as error:
        raise LoadError(f"{place.text}: {type(error).__name__}: {error}") from error


def _from_file(path: Path, place: _Place) -> ModuleType:
    if not path.is_file():
        raise LoadError(f"{place.text}: there is no file {path}")
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    _make_importable(root)
    # Under the name by which others import it, so that it is not executed twice, and so that its
    # types are found again by the name that checkpoints have for them.
    for start in [root, *(Path(entry) for entry in sys.path if entry)]:
        if path.is_relative_to(start.resolve()):
            dotted = ".".join([*path.relative_to(start.resolve()).parts[:-1], path.stem])
            if all(part.isidentifier() for part in dotted.split(".")):
                module = _imported_as(dotted, path)
                if module is not None:
                    return module
    name = f"{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101 - it is a .py file
    assert spec.loader is not None  # noqa: S101 - it is a .py file
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _imported_as(dotted: str, path: Path) -> ModuleType | None:
    """The module of a name, if it is the file that is meant."""
    loaded = sys.modules.get(dotted)
    if loaded is not None:
        return loaded if Path(getattr(loaded, "__file__", None) or "") == path else None
    try:
        spec = importlib.util.find_spec(dotted)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != path:
        return None
    return importlib.import_module(dotted)


def _made(factory: Any, place: _Place, *, to_look_at: bool) -> Any:
    made = _called(factory, place)
    if not to_look_at and _is_context(made):
        raise LoadError(
            f"{place.text} gives a context manager, and a graph that is served stays open: name the graph, "
            "or what it is compiled of; the server keeps its checkpoints"
        )
    try:
        return asyncio.run(_looked_at(made))
    except Exception as error:
        raise LoadError(f"{place.text}: {type(error).__name__}: {error}") from error


def _called(factory: Any, place: _Place) -> Any:
    if inspect.isgeneratorfunction(factory):
        factory = contextmanager(factory)
    elif inspect.isasyncgenfunction(factory):
        factory = asynccontextmanager(factory)
    try:
        takes = inspect.signature(factory).parameters.values()
        needed = [each for each in takes if _is_positional(each) and each.default is each.empty]
        return factory({"configurable": {}}) if needed else factory()
    except Exception as error:
        raise LoadError(f"{place.text}: {type(error).__name__}: {error}") from error


def _is_positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}


def _is_context(made: Any) -> bool:
    return hasattr(made, "__enter__") or hasattr(made, "__aenter__")


@asynccontextmanager
async def _entered(made: Any) -> AsyncIterator[Any]:
    if hasattr(made, "__aenter__"):
        async with made as graph:
            yield graph
    elif hasattr(made, "__enter__"):
        with made as graph:
            yield graph
    else:
        yield await made if inspect.isawaitable(made) else made


async def _looked_at(made: Any) -> Any:
    async with _entered(made) as graph:
        return graph


def _compiled(builder: Any, place: _Place) -> Any:
    try:
        return builder.compile()
    except Exception as error:
        raise LoadError(f"{place.text} does not compile: {error}") from error


def _no_such_name(module: ModuleType, place: _Place) -> str:
    graphs = sorted(_graphs_in(vars(module).items()))
    there = f"; it has {', '.join(graphs)}" if graphs else ""
    return f"the module has no {place.variable!r}{there}"


def _graphs_in(names: Iterable[tuple[str, Any]]) -> Iterable[str]:
    return (name for name, value in names if isinstance(value, (Pregel, StateGraph, ServedAgent)))


def _description(module: ModuleType) -> str:
    """What a module says of itself first, if there is one graph of which it says that."""
    graphs = {id(each) for each in vars(module).values() if isinstance(each, Pregel)}
    return "" if len(graphs) > 1 else (inspect.getdoc(module) or "").partition("\n")[0]
