"""Edges that map: `add_io_mapped_edge` and `add_io_mapped_conditional_edge`.

A mapped edge is a small node between two others that runs a compiled plan. Rules come first: the
`field_mapping`, then fields matched by name and type, and a model only for what is left, if one is
given. What needs no mapping becomes a plain edge.

    add_io_mapped_edge(graph, "compose", "review", {
        "input_fields": ["draft.final_email", "audience"],
        "output_fields": ["review.input"],
        "field_mapping": {"review.input.email": "draft.final_email"},
    })

Everything is checked against the graph's schema at once, so add the nodes first and the mapped
edges after them. The node is drawn with its plan by `graph.get_graph().draw_mermaid()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import channels, schema, typeinfo
from acp_langgraph.mapping.asking import amake_delta, make_delta, refuse_without_model
from acp_langgraph.mapping.graphs import (
    Graph,
    input_schema_of,
    keep_to_mappings,
    node_name,
    refuse_common_writers,
    refuse_other_graphs,
    refuse_past_mappings,
    state_of,
    unchanged_on_failure,
)
from acp_langgraph.mapping.metadata import EdgeMapping, IOMappingAgentMetadata
from acp_langgraph.mapping.paths import StatePath, compile_path
from acp_langgraph.mapping.plan import MappingPlan

Config: TypeAlias = IOMappingAgentMetadata | Mapping[str, Any] | None


class MappingNode(Runnable[Any, dict[str, Any]]):
    """The node of a mapped edge: runs a plan on the state.

    Args:
        name: The node's name.
        plan: What it does.
        model: A chat model, or the key in `config["configurable"]` that holds one.
        instructions: What the model is told about the whole, in the user's words.
        graph: The graph it is in, for a check of the finished graph before the first run.
        connects: The nodes before and after.

    Attributes:
        writes: What nobody else may write in the same step: channels without a reducer, and lists
            that a reducer replaces as a whole, with `[]` after their paths.
    """

    name: str

    def __init__(
        self,
        name: str,
        plan: MappingPlan,
        model: Any = None,
        instructions: str = "",
        graph: Graph | None = None,
        connects: tuple[Sequence[str], str] = ((), ""),
    ) -> None:
        self.name = name
        self.plan = plan
        self._model = model
        self._instructions = instructions
        self.connects = connects
        self.writes = frozenset(
            filter(None, (_alone(plan.target_schema, at) for at in plan.writes))
        )
        self._unchecked = graph

    def invoke(
        self,
        input: Any,  # noqa: A002 - the interface's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """The change of the state."""
        self._check_graph()
        return make_delta(
            self.plan, input, config, model=self._model, instructions=self._instructions
        )

    async def ainvoke(
        self,
        input: Any,  # noqa: A002 - the interface's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """The change of the state, awaiting the model if there is one to ask."""
        self._check_graph()
        return await amake_delta(
            self.plan, input, config, model=self._model, instructions=self._instructions
        )

    def _check_graph(self) -> None:
        # Edges that were added after this one are known only now.
        if self._unchecked is not None:
            _check_once(self._unchecked)
            self._unchecked = None


def _alone(declared: Any, target: StatePath) -> str:
    """What of a target only one node can write in a step; empty if several can."""
    if not target.steps:
        return ""
    channel = schema.member_type(declared, target.steps[0])
    if channels.reducer_of(channel) is None:
        return str(target.channel)
    if channels.reducer_of(channel) is channels.merge:
        for depth, step in enumerate(target.steps):
            around = compile_path(declared, StatePath(target.steps[:depth])).type
            kinds = typeinfo.alternatives(around)
            maybe = any(typeinfo.is_list(kind) or typeinfo.is_unknown(kind) for kind in kinds)
            if isinstance(step, int) and maybe:
                return f"{StatePath(target.steps[:depth])}[]"
    return ""


def add_io_mapped_edge(
    g: Graph,
    start: Any,
    end: Any,
    iomapper_config: Config = None,
    llm: Any = None,
    *,
    plan: MappingPlan | str | Path | None = None,
    name: str | None = None,
    retry_policy: Any = None,
    cache_policy: Any = None,
    timeout: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> MappingPlan:
    """Connect two nodes by an edge that maps.

        add_io_mapped_edge(
            builder,
            "compose",
            "review",
            {"field_mapping": {"review.email": "draft.body", "review.audience": "audience"}},
        )

    Rules come first: `field_mapping`, then fields matched by name and type. A model is asked only
    for what is left, and only if one is given.

    Args:
        g: The graph, with both nodes in it.
        start: The node before: a name, a node, `START`, or a list of them that are all waited for.
        end: The node after: a name, a node, or `END`.
        iomapper_config: What is mapped; see `IOMappingAgentMetadata`.
        llm: A chat model for fields that no rule fills, or the key in `config["configurable"]`
            under which each run brings its own. Without it such a field is an error, here.
        plan: A compiled plan instead of `iomapper_config`, or the file of one. If there is no such
            file yet, `llm` proposes the plan now, it is checked and written there, and from then on
            no model is asked.
        name: The mapping node's name; otherwise `map <start> to <end>`.
        retry_policy: As for `add_node`.
        cache_policy: As for `add_node`.
        timeout: As for `add_node`; only for graphs that are run asynchronously.
        functions: What the names of functions in a plan's file stand for.

    Returns:
        The plan; `plan.assignments` is empty where a plain edge does.

    Raises:
        NodeConfigurationError: If the mapping can never work; the message says what to change.
    """
    refuse_other_graphs(g)
    starts = [node_name(g, each) for each in (start if isinstance(start, list) else [start])]
    edge = _Edge(g, starts, node_name(g, end), name)
    made = edge.plan(iomapper_config, llm, plan, functions or {})
    before = starts if len(starts) > 1 else starts[0]
    if not made.assignments or made.does_nothing:
        g.add_edge(before, edge.end)
        return made
    with unchanged_on_failure(g):
        _add(g, edge, made, llm, retry_policy, cache_policy, timeout)
        g.add_edge(before, edge.name)
        g.add_edge(edge.name, edge.end)
        _check(g, edge.name)
    return made


def add_io_mapped_conditional_edge(
    g: Graph,
    start: Any,
    path: Any,
    iomapper_config_map: Mapping[Any, Any],
    llm: Any = None,
    *,
    retry_policy: Any = None,
    cache_policy: Any = None,
    timeout: Any = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> dict[Any, MappingPlan]:
    """Connect a node to others by branches, each of which may map.

        add_io_mapped_conditional_edge(
            builder,
            "compose",
            lambda state: "done" if state.draft.body else "again",
            {
                "done": {
                    "end": "review",
                    "metadata": {"field_mapping": {"review.email": "draft.body"}},
                },
                "again": {"end": END, "metadata": None},
            },
        )

    Args:
        g: The graph, with all nodes in it.
        start: The node before: a name, a node, or `START`.
        path: As for `add_conditional_edges`; gives a key of `iomapper_config_map`, or several.
        iomapper_config_map: By key `{"end": node, "metadata": mapping}`, where `metadata` may be
            missing, `None` or empty for a plain branch and `name` and `plan` are as for
            `add_io_mapped_edge`; or the end alone.
        llm: As for `add_io_mapped_edge`.
        retry_policy: As for `add_node`.
        cache_policy: As for `add_node`.
        timeout: As for `add_node`; only for graphs that are run asynchronously.
        functions: What the names of functions in a plan's file stand for.

    Returns:
        The plans by key; `plan.assignments` is empty where a plain branch does.

    Raises:
        NodeConfigurationError: If a mapping can never work; the message says what to change.
    """
    refuse_other_graphs(g)
    before = node_name(g, start)
    plans: dict[Any, MappingPlan] = {}
    ends: dict[Any, str] = {}
    edges: dict[Any, _Edge] = {}
    for key, entry in iomapper_config_map.items():
        given = dict(entry) if isinstance(entry, Mapping) else {"end": entry}
        unknown = given.keys() - {"end", "metadata", "name", "plan"}
        if unknown or "end" not in given:
            problem = f"unknown {sorted(map(str, unknown))}" if unknown else "no 'end'"
            raise NodeConfigurationError(
                f"branch {key!r} of {before!r} has {problem}; a branch is "
                '{"end": node, "metadata": mapping or None, "name": text, "plan": plan}'
            )
        end = node_name(g, given["end"])
        edge = _Edge(g, [before], end, given.get("name"), [each.name for each in edges.values()])
        nothing = not given.get("metadata") and given.get("plan") is None
        plans[key] = (
            MappingPlan(edge.name, (), g.state_schema, g.state_schema)
            if nothing
            else edge.plan(given.get("metadata"), llm, given.get("plan"), functions or {})
        )
        if not plans[key].assignments or plans[key].does_nothing:
            ends[key] = end
            continue
        edges[key], ends[key] = edge, edge.name
    past = {edge.end: key for key, edge in edges.items() if edge.end not in ends.values()}
    with unchanged_on_failure(g):
        for key, edge in edges.items():
            _add(g, edge, plans[key], llm, retry_policy, cache_policy, timeout)
            g.add_edge(edge.name, edge.end)
        g.add_conditional_edges(
            before, keep_to_mappings(path, past, before) if past else path, ends
        )
    return plans


def _add(
    g: Graph, edge: _Edge, plan: MappingPlan, llm: Any, retry: Any, cache: Any, timeout: Any
) -> None:
    refuse_without_model(plan, llm)
    connects = (edge.starts, edge.end)
    g.add_node(
        edge.name,
        MappingNode(edge.name, plan, llm, edge.instructions, g, connects),
        metadata=plan.drawn(),
        input_schema=input_schema_of(g, plan),
        retry_policy=retry,
        cache_policy=cache,
        timeout=timeout,
    )


_checked: WeakKeyDictionary[Graph, int] = WeakKeyDictionary()


def _check_once(g: Graph) -> None:
    """Check a graph that runs, unless it is known and nothing was added to it."""
    size = len(g.nodes) + len(g.edges) + len(g.waiting_edges)
    if _checked.get(g) != size:
        _check(g)
        _checked[g] = size


def _check(g: Graph, new: str = "") -> None:
    """Refuse what mappings do to each other, and edges past them; only of a new one if it is given."""
    nodes = {name: spec.runnable for name, spec in g.nodes.items()}
    mappings = {name: each for name, each in nodes.items() if isinstance(each, MappingNode)}
    joined = [
        (start, each.connects[1])
        for name, each in mappings.items()
        if new in ("", name)
        for start in each.connects[0]
        if (start, name) in g.edges or len(each.connects[0]) > 1
    ]
    refuse_past_mappings(g.edges, g.waiting_edges, joined)
    writes = {name: each.writes for name, each in mappings.items()}
    refuse_common_writers(g.edges, writes, [name for name, spec in g.nodes.items() if spec.defer])


class _Edge:
    """One mapped edge while it is made."""

    def __init__(
        self,
        g: Graph,
        starts: Sequence[str],
        end: str,
        name: str | None,
        taken: Iterable[str] = (),
    ) -> None:
        self._g = g
        self.starts = starts
        self.end = end
        self.instructions = ""
        self.name = name or _free_name(
            f"map {' and '.join(map(_spoken, starts))} to {_spoken(end)}", {*g.nodes, *taken}
        )
        if name and (name in g.nodes or name in set(taken)):
            raise NodeConfigurationError(f"the graph has a node {name!r} already")

    def plan(
        self,
        given: Config,
        llm: Any,
        plan: MappingPlan | str | Path | None,
        functions: Mapping[str, Callable[..., Any]],
    ) -> MappingPlan:
        if isinstance(plan, MappingPlan):
            return plan
        mapping = EdgeMapping(
            self.name,
            given,
            state=state_of(self._g),
            context=self._g.context_schema,
            gives=self._paths(self.starts, "output_path", "outputPath"),
            takes=self._paths([self.end], "input_path", "inputPath"),
            llm=llm,
        )
        self.instructions = mapping.instructions
        return mapping.plan(plan, functions)

    def _paths(self, nodes: Sequence[str], *names: str) -> list[str]:
        """What nodes say about where they read or write, so far as they say it."""
        runnables = [self._g.nodes[each].runnable for each in nodes if each in self._g.nodes]
        found = ([getattr(each, name, None) for name in names] for each in runnables)
        return [str(path) for some in found if (path := next(filter(None, some), None))]


def _spoken(node: str) -> str:
    return {START: "start", END: "end"}.get(node, node)


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} ({number})"
    return name
