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

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, StateGraph

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import channels, schema, typeinfo
from acp_langgraph.mapping.asking import amake_delta, make_delta
from acp_langgraph.mapping.channels import refuse_common_writers
from acp_langgraph.mapping.compiling import compile_plan
from acp_langgraph.mapping.metadata import FieldMetadata, IOMappingAgentMetadata, read_metadata
from acp_langgraph.mapping.paths import StatePath, compile_path
from acp_langgraph.mapping.plan import MappingPlan
from acp_langgraph.mapping.plan_files import load_plan, propose
from acp_langgraph.mapping.rules import Copy, Rule, Semantic, Source

Config: TypeAlias = IOMappingAgentMetadata | Mapping[str, Any] | None
Graph: TypeAlias = StateGraph[Any, Any, Any, Any]


class MappingNode(Runnable[Any, dict[str, Any]]):
    """The node of a mapped edge: runs a plan on the state.

    Args:
        name: The node's name.
        plan: What it does.
        model: A chat model, or the key in `config["configurable"]` that holds one.
        instructions: What the model is told about the whole, in the user's words.
        graph: The graph it is in, for a check of the finished graph before the first run.
    """

    name: str

    def __init__(
        self,
        name: str,
        plan: MappingPlan,
        model: Any = None,
        instructions: str = "",
        graph: Graph | None = None,
    ) -> None:
        self.name = name
        self.plan = plan
        self._model = model
        self._instructions = instructions
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

    def writes(self) -> frozenset[str]:
        """The channels without a reducer that the node writes."""
        names = {each.target.channel for each in self.plan.assignments}
        return frozenset(
            name
            for name in names
            if name
            and channels.reducer_of(schema.member_type(self.plan.target_schema, name)) is None
        )

    def _check_graph(self) -> None:
        # Edges that were added after this one are known only now.
        if self._unchecked is not None:
            _refuse_common_writers(self._unchecked, ())
            self._unchecked = None


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
    _refuse_other_graphs(g)
    starts = [_node_name(g, each) for each in (start if isinstance(start, list) else [start])]
    edge = _Edge(g, starts, _node_name(g, end), name)
    made = edge.plan(iomapper_config, llm, plan, functions or {})
    before = starts if len(starts) > 1 else starts[0]
    if not made.assignments or made.does_nothing:
        g.add_edge(before, edge.end)
        return made
    joined = () if len(starts) > 1 else ((starts[0], edge.name),)
    node = MappingNode(edge.name, made, llm, edge.instructions, g)
    _refuse_common_writers(g, (*joined, (edge.name, edge.end)), node)
    _add(g, node, retry_policy, cache_policy, timeout)
    g.add_edge(before, edge.name)
    g.add_edge(edge.name, edge.end)
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
    _refuse_other_graphs(g)
    before = _node_name(g, start)
    plans: dict[Any, MappingPlan] = {}
    ends: dict[Any, str] = {}
    nodes: list[tuple[MappingNode, str]] = []
    for key, entry in iomapper_config_map.items():
        given = dict(entry) if isinstance(entry, Mapping) else {"end": entry}
        unknown = given.keys() - {"end", "metadata", "name", "plan"}
        if unknown or "end" not in given:
            problem = f"unknown {sorted(map(str, unknown))}" if unknown else "no 'end'"
            raise NodeConfigurationError(
                f"branch {key!r} of {before!r} has {problem}; a branch is "
                '{"end": node, "metadata": mapping or None, "name": text, "plan": plan}'
            )
        end = _node_name(g, given["end"])
        edge = _Edge(g, [before], end, given.get("name"), [node.name for node, _ in nodes])
        nothing = not given.get("metadata") and given.get("plan") is None
        plans[key] = (
            MappingPlan(edge.name, (), g.state_schema, g.state_schema)
            if nothing
            else edge.plan(given.get("metadata"), llm, given.get("plan"), functions or {})
        )
        if not plans[key].assignments or plans[key].does_nothing:
            ends[key] = end
            continue
        nodes.append((MappingNode(edge.name, plans[key], llm, edge.instructions, g), end))
        ends[key] = edge.name
    for node, end in nodes:
        _add(g, node, retry_policy, cache_policy, timeout)
        g.add_edge(node.name, end)
    g.add_conditional_edges(before, path, ends)
    return plans


def _add(g: Graph, node: MappingNode, retry: Any, cache: Any, timeout: Any) -> None:
    g.add_node(
        node.name,
        node,
        metadata=node.plan.drawn(),
        retry_policy=retry,
        cache_policy=cache,
        timeout=timeout,
    )


def _refuse_common_writers(
    g: Graph, more: Iterable[tuple[str, str]], new: MappingNode | None = None
) -> None:
    nodes = [spec.runnable for spec in g.nodes.values()]
    mappings = [node for node in [*nodes, new] if isinstance(node, MappingNode)]
    refuse_common_writers([*g.edges, *more], {node.name: node.writes() for node in mappings})


def _refuse_other_graphs(g: Any) -> None:
    if not isinstance(g, StateGraph):
        compiled = " (this one is compiled already)" if hasattr(g, "get_graph") else ""
        raise NodeConfigurationError(
            f"a mapped edge goes into a StateGraph before compile(), not into a {type(g).__name__}"
            f"{compiled}"
        )


