"""Whole searches on small files."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import search
from sqlite_utils_muninn.search import EdgeTable, KnowledgeGraph, NodeTable, define

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlite_utils_muninn.search import Answer

QUERY = "crack password service"


def labels(answer: Answer) -> list[str]:
    return [row.label for row in answer.rows]


def test_a_query_finds_the_match_and_its_neighbours(attack: Any) -> None:
    answer = search(attack, QUERY)
    assert labels(answer)[0] == "Kerberoasting"
    assert set(labels(answer)) == {
        *("Kerberoasting", "Alone", "APT29", "Encrypt Sensitive Information", "Phishing"),
    }
    assert [row.rank for row in answer.rows] == [1, 2, 3, 4, 5]
    scores = [row.score for row in answer.rows]
    assert scores == sorted(scores, reverse=True)
    assert sum(row.ppr or 0 for row in answer.rows) == pytest.approx(1)
    assert {row.label: row.hop for row in answer.rows} == {
        **{"Kerberoasting": 0, "Alone": 0, "APT29": 1, "Encrypt Sensitive Information": 1},
        "Phishing": 2,
    }


def test_a_row_says_why_in_one_sentence(attack: Any) -> None:
    graph = dataclasses.replace(
        graphs_of(attack), inverses={"mitigates": "mitigated by", "uses": "used by"}
    )
    rows = {row.label: row for row in search(attack, QUERY, graph=graph).rows}
    assert rows["Encrypt Sensitive Information"].via.sentence() == (
        "Kerberoasting -[mitigated by]-> Encrypt Sensitive Information, seed rank 1"
    )
    assert rows["Phishing"].via.sentence() == (
        "Kerberoasting -[used by]-> APT29 -[uses]-> Phishing, seed rank 1"
    )
    assert rows["Kerberoasting"].via.sentence() == "matches the query itself, seed rank 1"
    plain = {row.label: row for row in search(attack, QUERY).rows}
    assert plain["APT29"].via.sentence() == "Kerberoasting <-[uses]- APT29, seed rank 1"


def graphs_of(conn: Any) -> KnowledgeGraph:
    from sqlite_utils_muninn.search import propose

    return propose(conn)


def test_shares_add_up(attack: Any) -> None:
    for row in search(attack, QUERY).rows:
        last = row.via.path[-1].share if row.via.path else 0
        assert row.via.direct + last + row.via.rest == pytest.approx(1)
        assert min(row.via.direct, last, row.via.rest) >= 0


def test_edges_between_rows_and_on_paths_are_there_to_draw(attack: Any) -> None:
    answer = search(attack, QUERY, node_types="technique")
    assert set(labels(answer)) == {"Kerberoasting", "Alone", "Phishing"}
    assert [node.label for node in answer.nodes] == ["APT29"]
    assert {(edge.source, edge.type, edge.target) for edge in answer.edges} == {
        (3, "uses", 1),
        (3, "uses", 4),
    }
    assert {edge.table for edge in answer.edges} == {"relationships"}


def test_a_name_in_the_query_is_a_candidate(attack: Any) -> None:
    answer = search(attack, "who is behind apt29?")
    assert labels(answer)[0] == "APT29"
    assert answer.rows[0].name_match == pytest.approx(1)
    assert answer.rows[0].via.sentence() == "is named in the query, seed rank 1"
    assert search(attack, "phishing", names=0).rows[0].name_match is None


def test_a_query_without_words_finds_nothing(attack: Any) -> None:
    for query in ("", "?!", "   "):
        assert search(attack, query).rows == []


def test_an_empty_query_finds_nothing_where_there_are_vectors(attack: Any) -> None:
    """A model has a vector for an empty text, and any table has rows that are near to it."""
    attack.execute(
        "CREATE VIRTUAL TABLE objects_vectors USING hnsw_text("
        "model='trigrams', content='objects', content_column='description')"
    )
    attack.execute("INSERT INTO objects_vectors(objects_vectors) VALUES ('rebuild')")
    attack.commit()
    for query in ("", "  \n"):
        answer = search(attack, query)
        assert (answer.rows, answer.nodes, answer.edges) == ([], [], [])
        assert "the query is empty" in answer.missing


def test_every_stage_can_be_switched_off(attack: Any) -> None:
    alone = search(attack, QUERY, expand_hops=0)
    assert labels(alone) == ["Kerberoasting", "Alone"]
    assert [row.ppr for row in alone.rows] == [None, None]
    assert [stage.name for stage in alone.stages] == ["fulltext", "fusion", "rows"]
    assert labels(search(attack, QUERY, expand_hops=1, rank_by="hop"))[:2] == [
        *("Kerberoasting", "Alone"),
    ]


@pytest.mark.parametrize("by", ["ppr", "score", "pagerank", "betweenness", "hop"])
def test_rows_are_ordered_by_their_score(attack: Any, by: str) -> None:
    answer = search(attack, QUERY, rank_by=by)
    scores = [row.score for row in answer.rows]
    assert scores == sorted(scores, reverse=True)
    assert len(answer.rows) == 5


def test_betweenness_takes_the_node_in_the_middle(attack: Any) -> None:
    assert labels(search(attack, QUERY, rank_by="betweenness"))[0] in ("APT29", "Phishing")


def test_types_of_edges_are_followed_as_they_weigh(attack: Any) -> None:
    assert "APT29" not in labels(search(attack, QUERY, edge_types="mitigates"))
    assert "APT29" not in labels(search(attack, QUERY, type_weights={"uses": 0}))
    heavy = search(attack, QUERY, type_weights={"mitigates": 9})
    order = labels(heavy)
    assert order.index("Encrypt Sensitive Information") < order.index("APT29")


def test_a_time_window_takes_edges_away(attack: Any) -> None:
    graph = KnowledgeGraph(
        "timed",
        (NodeTable("objects", label="name", text=("description",), fts="objects_fts"),),
        (EdgeTable("relationships", "source", "target", "type", timestamp="seen"),),
    )
    assert "APT29" in labels(search(attack, QUERY, graph=graph))
    early = search(attack, QUERY, graph=graph, time_end="2020")
    assert "APT29" not in labels(early)
    assert "Encrypt Sensitive Information" in labels(early)
    late = search(attack, QUERY, graph=graph, time_start="2021", time_end="2022")
    assert set(labels(late)) == {"Kerberoasting", "Alone", "APT29", "Phishing"}


def test_what_edges_cannot_tell_is_said(attack: Any) -> None:
    """A type that is misspelt, or times where no edge has one, would change the rows in silence."""
    misspelt = search(attack, QUERY, edge_types="uses,mitigate")
    said = "there are no edges of the type 'mitigate'; there are 'mitigates', 'uses'"
    assert said in misspelt.missing
    assert not any("type 'uses'" in said for said in misspelt.missing)
    timeless = search(attack, QUERY, time_start="2020")
    assert "no edges have times: all were followed" in timeless.missing


def test_a_type_that_no_node_has_is_said_with_those_that_there_are(attack: Any) -> None:
    """The fault: a misspelt type found nothing, and nothing said why."""
    answer = search(attack, QUERY, node_types=("grup", "group"))
    assert labels(answer) == ["APT29"]
    kinds = "'group', 'mitigation', 'technique'"
    assert f"there are no nodes of the type 'grup'; there are {kinds}" in answer.missing
    assert not any("type 'group'" in said for said in answer.missing)
    # One that exists but does not answer the query is no mistake.
    far = search(attack, "zzz unknown words", node_types="technique")
    assert not far.rows
    assert not any("of the type" in said for said in far.missing)
    attack.execute("INSERT INTO objects VALUES (7, 'x', 'grup', 'x')")
    assert not any("of the type" in said for said in search(attack, "y", node_types="grup").missing)


def test_of_many_types_some_are_named(attack: Any) -> None:
    attack.execute(
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
        "INSERT INTO objects SELECT i, 'x', 'kind' || i, 'x' FROM n"
    )
    (said,) = (s for s in search(attack, QUERY, node_types="no").missing if "nodes" in s)
    assert said.endswith("'kind11' and 980 more")
    last = search(attack, QUERY, node_types="kind1500").missing
    assert not any("of the type" in said for said in last)
    attack.execute("UPDATE objects SET type = NULL")
    (said,) = (s for s in search(attack, QUERY, node_types="no").missing if "nodes" in s)
    assert said == "there are no nodes of the type 'no': none has a type"


def test_a_declaration_that_cannot_be_read_is_said(attack: Any) -> None:
    """Otherwise it would look as if nobody had declared anything."""
    define(attack, graphs_of(attack))
    attack.execute("UPDATE _muninn_graphs SET definition = '{'")
    attack.commit()
    answer = search(attack, QUERY)
    assert answer.rows
    assert any("'knowledge'" in said for said in answer.missing[:1])
    hidden = search(attack, QUERY, visible=["objects", "objects_fts", "relationships"])
    assert not any("'knowledge'" in said for said in hidden.missing)


def test_uncommitted_changes_are_seen_and_a_rollback_too(attack: Any) -> None:
    before = labels(search(attack, QUERY))
    attack.execute("BEGIN")
    attack.execute("DELETE FROM relationships WHERE type = 'uses'")
    assert "APT29" not in labels(search(attack, QUERY))
    attack.execute("ROLLBACK")
    assert labels(search(attack, QUERY)) == before


def test_another_connections_commit_is_seen(connect: Callable[..., Any], tmp_path: Path) -> None:
    from .conftest import ATTACK

    one, two = connect(tmp_path / "a.db"), connect(tmp_path / "a.db")
    one.executescript(ATTACK)
    assert "APT29" in labels(search(two, QUERY))
    one.execute("UPDATE objects SET name = 'Cozy Bear' WHERE id = 3")
    assert "Cozy Bear" in labels(search(two, QUERY))
    assert labels(search(two, "cozy bear"))[0] == "Cozy Bear"
    one.execute("DELETE FROM relationships")
    assert "Cozy Bear" not in labels(search(two, QUERY))


def test_a_row_that_is_gone_but_indexed_is_not_found(attack: Any) -> None:
    attack.execute("DELETE FROM objects WHERE id = 6")  # the full-text table is not told
    assert "Alone" not in labels(search(attack, QUERY))
    assert "Alone" not in labels(search(attack, QUERY, expand_hops=0))


def test_documents_without_a_graph(conn: Any) -> None:
    conn.executescript(
        "CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, body TEXT);"
        "INSERT INTO docs VALUES (1, 'One', 'a safe place'), (2, 'Two', 'a fast car');"
        "CREATE VIRTUAL TABLE docs_fts USING fts5(title, body, content=docs);"
        "INSERT INTO docs_fts(docs_fts) VALUES ('rebuild');"
    )
    answer = search(conn, "fast")
    assert labels(answer) == ["Two"]
    assert answer.rows[0].text == "a fast car"
    assert answer.edges == []
    assert "there are no edges: ranked by the match alone" in answer.missing
    assert answer.rows[0].via.sentence() == "matches the query itself, seed rank 1"


def test_a_full_text_table_of_its_own_is_a_table_of_nodes(conn: Any) -> None:
    conn.executescript(
        "CREATE VIRTUAL TABLE notes USING fts5(title, body);"
        "INSERT INTO notes VALUES ('One', 'a safe place'), ('Two', 'a fast car');"
    )
    answer = search(conn, "car")
    assert [(row.label, row.node, row.text) for row in answer.rows] == [("Two", 2, "a fast car")]


def test_a_long_text_is_no_label(conn: Any) -> None:
    """A file of one text column proposes it as the label, and a page of text is no heading."""
    conn.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, t TEXT)")
    whales, temples = "Whales sleep near the surface. " * 90, "日本語の文章" * 90
    conn.execute("INSERT INTO books (t) VALUES (?), (?)", (whales, temples))
    rows = {row.node: row for row in search(conn, "whales").rows}
    assert rows[1].label == whales[: len("Whales sleep near the surface. ") * 2 + 17] + " …"
    assert rows[1].text == whales
    rows = {row.node: row for row in search(conn, "日本語").rows}
    assert rows[2].label == temples[:80] + " …"


def test_without_any_index_texts_are_compared_by_spelling(conn: Any) -> None:
    conn.executescript(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT);"
        "INSERT INTO people VALUES (1, 'Ada Lovelace'), (2, 'Grace Hopper'), (3, NULL);"
    )
    answer = search(conn, "ada lovelase")
    assert labels(answer) == ["Ada Lovelace"]
    assert answer.missing[-2:] == [
        "there are no vectors: compared by spelling",
        "there is no full-text table: compared by spelling",
    ]


def test_of_many_rows_only_the_first_are_compared_and_that_is_said(
    conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlite_utils_muninn.search import letters

    monkeypatch.setattr(letters, "MOST_COMPARED", 50)
    conn.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
    conn.executemany("INSERT INTO people(name) VALUES (?)", [(f"name {n}",) for n in range(60)])
    answer = search(conn, "name 7", top_k=3)
    assert labels(answer)[0] == "name 7"
    assert "only the first 50 rows were compared by spelling" in answer.missing


def test_a_file_without_tables_says_so(conn: Any) -> None:
    with pytest.raises(ValueError, match="no table with texts to search"):
        search(conn, "x")


def test_several_declared_graphs_must_be_named(attack: Any) -> None:
    graph = graphs_of(attack)
    for name in ("one", "two"):
        define(attack, dataclasses.replace(graph, name=name))
    with pytest.raises(ValueError, match="which graph\\? Name one with 'graph': 'one', 'two'"):
        search(attack, QUERY)
    assert search(attack, QUERY, graph="two").graph == "two"
    with pytest.raises(ValueError, match="no knowledge graph is called 'three'; declared: 'one'"):
        search(attack, QUERY, graph="three")


def test_without_a_declaration_it_says_what_was_searched(attack: Any) -> None:
    answer = search(attack, QUERY)
    assert not answer.declared
    assert answer.missing[0] == (
        "no knowledge graph is declared: searched 'objects', with the edges of 'relationships'"
    )
    define(attack, graphs_of(attack))
    answer = search(attack, QUERY)
    assert answer.declared
    assert answer.missing == ["there are no vectors: searched by full text alone"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rank_by": "fame"}, "'rank_by' must be one of ppr, score, pagerank, betweenness, hop"),
        ({"fusion": "x"}, "'fusion' must be one of convex, rrf, got 'x'"),
        ({"alpha": 1.5}, "'alpha' must be from 0 to 1, got 1.5"),
        ({"alpha": float("nan")}, "'alpha' must be from 0 to 1, got nan"),
        ({"damping": 1}, "'damping' must be less than 1"),
        ({"alpha": "much"}, "'alpha' must be from 0 to 1, got 'much'"),
        ({"top_k": -1}, "'top_k' must be a whole number from 0 to 1000, got -1"),
        ({"top_k": 2.5}, "'top_k' must be a whole number from 0 to 1000, got 2.5"),
        ({"top_k": True}, "'top_k' must be a whole number from 0 to 1000, got True"),
        ({"expand_hops": 99}, "'expand_hops' must be a whole number from 0 to 10, got 99"),
        ({"candidates": 0}, "'candidates' must be a whole number from 1 to 1000, got 0"),
        ({"edge_table": "zzz"}, "'edge_table' must be an edge table of the graph 'knowledge'"),
        ({"where": "id = 1) OR (1"}, "'where' must be a SQL condition"),
        ({"where": "id = 1; DROP TABLE objects"}, "'where' must be one condition"),
        ({"where": "id = 1 -- "}, "'where' must be one condition without comments"),
        ({"where": "nonsense = 1"}, "'where' is no condition on the nodes: no such column"),
        ({"reranker": "nobody"}, "model 'nobody' is not loaded"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    attack: Any, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=r"^search: ") as caught:
        search(attack, QUERY, **settings)
    assert words in str(caught.value)


def test_an_unknown_argument_is_refused(attack: Any) -> None:
    with pytest.raises(TypeError, match="no argument 'tope_k'; it may be alpha, candidates"):
        search(attack, QUERY, tope_k=1)
    with pytest.raises(TypeError, match="'query' must be text, got int"):
        search(attack, 5)  # type: ignore[arg-type]


def test_every_option_can_be_given_by_keyword() -> None:
    from sqlite_utils_muninn.search.options import Options, Settings

    wanted = [setting.name for setting in dataclasses.fields(Options)]
    assert sorted(Settings.__annotations__) == sorted(wanted)


def test_none_counts_as_left_out(attack: Any) -> None:
    plain = search(attack, QUERY)
    assert search(attack, QUERY, top_k=None, alpha=None, node_types=None).rows == plain.rows


def test_a_connection_without_the_functions_says_what_to_do(sqlite: Any) -> None:
    conn = sqlite.connect(":memory:")
    with pytest.raises(ValueError, match=r"no SQL surface: sqlite_utils_muninn.load\(conn\)"):
        search(conn, QUERY)
    conn.close()


def test_sql_conditions_are_for_those_who_may_run_sql(
    connect: Callable[..., Any], tmp_path: Path
) -> None:
    from .conftest import ATTACK

    public = connect(tmp_path / "a.db", public=True)
    public.executescript(ATTACK)
    with pytest.raises(PermissionError, match="'where' is SQL, which may not be given here"):
        search(public, QUERY, where="1")
    found = search(public, QUERY, where="name LIKE 'K%'", may_execute_sql=True)
    assert labels(found) == ["Kerberoasting"]


def test_interrupts_arrive_as_the_connections_own_error(attack: Any) -> None:
    attack.executemany(
        "INSERT INTO objects(name) VALUES (?)", [(f"node {n}",) for n in range(5000)]
    )
    attack.set_progress_handler(lambda: 1, 1)
    with pytest.raises(attack.OperationalError, match=r"^interrupted$"):
        search(attack, QUERY)
    attack.set_progress_handler(None, 0)
    assert not attack.in_transaction
    assert search(attack, QUERY).rows


def test_a_host_has_the_last_word_on_time_and_text(
    connect: Callable[..., Any], tmp_path: Path
) -> None:
    from .conftest import ATTACK

    path = tmp_path / "a.db"
    connect(path).executescript(ATTACK)
    with pytest.raises(TimeoutError, match="stopped after 1e-09 seconds, the limit here"):
        search(connect(path, max_seconds=1e-9), QUERY)
    with pytest.raises(ValueError, match="text has 22 characters, at most 10 are allowed"):
        search(connect(path, max_text=10), QUERY)
    with pytest.raises(ValueError, match="10 rows asked for, at most 5 are allowed here"):
        search(connect(path, max_rows=5), QUERY)


@pytest.mark.parametrize(
    "where",
    ["objects.name = 'Alone'", "name = 'Alone'", '"objects"."name" IN (\'Alone\')', "rowid = 6"],
)
def test_a_condition_may_call_the_table_by_its_name(attack: Any, where: str) -> None:
    assert labels(search(attack, QUERY, where=where)) == ["Alone"]
    assert labels(search(attack, QUERY, where=where, expand_hops=0, candidates=1)) == ["Alone"]


def test_a_condition_on_a_full_text_table_that_is_the_nodes(conn: Any) -> None:
    conn.executescript(
        "CREATE VIRTUAL TABLE notes USING fts5(title, body);"
        "INSERT INTO notes VALUES ('One', 'a fast boat'), ('Two', 'a fast car');"
    )
    for where in ("title = 'Two'", "notes.title = 'Two'", "rowid = 2"):
        assert labels(search(conn, "fast", where=where)) == ["Two"]


def test_no_rows_are_wanted(attack: Any) -> None:
    assert search(attack, QUERY, top_k=0).rows == []
    assert search(attack, QUERY, top_k=0, expand_hops=0, mmr=0.5).rows == []


def test_an_edge_without_a_type_is_of_the_tables_kind(attack: Any) -> None:
    attack.execute("UPDATE relationships SET type = NULL WHERE type = 'uses'")
    rows = {row.label: row for row in search(attack, QUERY, edge_types="relationships").rows}
    assert rows["APT29"].via.sentence() == "Kerberoasting <-[relationships]- APT29, seed rank 1"
    assert "Encrypt Sensitive Information" not in rows


def test_a_full_text_table_that_keeps_no_positions(attack: Any) -> None:
    attack.executescript(
        "DROP TABLE objects_fts;"
        "CREATE VIRTUAL TABLE objects_fts USING fts5("
        "name, description, content='objects', detail=none);"
        "INSERT INTO objects_fts(objects_fts) VALUES ('rebuild');"
    )
    assert labels(search(attack, "crack_password-service's"))[0] == "Kerberoasting"


def test_an_attached_database_is_searched_by_its_name(
    attack: Any, connect: Callable[..., Any], tmp_path: Path
) -> None:
    from .conftest import ATTACK

    other = connect(tmp_path / "other.db")
    other.executescript(ATTACK)
    other.execute("UPDATE objects SET name = 'Elsewhere' WHERE id = 3")
    other.close()
    attack.execute("ATTACH ? AS other", (str(tmp_path / "other.db"),))
    assert "Elsewhere" in labels(search(attack, QUERY, schema="other"))
    assert "Elsewhere" not in labels(search(attack, QUERY))


def test_a_sqlite_utils_database_will_do(attack: Any) -> None:
    from types import SimpleNamespace

    assert labels(search(SimpleNamespace(conn=attack), QUERY)) == labels(search(attack, QUERY))
