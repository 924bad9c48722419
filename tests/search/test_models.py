"""Searches with real models: tiny files that llama.cpp runs, and the reference reranker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import search
from sqlite_utils_muninn.search import KnowledgeGraph, NodeTable, propose

from .conftest import ATTACK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

QUERY = "crack password service"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny.gguf`, `other.gguf` embed, `judge.gguf` reranks."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    pytest.importorskip("gguf", reason="gguf is not installed: tiny models cannot be written")
    from tests.tiny_gguf import Bert, BertReranker

    directory = tmp_path_factory.mktemp("files")
    Bert(1).write(directory / "tiny.gguf")
    Bert(2).write(directory / "other.gguf")
    BertReranker(3).write(directory / "judge.gguf")
    return directory


@pytest.fixture
def models(files: Path) -> dict[str, str]:
    return {name: str(files / f"{name}.gguf") for name in ("tiny", "other", "judge")}


@pytest.fixture
def embedded(connect: Callable[..., Any], models: dict[str, str], tmp_path: Path) -> Any:
    """The objects with full text, and with vectors of the model `tiny`."""
    conn = connect(tmp_path / "a.db", models=models)
    conn.executescript(ATTACK)
    conn.execute(
        "CREATE VIRTUAL TABLE objects_vectors USING hnsw_text(model='tiny', content='objects', "
        "content_column='name', content_column='description')"
    )
    conn.execute("INSERT INTO objects_vectors(rowid) SELECT id FROM objects")
    return conn


def test_meaning_and_full_text_are_fused(embedded: Any) -> None:
    graph = propose(embedded)
    assert graph.nodes[0].vectors == "objects_vectors"
    answer = search(embedded, QUERY)
    assert [text.partition(":")[0] for text in answer.missing] == ["no knowledge graph is declared"]
    assert [stage.name for stage in answer.stages][:5] == [
        *("graph", "names", "embed", "fulltext", "vectors"),
    ]
    far = dict(
        embedded.execute(
            "SELECT rowid, distance FROM objects_vectors WHERE content MATCH ? AND k = 10", (QUERY,)
        ).fetchall()
    )
    assert len(answer.rows) == 6
    assert {row.node: row.distance for row in answer.rows} == pytest.approx(far)
    assert {row.node for row in answer.rows if row.fts_rank} == {1, 6}


def test_the_vector_of_a_query_may_be_given(embedded: Any) -> None:
    (vector,) = embedded.execute("SELECT muninn_embed('tiny', ?, 'query')", (QUERY,)).fetchone()
    given = search(embedded, QUERY, query_vector=vector)
    assert given.rows == search(embedded, QUERY).rows
    wrong = search(embedded, QUERY, query_vector=vector[:-4])
    assert "the query's vector has" in wrong.missing[1]
    assert [row.distance for row in wrong.rows] == [None] * len(wrong.rows)


def test_a_file_whose_model_is_not_here_is_searched_by_full_text(
    embedded: Any, connect: Callable[..., Any], tmp_path: Path
) -> None:
    bare = connect(tmp_path / "a.db")
    answer = search(bare, QUERY)
    assert answer.rows[0].label == "Kerberoasting"
    (sentence,) = [text for text in answer.missing if "vectors" in text]
    assert sentence.startswith("searched 'objects' without its vectors: hnsw_text: model 'tiny'")
    with pytest.raises(ValueError, match="model 'tiny' is not loaded"):
        search(bare, QUERY, model="tiny")


def test_of_several_models_the_one_that_is_named_is_used(embedded: Any) -> None:
    embedded.execute(
        "CREATE VIRTUAL TABLE others USING hnsw_text(model='other', content='objects', "
        "content_column='name')"
    )
    embedded.execute("INSERT INTO others(rowid) SELECT id FROM objects")
    one, other = (
        {row.node: row.distance for row in search(embedded, QUERY, model=name).rows}
        for name in ("tiny", "other")
    )
    assert one.keys() == other.keys()
    assert one != other
    with pytest.raises(ValueError, match="no table has vectors of model 'judge'; there are"):
        search(embedded, QUERY, model="judge")


def test_vectors_that_do_not_say_their_model_want_it_named(embedded: Any) -> None:
    size = embedded.execute("SELECT muninn_model_dim('tiny')").fetchone()[0]
    embedded.execute(f"CREATE VIRTUAL TABLE v USING hnsw_index(dimensions={size})")
    embedded.execute(
        "INSERT INTO v(rowid, vector) "
        "SELECT id, muninn_embed('tiny', name || char(10) || description) FROM objects"
    )
    graph = KnowledgeGraph("g", (NodeTable("objects", label="name", vectors="v"),))
    named = search(embedded, QUERY, graph=graph, model="tiny")
    same = KnowledgeGraph("g", (NodeTable("objects", label="name", vectors="objects_vectors"),))
    assert [row.node for row in named.rows] == [
        row.node for row in search(embedded, QUERY, graph=same).rows
    ]
    unnamed = search(embedded, "apt29", graph=graph)
    assert any("'v' does not say which model they are of" in text for text in unnamed.missing)


def test_a_reranker_has_its_say(embedded: Any) -> None:
    plain = search(embedded, QUERY, expand_hops=0)
    judged = search(embedded, QUERY, expand_hops=0, reranker="judge", rerank_weight=1)
    texts = {row.node: row.label + "\n" + row.text for row in plain.rows}
    wanted = {
        node: embedded.execute("SELECT muninn_rerank('judge', ?, ?)", (QUERY, text)).fetchone()[0]
        for node, text in texts.items()
    }
    found = {row.node: row.rerank_score for row in judged.rows}
    assert found == pytest.approx(wanted, abs=1e-3)
    order = sorted(wanted, key=lambda node: -wanted[node])
    assert [row.node for row in judged.rows] == order
    assert next(row.relevance for row in judged.rows) == 1
    assert [row.relevance for row in judged.rows][-1] == 0


def test_only_the_best_are_reranked_and_stay_in_front(embedded: Any) -> None:
    best = [row.node for row in search(embedded, QUERY, expand_hops=0).rows[:2]]
    judged = search(embedded, QUERY, expand_hops=0, reranker="judge", rerank_top=2)
    assert {row.node for row in judged.rows if row.rerank_score is not None} == set(best)
    assert {row.node for row in judged.rows[:2]} == set(best)


def test_a_server_may_rerank_in_its_own_way(embedded: Any) -> None:
    asked: list[tuple[str, Sequence[str]]] = []

    def judge(query: str, texts: Sequence[str]) -> list[float]:
        asked.append((query, texts))
        return [float("Phishing" in text) for text in texts]

    answer = search(embedded, QUERY, reranker=judge, rerank_weight=1, expand_hops=0)
    assert answer.rows[0].label == "Phishing"
    assert asked[0][0] == QUERY
    wanted = "Kerberoasting\nAbuse a valid ticket to crack the password of a service"
    assert wanted in asked[0][1]
    assert len(asked[0][1]) == 6
    with pytest.raises(ValueError, match="the reranker gave"):
        search(embedded, QUERY, reranker=lambda query, texts: [0.5])


def test_an_embedding_model_is_no_reranker(embedded: Any) -> None:
    with pytest.raises(ValueError, match="search: model 'tiny' embeds single texts"):
        search(embedded, QUERY, reranker="tiny")


def test_from_sql_with_a_reranker(embedded: Any) -> None:
    sql = "SELECT node, rerank_score FROM knowledge_graph_search(?, 'tiny', 3, 'judge')"
    found = embedded.execute(sql, (QUERY,)).fetchall()
    assert found == [
        (row.node, row.rerank_score)
        for row in search(embedded, QUERY, model="tiny", top_k=3, reranker="judge").rows
    ]


def test_a_vector_table_with_texts_of_its_own_is_a_table_of_nodes(
    connect: Callable[..., Any], models: dict[str, str], tmp_path: Path
) -> None:
    conn = connect(tmp_path / "b.db", models=models)
    conn.execute("CREATE VIRTUAL TABLE notes USING hnsw_text(model='tiny')")
    conn.execute("INSERT INTO notes(rowid, content) VALUES (3, 'a red boat'), (9, 'fresh bread')")
    answer = search(conn, "a red boat")
    assert [(row.node, row.label) for row in answer.rows] == [(3, "a red boat"), (9, "fresh bread")]
    assert answer.rows[0].distance == pytest.approx(0, abs=1e-3)
    assert "there is no full-text table: searched by vectors alone" in answer.missing
