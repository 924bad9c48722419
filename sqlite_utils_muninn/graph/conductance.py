"""Conductance of groups of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work


class Conductance(NamedTuple):
    """By group: weight of the edges inside and across, of all edge ends, and the conductance.

    ``phi`` is 0 where no edge leads out, whatever it would be divided by, as in sqlite-muninn; it
    is NaN where some do and nothing begins outside ('forward', 'reverse').
    """

    internal: np.ndarray
    cut: np.ndarray
    volume: np.ndarray
    phi: np.ndarray


def conductance(
    graph: Graph,
    group: np.ndarray,
    member: np.ndarray,
    groups: int,
    direction: str,
    work: Work,
) -> Conductance:
    """The conductance cut / min(vol, total - vol) (Kannan, Vempala and Vetta 2004).

    ``group`` and ``member`` are pairs, each once; a node may be in several groups. With 'both' an
    edge counts at both its ends; with 'forward' only at its source, with 'reverse' at its target.
    """
    weight = np.ones(graph.edges) if graph.weight is None else graph.weight
    work.need(100 * graph.edges + 64 * graph.nodes, "the cuts")
    pairs = np.sort(group.astype(np.int64) * graph.nodes + member)
    ends = {
        "forward": [(graph.source, graph.target)],
        "reverse": [(graph.target, graph.source)],
        "both": [(graph.source, graph.target), (graph.target, graph.source)],
    }[direction]
    inside, cut = np.zeros(groups), np.zeros(groups)
    for near, far in ends:
        for part, its_groups in _by_membership(near, group, member, graph.nodes):
            work.check()
            wanted = its_groups * graph.nodes + far[part]
            at = np.searchsorted(pairs, wanted)
            is_inside = pairs[np.minimum(at, len(pairs) - 1)] == wanted
            inside += np.bincount(its_groups[is_inside], weight[part[is_inside]], minlength=groups)
            cut += np.bincount(its_groups[~is_inside], weight[part[~is_inside]], minlength=groups)
    volume = inside + cut
    total = weight.sum() * len(ends)
    internal = inside / len(ends)
    least = np.minimum(volume, total - volume)
    with np.errstate(divide="ignore", invalid="ignore"):
        phi = np.where(least > 0, cut / least, np.where(cut > 0, np.nan, 0.0))
    return Conductance(internal, cut, volume, phi)


def _by_membership(
    near: np.ndarray, group: np.ndarray, member: np.ndarray, nodes: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(edges, their group) of those that begin in a group, once for each group that they do.

    One round for each membership of a node: nearly always there is one round.
    """
    order = np.argsort(member, kind="stable")
    member, group = member[order], group[order].astype(np.int64)
    first = np.searchsorted(member, np.arange(nodes + 1))
    rounds = int(np.diff(first).max()) if nodes else 0
    found = []
    for turn in range(rounds):
        place = first[near] + turn
        edges = np.flatnonzero(place < first[near + 1])
        found.append((edges, group[place[edges]]))
    return found