def _node_name(g: Graph, node: Any) -> str:
    if isinstance(node, str):
        name = node
    else:
        found = node.get_name() if isinstance(node, Runnable) else getattr(node, "name", None)
        name = str(found or getattr(node, "__name__", node))
    if name not in (START, END) and name not in g.nodes:
        near = ", ".join(map(repr, g.nodes)) or "none"
        raise NodeConfigurationError(
            f"the graph has no node {name!r}; add it before its mapped edges (there are: {near})"
        )
    return name


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
        metadata = read_metadata(given, self.name)
        inputs, outputs = self._inputs(metadata), self._outputs(metadata)
        self.instructions = "\n".join(
            [
                metadata.output_description_prompt,
                *(
                    f"In the data, {each.json_path or 'it'} is: {each.description}"
                    for each in inputs
                    if each.description
                ),
            ]
        ).strip()
        schemas: dict[str, Any] = {
            "source_schema": metadata.input_schema or self._g.state_schema,
            "target_schema": metadata.output_schema or self._g.state_schema,
            "state_schema": self._g.state_schema,
            "complete": [each.json_path for each in outputs],
            "into_state": True,
        }
        if plan is not None:
            return self._from_file(Path(plan), outputs, llm, schemas, functions)
        if inputs and not outputs and not metadata.field_mapping:
            raise NodeConfigurationError(
                f"{self.name!r} has input_fields and nothing to fill: {self.end!r} has no "
                "input_path, so name output_fields or a field_mapping"
            )
        rules = metadata.rules() or self._whole_copy(inputs, outputs, schemas)
        return compile_plan(
            rules,
            match_from=[each.json_path for each in inputs] or None,
            fallback=None if llm is None else _asker(inputs, outputs, schemas["target_schema"]),
            name=self.name,
            **schemas,
        )

    def _inputs(self, metadata: IOMappingAgentMetadata) -> list[FieldMetadata]:
        if metadata.input_fields:
            return metadata.inputs()
        paths = [self._path_of(each, "output_path", "outputPath") for each in self.starts]
        return [FieldMetadata(json_path=each) for each in paths if each]

    def _outputs(self, metadata: IOMappingAgentMetadata) -> list[FieldMetadata]:
        if metadata.output_fields:
            return metadata.outputs()
        path = self._path_of(self.end, "input_path", "inputPath")
        return [FieldMetadata(json_path=path)] if path else []

    def _path_of(self, node: str, *names: str) -> str:
        spec = self._g.nodes.get(node)
        found = [getattr(spec.runnable, each, None) for each in names] if spec else []
        return next((str(each) for each in found if each), "")

    def _whole_copy(
        self,
        inputs: Sequence[FieldMetadata],
        outputs: Sequence[FieldMetadata],
        schemas: Mapping[str, Any],
    ) -> dict[str, Rule]:
        """One field into one of the same type is a copy, whatever they are called."""
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].description or outputs[0].description:
            return {}
        source, target = inputs[0].json_path, outputs[0].json_path
        try:
            given = compile_path(schemas["source_schema"], source).type
            wanted = compile_path(schemas["target_schema"], target).type
        except NodeConfigurationError:
            return {}  # said with everything else that is wrong
        records = schema.fields_of_alternatives(wanted)
        same = {*typeinfo.alternatives(given)} - {type(None)} == {
            *typeinfo.alternatives(wanted)
        } - {type(None)}
        if source == target or (records is not None and same):
            return {target: Copy(Source.parse(source))}
        return {}

    def _from_file(
        self,
        path: Path,
        outputs: Sequence[FieldMetadata],
        llm: Any,
        schemas: Mapping[str, Any],
        functions: Mapping[str, Callable[..., Any]],
    ) -> MappingPlan:
        if path.exists():
            return load_plan(path, functions=functions, name=self.name, **schemas)
        if not isinstance(llm, BaseChatModel):
            raise NodeConfigurationError(
                f"{self.name!r}: there is no plan {path}, and no llm= that could propose one"
            )
        targets = {each.json_path: each.description for each in outputs}
        made = propose(llm, targets, name=self.name, **schemas)
        made.save(path)
        return made


def _asker(
    inputs: Sequence[FieldMetadata], outputs: Sequence[FieldMetadata], target: Any
) -> Callable[[StatePath, schema.Member], Rule]:
    """What a model is asked for a field: the words of the field, or of the output it is in."""
    sources = tuple(Source.parse(each.json_path) for each in inputs)

    def asked(path: StatePath, member: schema.Member) -> Rule:
        around = next(
            (
                each
                for each in outputs
                if path.steps[: len(steps := StatePath.parse(each.json_path).steps)] == steps
            ),
            FieldMetadata(json_path=""),
        )
        exact = StatePath.parse(around.json_path) == path
        own = schema.description_of(target, path.steps)
        words = [own, around.description if exact or not own else f"part of: {around.description}"]
        meaning = "; ".join(each for each in words if each and each != "part of: ")
        examples = tuple(around.examples)
        return Semantic(meaning or f"the {member.names[0]}", sources, examples)

    return asked


def _spoken(node: str) -> str:
    return {START: "start", END: "end"}.get(node, node)


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} ({number})"
    return name
