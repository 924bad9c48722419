"""What a search could not do as it was told: a sentence for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .binding import Bound
    from .network import Network
    from .options import Options


def unmet(bound: Bound, network: Network, options: Options) -> list[str]:
    """Return what the edges cannot tell of what is asked of them."""
    said = []
    if network.ambiguous:
        said.append(_ambiguous(bound, network.ambiguous))
    known = {str(kind) for kind in network.edge_types}
    said += [
        f"there are no edges of the type {kind!r}"
        for kind in options.edge_types or ()
        if kind not in known
    ]
    is_timed = (options.time_start, options.time_end) != (None, None)
    if is_timed and all(edge.timestamp is None for edge in bound.edges):
        said.append("no edges have times: all were followed")
    return said


def _ambiguous(bound: Bound, count: int) -> str:
    nodes = ", ".join(repr(table.name) for table in bound.nodes)
    vague = (e for e in bound.edges if e.source_nodes is None or e.target_nodes is None)
    edges = ", ".join(dict.fromkeys(repr(edge.table.name) for edge in vague))
    number = "1 id is" if count == 1 else f"{count:,} ids are"
    return (
        f"{number} in several of the tables {nodes}: edges of {edges} lead to the first of them; "
        "say which with source_table and target_table"
    )
