"""sqlite-utils muninn graph: graph algorithms on an edge table."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .database import open_database, plain_errors
from .output import output_options, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlite_utils_muninn.graph.edge_columns import EdgeColumns

F = TypeVar("F", bound=Callable[..., Any])

CENTRALITIES = {
    "degree": "graph_degree",
    "closeness": "graph_closeness",
    "betweenness": "graph_node_betweenness",
    "edge-betweenness": "graph_edge_betweenness",
}


def register(group: click.Group) -> None:
    """Hang the commands under a group, as `sqlite-utils muninn`."""
    from .graph_declarations import register as register_declarations

    group.add_command(graph)
    register_declarations(graph)


@click.group()
def graph() -> None:
    """Run graph algorithms on a table of edges

    The columns of the two ends are found where the table has just two foreign
    keys, or columns of the usual names; else say --source and --target.
    """


def edge_options(command: F) -> F:
    """Add what every command takes: the file, the table and its columns."""
    options = (
        click.argument("path", type=click.Path(exists=True, dir_okay=False, allow_dash=False)),
        click.argument("dbtable", metavar="TABLE"),
        click.option("--source", help="Column of the nodes that edges leave"),
        click.option("--target", help="Column of the nodes that edges lead to"),
        click.option("--weight", help="Column of weights"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def direction_option(default: str) -> Callable[[F], F]:
    """Add the way along edges."""
    return click.option(
        "--direction",
        type=click.Choice(["forward", "reverse", "both"]),
        default=default,
        show_default=True,
        help="Way along edges",
    )


def save_options(command: F) -> F:
    """Add what says where results are saved."""
    options = (
        click.option(
            "--save",
            metavar="TABLE",
            help="Save the rows: as a new table, or as columns of one that holds the nodes",
        ),
        click.option("--key", metavar="COLUMN", help="Column of that table with the nodes' ids"),
        click.option("--prefix", default="", help="Begin the names of saved columns with this"),
        click.option("--replace", is_flag=True, help="Write over columns that are there"),
    )
    for option in reversed(options):
        command = option(command)
    return command


limit_option = click.option("-n", "--limit", type=click.IntRange(0), help="Most rows")


@graph.command()
@edge_options
@click.argument("start")
@click.option("--max-depth", type=click.IntRange(0), default=100, show_default=True)
@direction_option("forward")
@click.option("--depth-first", is_flag=True, help="Go deep before going wide")
@limit_option
@save_options
@output_options
def bfs(start: str, max_depth: int, direction: str, depth_first: bool, **rest: Any) -> None:
    """List the nodes that can be reached from one

    For example:

    \b
        sqlite-utils muninn graph bfs packages.db depends python3 --max-depth 2
    """
    arguments = {"start_node": start, "max_depth": max_depth, "direction": direction}
    function = "graph_dfs" if depth_first else "graph_bfs"
    _run(function, arguments, **rest, unweighted=True, nothing=f"no edge names {start!r}")


@graph.command()
@edge_options
@click.argument("start")
@click.argument("end")
@direction_option("forward")
@save_options
@output_options
def path(path: str, start: str, end: str, direction: str, **rest: Any) -> None:
    """Show the shortest path between two nodes

    For example:

    \b
        sqlite-utils muninn graph path packages.db depends gimp libc6 -t
    """
    arguments = {"start_node": start, "end_node": end, "direction": direction}
    nothing = f"no path leads from {start!r} to {end!r}"
    _run("graph_shortest_path", arguments, path=path, **rest, nothing=nothing)


@graph.command()
@edge_options
@save_options
@output_options
def components(**rest: Any) -> None:
    """List nodes by the connected part they belong to"""
    _run("graph_components", {}, **rest, unweighted=True)


@graph.command()
@edge_options
@click.option("--damping", type=click.FloatRange(0, 1), default=0.85, show_default=True)
@direction_option("forward")
@click.option("--seeds", help="JSON of ids and weights that the walk starts at")
@limit_option
@save_options
@output_options
def pagerank(damping: float, direction: str, seeds: str | None, **rest: Any) -> None:
    """Rank nodes by how often a random walk is there

    For example:

    \b
        sqlite-utils muninn graph pagerank packages.db depends -n 10 -t
    """
    arguments = {"damping": damping, "direction": direction, "personalization": seeds}
    _run("graph_pagerank", arguments, **rest)


@graph.command()
@edge_options
@click.option("--resolution", type=click.FloatRange(0), default=1.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=42, show_default=True)
@save_options
@output_options
def communities(resolution: float, seed: int, **rest: Any) -> None:
    """Find communities by the Leiden algorithm

    For example:

    \b
        sqlite-utils muninn graph communities packages.db depends --save community

    As columns of the table of nodes, whose column name holds their ids:

    \b
        sqlite-utils muninn graph communities packages.db depends --save packages --key name
    """
    _run("graph_leiden", {"resolution": resolution, "seed": seed}, **rest)


@graph.command()
@edge_options
@click.option(
    "--kind", type=click.Choice(list(CENTRALITIES)), default="betweenness", show_default=True
)
@direction_option("both")
@click.option("--normalized", is_flag=True, help="Divide by the largest possible")
@limit_option
@save_options
@output_options
def centrality(kind: str, direction: str, normalized: bool, **rest: Any) -> None:
    """Rank nodes or edges by how central they are

    For example:

    \b
        sqlite-utils muninn graph centrality packages.db depends --kind closeness
    """
    _run(CENTRALITIES[kind], {"direction": direction, "normalized": int(normalized)}, **rest)


@graph.command()
@edge_options
@click.argument("selector")
@limit_option
@save_options
@output_options
def select(selector: str, **rest: Any) -> None:
    """List the nodes that a selector in dbt's language names

    For example:

    \b
        sqlite-utils muninn graph select lineage.db refs "2+orders+"
    """
    _run("graph_select", {"selector": selector}, **rest, unweighted=True)


@graph.command()
@edge_options
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--nodes", help="Table of nodes, whose columns become attributes")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["graphml", "gexf", "json"]),
    help="Format, where the name of the file does not say",
)
def export(
    path: str, dbtable: str, output: Path, nodes: str | None, kind: str | None, **columns: Any
) -> None:
    """Write the graph as GraphML, GEXF or node-link JSON

    Needs networkx: pip install 'datasette-muninn[export]'

    For example:

    \b
        sqlite-utils muninn graph export packages.db depends depends.graphml
    """
    from sqlite_utils_muninn.graph.export import write_graph

    with plain_errors(), closing(open_database(path)) as conn:
        edges = _columns(conn, dbtable, **columns)
        written = write_graph(conn, edges, output, kind, nodes)
    click.echo(f"{output}: {written.nodes:,} nodes, {written.edges:,} edges", err=True)


def _columns(conn: Any, table: str, **given: str | None) -> EdgeColumns:
    from sqlite_utils_muninn.graph.edge_columns import find_columns

    return find_columns(conn, table, **given)


def _run(
    function: str,
    arguments: dict[str, Any],
    *,
    path: str,
    dbtable: str,
    source: str | None,
    target: str | None,
    weight: str | None,
    save: str | None,
    key: str | None,
    prefix: str,
    replace: bool,
    limit: int | None = None,
    unweighted: bool = False,
    nothing: str | None = None,
    **output: Any,
) -> None:
    """Call a graph function, print its rows or save them; `nothing` is said where none are."""
    if unweighted and weight is not None:
        raise click.BadParameter("weights mean nothing here", param_hint="'--weight'")
    if save is None and (key is not None or prefix or replace):
        raise click.UsageError("--key, --prefix and --replace are about --save")
    with plain_errors(), closing(open_database(path)) as conn:
        edges = _columns(conn, dbtable, source=source, target=target, weight=weight)
        given = {"edge_table": edges.table, "src_col": edges.source, "dst_col": edges.target}
        given.update({} if edges.weight is None else {"weight_col": edges.weight})
        given.update({name: value for name, value in arguments.items() if value is not None})
        conditions = " AND ".join(f"{name} = ?" for name in given)
        sql = f"SELECT * FROM {function} WHERE {conditions}"
        sql += "" if limit is None else f" LIMIT {limit}"
        cursor = conn.execute(sql, list(given.values()))
        columns = [column[0] for column in cursor.description]
        if save is None:
            write_rows(columns, _noting(cursor, nothing), **output)
            return
        from sqlite_utils_muninn.graph.results import Results, save_results

        results = Results.of(columns, cursor.fetchall(), prefix)
        both = arguments.get("direction") == "both"
        rows = save_results(conn, save, results, edges, key=key, replace=replace, both=both)
        click.echo(f"{save}: {rows:,} rows", err=True)


def _noting(rows: Iterable[Any], nothing: str | None) -> Iterator[Any]:
    """All rows; where there are none, say on standard error what that means."""
    row = None
    for row in rows:
        yield row
    if row is None and nothing is not None:
        click.echo(f"Note: {nothing}", err=True)
