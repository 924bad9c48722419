"""Why a row is there: the seed, the path, the shares; and what of the graph a page draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .answer import Edge, Node, Seed, Step, Via
from .network import places_of
from .query import split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlite_utils_muninn.graph.graph import Neighbours
    from sqlite_utils_muninn.graph.work import Work

    from .binding import Bound
    from .network import Network
    from .pool import Candidate, Place
    from .ranking import Item, Ranked
    from .seeds import Seeds
    from .texts import Said
    from .walk import Origin

MOST_DRAWN = 2000
"""Edges of one answer: as many as a page can draw."""


@dataclass(frozen=True)
class Drawn:
    """Nodes and edges that an answer names."""

    places: list[Place]
    nodes: list[int]
    edges: list[tuple[int, float]]
    """Number and weight of each."""
    place_of: Mapping[int, Place]


def drawn(ranked: Ranked, work: Work) -> Drawn:
    """Return the rows, the nodes on their paths, and the edges between all of them."""
    rows = [item.place for item in ranked.items]
    loaded = ranked.network
    if loaded is None or not ranked.items:
        return Drawn(rows, [], [], {})
    on_paths = [node for origin in ranked.reasons for node in origin.nodes]
    nodes = list(dict.fromkeys([*(item.node for item in ranked.items), *on_paths]))
    places = places_of(loaded, np.array(nodes, np.int64))
    return Drawn(
        places,
        nodes,
        _between(loaded, loaded.ways(work), ranked.weights, np.array(nodes)),
        dict(zip(nodes, places, strict=True)),
    )


def _between(
    loaded: Network, ways: Neighbours, weights: np.ndarray | None, nodes: np.ndarray
) -> list[tuple[int, float]]:
    """Edges between some nodes: number and weight."""
    found: list[tuple[int, float]] = []
    for node in nodes.tolist():
        part = slice(int(ways.offsets[node]), int(ways.offsets[node + 1]))
        edges = ways.edges[part]
        own = np.flatnonzero((edges < loaded.graph.edges) & np.isin(ways.targets[part], nodes))
        for n in own.tolist():
            weight = 1.0 if weights is None else float(weights[part][n])
            if weight > 0 and len(found) < MOST_DRAWN:
                found.append((int(edges[n]), weight))
    return found


class Told:
    """An answer's nodes, edges and reasons in words."""

    def __init__(self, bound: Bound, ranked: Ranked, said: Mapping[Place, Said]) -> None:
        self.bound, self.ranked, self.said = bound, ranked, said
        self.by_place = {
            item.place: origin for item, origin in zip(ranked.items, ranked.reasons, strict=False)
        }

    def node(self, place: Place) -> Node:
        """Return a node as it is shown."""
        said = self.said[place]
        return Node(self.bound.nodes[place[0]].name, said.id, said.rowid, said.label, said.type)

    def nodes(self, drawn: Drawn) -> list[Node]:
        """Return the nodes that are no rows."""
        rows = {item.place for item in self.ranked.items}
        return [self.node(p) for p in drawn.places if p not in rows and p in self.said]

    def edges(self, drawn: Drawn) -> list[Edge]:
        """Return the edges between the nodes."""
        loaded = self.ranked.network
        if loaded is None:
            return []
        found = []
        for number, weight in drawn.edges:
            ends = (loaded.graph.source[number], loaded.graph.target[number])
            source, target = (self.node(drawn.place_of[int(end)]) for end in ends)
            table = int(np.searchsorted(loaded.first_edges, number, side="right")) - 1
            found.append(
                Edge(
                    source=source.node,
                    source_table=source.table,
                    target=target.node,
                    target_table=target.table,
                    type=loaded.type_of_edge(number),
                    weight=weight,
                    table=self.bound.edges[table].table.name,
                )
            )
        return found

    def via(self, item: Item) -> Via:
        """Return why a row is there."""
        origin = self.by_place.get(item.place)
        loaded, seeds = self.ranked.network, self.ranked.seeds
        if origin is None or loaded is None or seeds is None:
            node = self.node(item.place)
            rank = 1 + [i.place for i in self.ranked.items].index(item.place)
            return Via(_seed(node, rank, item.candidate), 1.0)
        steps = tuple(self._steps(loaded, origin))
        last = steps[-1].share if steps else 0.0
        rest = max(0.0, 1 - origin.direct - last)
        return Via(self._seed_of(loaded, seeds, origin), origin.direct, steps, rest)

    def _seed_of(self, loaded: Network, seeds: Seeds, origin: Origin) -> Seed | None:
        at = np.flatnonzero(seeds.nodes == origin.nodes[0])
        if not len(at):
            return None
        node = self.node(places_of(loaded, np.array(origin.nodes[:1]))[0])
        return _seed(node, int(seeds.rank[at[0]]), seeds.candidates[at[0]])

    def _steps(self, loaded: Network, origin: Origin) -> list[Step]:
        places = places_of(loaded, np.array(origin.nodes, np.int64))
        nodes = [self.node(place) for place in places]
        steps = []
        for n, (number, share) in enumerate(zip(origin.edges, origin.shares, strict=True)):
            is_forward = number < loaded.graph.edges
            kind = loaded.type_of_edge(number if is_forward else number - loaded.graph.edges)
            inverse = self.bound.declared.inverses.get(kind, kind)
            source, target = nodes[n], nodes[n + 1]
            steps.append(
                Step(
                    source=source.node,
                    source_label=source.label,
                    source_table=source.table,
                    type=kind,
                    target=target.node,
                    target_label=target.label,
                    target_table=target.table,
                    direction="forward" if is_forward else "reverse",
                    share=share,
                    reads=kind if is_forward else inverse,
                )
            )
        return steps


def _seed(node: Node, rank: int, candidate: Candidate | None) -> Seed:
    called = candidate.called if candidate is not None else None
    other = called if called and split(called) != split(node.label) else None
    return Seed(**vars(node), rank=rank, is_named=called is not None, called=other)
