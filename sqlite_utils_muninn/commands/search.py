"""sqlite-utils muninn search: the nodes of a knowledge graph that answer a query, and why."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from sqlite_utils_muninn.search.options import FUSIONS, RANK_BY, Options, setting_of

from .database import open_database, plain_errors
from .output import output_options, write_rows

if TYPE_CHECKING:
    from sqlite_utils_muninn.search import Answer, Row

_DEFAULT = Options()
_FORMATS = ("nl", "arrays", "csv", "tsv", "table", "fmt", "json_cols", "ascii_")
_SNIPPET = 160
_BRIEF = ("rank", "score", "table", "node", "label", "type", "hop", "reason")
_WHOLE = (
    *("rank", "score", "table", "node", "label", "type", "text", "hop", "fts_rank", "bm25"),
    *("distance", "name_match", "fused", "rerank_score", "relevance", "ppr", "reason", "via"),
)


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, allow_dash=False))
@click.argument("query")
@click.option("-g", "--graph", help="Declared graph, where there are several")
@click.option("-n", "--number", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("-m", "--model", help="Model, where there are vectors of several")
@click.option("-r", "--reranker", help="Cross-encoder that reads the best candidates")
@click.option(
    "--hops",
    "expand_hops",
    type=click.IntRange(0, 10),
    default=_DEFAULT.expand_hops,
    show_default=True,
    help="Most edges from a candidate; 0: candidates alone",
)
@click.option("--rank-by", type=click.Choice(RANK_BY), default=_DEFAULT.rank_by, show_default=True)
@click.option("--fusion", type=click.Choice(FUSIONS), default=_DEFAULT.fusion, show_default=True)
@click.option("--node-type", "node_types", multiple=True, help="Only nodes of this type")
@click.option("--edge-type", "edge_types", multiple=True, help="Only edges of this type")
@click.option("--from", "time_start", help="Only edges of this time or later")
@click.option("--until", "time_end", help="Only edges of this time or earlier")
@click.option("--where", help="Only nodes that satisfy this SQL condition")
@click.option(
    *("-o", "--option", "settings"),
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="Another argument of knowledge_graph_search, such as -o alpha 1",
)
@click.option("--explain", is_flag=True, help="Also say how long each stage took")
@click.option("--json", "as_json", is_flag=True, help="Output everything as JSON")
@output_options
def search(path: str, query: str, as_json: bool, explain: bool, **options: Any) -> None:
    """Search a knowledge graph, and say why each row is there

    Finds by full text, by meaning and by name, follows the edges from there, and
    ranks what it reaches. "sqlite-utils muninn graph define" says once which tables
    are the graph; without that, it is guessed.

    For example:

    \b
        sqlite-utils muninn search attack.db "crack service account passwords" -n 5
    """
    output = {name: options.pop(name) for name in (*_FORMATS, "no_headers")}
    with plain_errors(), closing(open_database(path)) as conn:
        answer = _search(conn, query, **options)
    if as_json:
        told = json.dumps(_told(answer), indent=2, ensure_ascii=False, default=_as_json)
        click.echo(told)
        return
    if any(output[name] for name in _FORMATS):
        names = _BRIEF if output["table"] or output["fmt"] else _WHOLE
        write_rows(names, [_cells(row, names) for row in answer.rows], **output)
    else:
        _print(answer)
    _tell(answer, explain)


def _search(
    conn: Any, query: str, *, number: int, settings: tuple[tuple[str, str], ...], **options: Any
) -> Answer:
    from sqlite_utils_muninn import search as engine

    for name in ("node_types", "edge_types"):
        options[name] = options[name] or None
    options |= {name: setting_of("search", name, text) for name, text in settings}
    return engine(conn, query, **{"top_k": number, **options})


def _told(answer: Answer) -> dict[str, Any]:
    """The whole answer, each row with its reason as a sentence, as the page's JSON has it."""
    told = asdict(answer)
    for row, said in zip(answer.rows, told["rows"], strict=True):
        said["via"] = {"sentence": row.via.sentence(), **said["via"]}
    return told


def _cells(row: Row, names: tuple[str, ...]) -> list[Any]:
    others = {
        "reason": row.via.sentence(),
        "via": json.dumps(asdict(row.via), ensure_ascii=False, default=_as_json),
        "score": round(row.score, 6),
    }
    return [others[name] if name in others else getattr(row, name) for name in names]


def _print(answer: Answer) -> None:
    """Print what a person reads: label, reason and the beginning of the text of each row."""
    for row in answer.rows:
        kind = f" ({row.type})" if row.type else ""
        click.echo(f"{row.rank:>3}. {click.style(row.label, bold=True)}{kind}  {row.score:.4f}")
        click.echo(f"     {row.via.sentence()}")
        text = " ".join(row.text.split())
        if text:
            cut = text if len(text) <= _SNIPPET else text[:_SNIPPET].rpartition(" ")[0] + " …"
            click.echo(f"     {cut}")
    if not answer.rows:
        click.echo("Nothing was found.", err=True)


def _tell(answer: Answer, explain: bool) -> None:
    for sentence in answer.missing:
        click.echo(f"Note: {sentence}", err=True)
    if explain:
        for stage in answer.stages:
            click.echo(f"{stage.name:<10}{stage.milliseconds:>9.1f} ms {stage.count:>9,}", err=True)


def _as_json(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)
