"""sqlite-utils muninn graph define, list and drop: which tables are a knowledge graph."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from .database import open_database, plain_errors

if TYPE_CHECKING:
    from sqlite_utils_muninn.search import KnowledgeGraph

PATH = click.argument("path", type=click.Path(exists=True, dir_okay=False, allow_dash=False))


def register(group: click.Group) -> None:
    """Hang the commands under `sqlite-utils muninn graph`."""
    for command in (define, list_graphs, drop):
        group.add_command(command)


@click.command()
@PATH
@click.argument("definition", required=False)
@click.option("--name", help="What to call the graph  [default: knowledge]")
@click.option("--propose", "only_propose", is_flag=True, help="Print the definition, write nothing")
@click.option(
    "--type-weight",
    "weights",
    type=(str, click.FloatRange(0)),
    multiple=True,
    help="Weight of a type of edges; 0: not followed",
)
@click.option(
    "--inverse",
    "inverses",
    type=(str, str),
    multiple=True,
    help="How a type of edges reads against its direction",
)
@click.option("--replace", "replaces", is_flag=True, help="Take the place of one of that name")
def define(
    path: str,
    definition: str | None,
    name: str | None,
    only_propose: bool,
    weights: tuple[tuple[str, float], ...],
    inverses: tuple[tuple[str, str], ...],
    replaces: bool,
) -> None:
    """Declare which tables are the nodes and edges of a knowledge graph

    DEFINITION is JSON: what --propose prints, with your changes; - reads it from
    standard input. Without, what foreign keys, full-text and vector tables propose
    is taken.

    For example:

    \b
        sqlite-utils muninn graph define attack.db --propose > graph.json
        sqlite-utils muninn graph define attack.db - < graph.json
    """
    with plain_errors(), closing(open_database(path)) as conn:
        graph = _weighted(_given(conn, definition, name), dict(weights), dict(inverses))
        if only_propose:
            click.echo(json.dumps(_as_json(graph), indent=2, ensure_ascii=False))
            return
        from sqlite_utils_muninn.search import define as write

        write(conn, graph, replace=replaces)
    nodes = ", ".join(table.table for table in graph.nodes)
    edges = ", ".join(dict.fromkeys(table.table for table in graph.edges)) or "none"
    click.echo(f"{graph.name}: nodes {nodes}; edges {edges}", err=True)


@click.command(name="list")
@PATH
def list_graphs(path: str) -> None:
    """List the declared knowledge graphs as JSON

    One that cannot be read, or that names what is not there, has "problems": what is
    wrong with it.
    """
    from sqlite_utils_muninn.search.stored import examined

    with plain_errors(), closing(open_database(path)) as conn:
        found = [
            {
                **(_as_json(one.graph) if one.graph else {"name": one.name}),
                **({"problems": one.problems} if one.problems else {}),
            }
            for one in examined(conn)
        ]
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


@click.command()
@PATH
@click.argument("name")
def drop(path: str, name: str) -> None:
    """Take a declaration back; the tables stay"""
    from sqlite_utils_muninn.search import drop as remove

    with plain_errors(), closing(open_database(path)) as conn:
        remove(conn, name)


def _given(conn: Any, definition: str | None, name: str | None) -> KnowledgeGraph:
    """Return the graph that was given, else the one that the file proposes."""
    from sqlite_utils_muninn.search import from_json
    from sqlite_utils_muninn.search.proposals import NAME, propose

    if definition is None:
        return propose(conn, name or NAME)
    text = sys.stdin.read() if definition == "-" else definition
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"DEFINITION is not JSON: {error}") from error
    own = given.pop("name", None) if isinstance(given, dict) else None
    return from_json(name or str(own or NAME), given)


def _weighted(
    graph: KnowledgeGraph, weights: dict[str, float], inverses: dict[str, str]
) -> KnowledgeGraph:
    return replace(
        graph,
        type_weights={**graph.type_weights, **weights},
        inverses={**graph.inverses, **inverses},
    )


def _as_json(graph: KnowledgeGraph) -> dict[str, Any]:
    return {"name": graph.name, **json.loads(graph.to_json())}
