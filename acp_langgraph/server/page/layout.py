"""Where the nodes of a graph stand in a drawing, and which way its edges go.

Layered drawing, after Sugiyama: edges that close a loop are turned around, every node stands a layer
below all that lead to it, edges over several layers get a place in each, the order in a layer is that
with few crossings, and what belongs together stands above each other. What leaves or reaches a node
does so side by side, so that no edge lies on another. Units are CSS pixels.
"""

from __future__ import annotations

import logging
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Any, Final

from acp_langgraph.server.agents import Graph

_log = logging.getLogger(__name__)

MOST_NODES: Final = 150
MOST_EDGES: Final = 400

_HEIGHT: Final = 36
_GAP: Final = (28, 56)  # between nodes of a layer, between layers
_MARGIN: Final = 16
_CHARACTER: Final = 7.4  # of the page's font at 13 px
_LONGEST: Final = 28  # characters of a name
_THIN: Final = 18  # of an edge that passes a layer
_PORT: Final = 22  # between edges at a node
_SWEEPS: Final = 6
_PULLS: Final = 60
_PULLED: Final = 12_000  # nodes and passing edges, in all pulls together
_STRAIGHT: Final = 4.0  # how much more a long edge pulls along itself than a node

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge of a graph.

    Attributes:
        source: The node that it leaves.
        target: The node that it reaches.
        label: What stands at it.
        conditional: Whether it may be taken or not.
    """

    source: str
    target: str
    label: str = ""
    conditional: bool = False


def drawn(nodes: Mapping[str, str], edges: Sequence[Edge]) -> dict[str, Any]:
    """A drawing of a graph, as JSON.

    Args:
        nodes: Names by id; those of LangGraph's start and end are `__start__` and `__end__`.
        edges: Between them.

    Returns:
        `width`, `height`, `nodes` (`id`, `name`, middle `x` and `y`, `width`, `height`) and `edges`
        (`source`, `target`, `label`, `conditional`, `points`, a cubic Bézier curve in tuples of x
        and y, and the label's place `at`).
    """
    plan = _Plan(nodes, [each for each in edges if each.source != each.target])
    plan.layer()
    plan.order()
    plan.place()
    shown = [plan.node(each) for each in nodes]
    routes = [plan.route(index) for index in range(len(plan.edges))]
    loops = [_loop(each, plan) for each in edges if each.source == each.target]
    lines = [*routes, *loops]
    left = min(
        [each["x"] - each["width"] / 2 for each in shown]
        + [x for e in lines for x, _ in e["points"]]
    )
    right = max(
        [each["x"] + each["width"] / 2 for each in shown]
        + [x for e in lines for x, _ in e["points"]]
        + [each["at"][0] + len(each["label"]) * _CHARACTER / 2 for each in lines]
    )
    for each in shown:
        each["x"] = round(each["x"] - left + _MARGIN, 1)
    for each in lines:
        each["points"] = [(round(x - left + _MARGIN, 1), round(y, 1)) for x, y in each["points"]]
        each["at"] = (round(each["at"][0] - left + _MARGIN, 1), round(each["at"][1], 1))
    bottom = max(each["y"] for each in shown) + _HEIGHT / 2 + _MARGIN
    return {
        "width": round(right - left + 2 * _MARGIN, 1),
        "height": round(bottom, 1),
        "nodes": shown,
        "edges": lines,
    }


@dataclass(slots=True)
class _Plan:
    names: Mapping[str, str]
    edges: Sequence[Edge]
    turned: set[int] = field(default_factory=set)
    layers: list[list[str]] = field(default_factory=list)
    ways: list[list[str]] = field(default_factory=list)  # of each edge, downwards
    depth: dict[str, int] = field(default_factory=dict)
    x: dict[str, float] = field(default_factory=dict)
    ports: dict[tuple[str, int], list[int]] = field(default_factory=dict)  # edges below, above

    def layer(self) -> None:
        """Put every node below all that lead to it, and give long edges a place in each layer."""
        self._turn_loops()
        above = defaultdict[str, list[str]](list)
        for index in range(len(self.edges)):
            upper, lower = self._ends(index)
            above[lower].append(upper)
        for each in _below_first(self.names, above):
            self.depth[each] = max((self.depth[one] + 1 for one in above[each]), default=0)
        self.layers = [[] for _ in range(max(self.depth.values()) + 1)]
        for each in self.names:
            self.layers[self.depth[each]].append(each)
        for index in range(len(self.edges)):
            upper, lower = self._ends(index)
            between = range(self.depth[upper] + 1, self.depth[lower])
            passing = [f"{index}\0{layer}" for layer in between]
            for each, layer in zip(passing, between, strict=True):
                self.layers[layer].append(each)
                self.depth[each] = layer
            self.ways.append([upper, *passing, lower])
            self.ports.setdefault((upper, 0), []).append(index)
            self.ports.setdefault((lower, 1), []).append(index)

    def _turn_loops(self) -> None:
        leaving = defaultdict[str, list[int]](list)
        for index, edge in enumerate(self.edges):
            leaving[edge.source].append(index)
        done, open_ = set[str](), set[str]()
        for root in self.names:
            if root in done:
                continue
            stack = [(root, iter(leaving[root]))]
            open_.add(root)
            while stack:
                node, left = stack[-1]
                found = next(left, None)
                if found is None:
                    stack.pop()
                    open_.discard(node)
                    done.add(node)
                elif (target := self.edges[found].target) in open_:
                    self.turned.add(found)
                elif target not in done:
                    open_.add(target)
                    stack.append((target, iter(leaving[target])))

    def _ends(self, index: int) -> tuple[str, str]:
        edge = self.edges[index]
        return (edge.target, edge.source) if index in self.turned else (edge.source, edge.target)

    def order(self) -> None:
        """Order each layer by where its neighbours stand, downwards and upwards in turn."""
        beside = self._beside()
        best, fewest = [list(each) for each in self.layers], self._crossings()
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for number in range(len(self.layers))[:: 1 if down else -1]:
                nearer = number - 1 if down else number + 1
                others = self.layers[nearer] if 0 <= nearer < len(self.layers) else []
                there, here = _places(others), _places(self.layers[number])
                means = {
                    node: fmean([there[each] for each in beside[node] if each in there] or [at])
                    for node, at in here.items()
                }
                self.layers[number].sort(key=means.__getitem__)
            if (crossings := self._crossings()) < fewest:
                best, fewest = [list(each) for each in self.layers], crossings
        self.layers = best

    def _beside(self) -> dict[str, list[str]]:
        beside = defaultdict[str, list[str]](list)
        for way in self.ways:
            for upper, lower in pairwise(way):
                beside[upper].append(lower)
                beside[lower].append(upper)
        return beside

    def _crossings(self) -> int:
        at = {node: number for layer in self.layers for number, node in enumerate(layer)}
        gaps = defaultdict[int, list[tuple[int, int]]](list)
        for way in self.ways:
            for upper, lower in pairwise(way):
                gaps[self.depth[upper]].append((at[upper], at[lower]))
        crossings = 0
        for pairs in gaps.values():
            passed = list[int]()  # lower ends so far, sorted; those further right are crossed
            for _, place in sorted(pairs):
                crossings += len(passed) - bisect_right(passed, place)
                insort(passed, place)
        return crossings

    def place(self) -> None:
        """Move each node to the middle of its neighbours, as far as the others leave room."""
        beside = self._beside()
        for layer in self.layers:
            self._spread(layer, [0.0] * len(layer))
        for _ in range(max(2, min(_PULLS, _PULLED // len(beside or self.names)))):
            for layer in (*self.layers, *reversed(self.layers)):
                self._spread(layer, [self._pulled(each, beside[each]) for each in layer])
        for (_, side), edges in self.ports.items():
            nearest = 1 if side == 0 else -2
            edges.sort(key=lambda each: (self.x[self.ways[each][nearest]], each))

    def _pulled(self, node: str, beside: Sequence[str]) -> float:
        """Where the neighbours of a node pull it; a long edge is to be straight before all else."""
        if not beside:
            return self.x[node]
        passing = node not in self.names
        weights = [
            (_STRAIGHT if passing else 1 / _STRAIGHT) if each not in self.names else 1.0
            for each in beside
        ]
        return fmean([self.x[each] for each in beside], weights)

    def _spread(self, layer: Sequence[str], wanted: Sequence[float]) -> None:
        """Put the nodes of a layer as near as can be to where they want to be, none on another."""
        groups = list[tuple[float, float, list[str]]]()  # middle, width, nodes
        for node, x in zip(layer, wanted, strict=True):
            middle, width, nodes = x, self._width(node) + _GAP[0], [node]
            while groups and groups[-1][0] + groups[-1][1] / 2 > middle - width / 2:
                other, room, before = groups.pop()
                few, many = len(before), len(nodes)
                # Both keep to where they wanted to be, in proportion.
                middle = (few * (other + width / 2) + many * (middle - room / 2)) / (few + many)
                width, nodes = width + room, [*before, *nodes]
            groups.append((middle, width, nodes))
        for middle, width, nodes in groups:
            left = middle - width / 2
            for node in nodes:
                own = self._width(node) + _GAP[0]
                self.x[node] = left + own / 2
                left += own

    def _width(self, node: str) -> float:
        if node not in self.names:
            return _THIN
        ports = max(len(self.ports.get((node, side), ())) for side in (0, 1))
        text = len(_short(self.names[node])) * _CHARACTER + 28
        return max(64, text, ports * _PORT)

    def _y(self, node: str) -> float:
        return _MARGIN + _HEIGHT / 2 + self.depth[node] * (_HEIGHT + _GAP[1])

    def node(self, node: str) -> dict[str, Any]:
        """A node, drawn."""
        return {
            "id": node,
            "name": _short(self.names[node]),
            "x": self.x[node],
            "y": self._y(node),
            "width": round(self._width(node), 1),
            "height": _HEIGHT,
        }

    def route(self, index: int) -> dict[str, Any]:
        """An edge, drawn: a smooth curve that passes each layer upright."""
        way, edge = self.ways[index], self.edges[index]
        knots = [(self._port(index, way[0], 0), self._y(way[0]) + _HEIGHT / 2)]
        for node in way[1:-1]:
            knots += [(self.x[node], self._y(node) - _HEIGHT / 2)]
            knots += [(self.x[node], self._y(node) + _HEIGHT / 2)]
        knots.append((self._port(index, way[-1], 1), self._y(way[-1]) - _HEIGHT / 2))
        points = [knots[0]]
        for (x, y), (to_x, to_y) in pairwise(knots):
            points += [(x, (y + to_y) / 2), (to_x, (y + to_y) / 2), (to_x, to_y)]
        middle = len(knots) // 2
        (x, y), (to_x, to_y) = knots[middle - 1], knots[middle]
        if index in self.turned:
            points.reverse()
        return _line(edge, points, ((x + to_x) / 2, (y + to_y) / 2))

    def _port(self, index: int, node: str, side: int) -> float:
        """Where an edge meets a node: beside the others there, in the order of their other ends."""
        here = self.ports[node, side]
        return self.x[node] + (here.index(index) - (len(here) - 1) / 2) * _PORT


def _places(layer: Sequence[str]) -> dict[str, float]:
    """Where the nodes of a layer stand, from 0 to 1."""
    return {node: at / max(1, len(layer) - 1) for at, node in enumerate(layer)}


def _loop(edge: Edge, plan: _Plan) -> dict[str, Any]:
    """An edge from a node to itself, drawn beside it."""
    node = plan.node(edge.source)
    x, y = node["x"] + node["width"] / 2, node["y"]
    points = [(x, y - 8), (x + 34, y - 24), (x + 34, y + 24), (x, y + 8)]
    return _line(edge, points, (x + 30, y))


def _line(edge: Edge, points: Iterable[Point], at: Point) -> dict[str, Any]:
    return {
        "source": edge.source,
        "target": edge.target,
        "label": _short(edge.label),
        "conditional": edge.conditional,
        "points": list(points),
        "at": at,
    }


def _below_first(nodes: Iterable[str], above: Mapping[str, Sequence[str]]) -> list[str]:
    """Nodes in an order in which each comes after all that lead to it; there is no loop."""
    waiting = {each: len(above[each]) for each in nodes}
    below = defaultdict[str, list[str]](list)
    for each in waiting:
        for upper in above[each]:
            below[upper].append(each)
    ready = [each for each, count in waiting.items() if not count]
    for each in ready:  # grows on the way
        for lower in below[each]:
            waiting[lower] -= 1
            if not waiting[lower]:
                ready.append(lower)
    return ready


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def drawing(graph: Graph) -> dict[str, Any]:
    """A graph's nodes and edges, where they stand, and as Mermaid's text.

    Returns:
        What `layout.drawn` gives, and `mermaid`; or `problem`, why there is no drawing.
    """
    try:
        known = graph.get_graph()
        nodes = {id_: str(node.name) for id_, node in known.nodes.items()}
        edges = [
            Edge(
                each.source,
                each.target,
                "" if each.data is None else str(each.data),
                each.conditional,
            )
            for each in known.edges
        ]
        if not nodes or len(nodes) > MOST_NODES or len(edges) > MOST_EDGES:
            many = f"{len(nodes)} nodes and {len(edges)} edges"
            return {"problem": f"The graph has {many}; that is not drawn."}
        return {**drawn(nodes, edges), "mermaid": known.draw_mermaid()}
    except Exception as error:  # noqa: BLE001 - a graph may be of anybody's class
        _log.info("a graph cannot be drawn", exc_info=error)
        return {"problem": f"The graph cannot be drawn: {type(error).__name__}."}
