"""One search, stage by stage: candidates, fusion, reranking, seeds, the walk, reasons."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.graph.cache import CACHE
from sqlite_utils_muninn.graph.work import Work

from . import fusion, letters, notes, ranking, reading, reasons, texts
from .answer import Answer, Row, Stage
from .choosing import Choice, choose
from .diversity import marginal
from .filters import filters, qualifying
from .fulltext import full_text
from .meaning import Meaning
from .names import by_name
from .nearest import by_meaning, vectors_of
from .network import Following, Loaded
from .options import Options
from .pool import Asked, Candidate, Pool
from .reranking import Reranker, rerank
from .seeds import Scores, neighbours, seeds_of
from .vocabulary import Vocabulary
from .walk import Spread, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.settings import Host

    from .binding import Bound, Nodes
    from .choosing import Chosen
    from .declared import KnowledgeGraph
    from .filters import Filter
    from .pool import Place

CALLER = "search"


@dataclass(frozen=True)
class Request:
    """What is asked: see `sqlite_utils_muninn.search`."""

    query: str
    graph: str | KnowledgeGraph | None = None
    model: str | None = None
    reranker: str | Reranker | None = None
    edge_table: str | None = None
    query_vector: bytes | Mapping[str, bytes] | None = None
    visible: Collection[str] | None = None
    schema: str = "main"
    may_execute_sql: bool = False
    options: Options = field(default_factory=Options)


class Search:
    """One search on one connection."""

    def __init__(self, db: Database, host: Host, request: Request, caller: str = CALLER) -> None:
        self.db, self.host, self.caller = db, host, caller
        self.request, self.options = request, request.options
        self.stages: list[Stage] = []
        self.missing: list[str] = []
        self.filters: dict[int, Filter] = {}
        self.is_walked = False
        self.check = host.watch(caller, db.check)
        self.work = Work(caller, self.check, host.graph_memory, host.threads)

    def answer(self) -> Answer:
        """Run all stages. Raises ValueError for what cannot be, with one sentence."""
        self._check()
        request = self.request
        choice = Choice(request.graph, request.edge_table, request.visible, request.schema)
        chosen = choose(self.db, self.caller, choice)
        self.missing += chosen.missing
        if not request.query.strip() and request.query_vector is None:
            # A model has a vector for nothing, too, and finds some rows near to it.
            self.missing.append("the query is empty")
            return self._answer(chosen, ranking.Ranked([]))
        # A copy: a model that is asked for may choose other vectors.
        nodes = list(chosen.bound.nodes)
        self.filters = filters(self.db, self.caller, nodes, self.options)
        loaded = self._network(chosen.bound)
        self.is_walked = bool(chosen.bound.edges)
        pool = self._pool(nodes, loaded)
        scores = self._relevance(pool, nodes, loaded)
        ranked = self._ranked(nodes, loaded, pool, scores)
        answer = self._answer(chosen, ranked)
        found = {row.type for row in answer.rows}
        unseen = [kind for kind in self.options.node_types or () if kind not in found]
        if unseen:
            self.missing += notes.no_such_nodes(self.db, chosen.bound.nodes, unseen)
        return answer

    def _check(self) -> None:
        self.host.check_text(self.caller, self.request.query)
        self.options.check(self.caller)
        self.host.check_rows(self.caller, self.options.top_k)
        if self.request.reranker is not None:
            self.host.check_rows(self.caller, self.options.rerank_top)
        is_free = self.request.may_execute_sql or not self.host.public
        if self.options.where is not None and not is_free:
            raise PermissionError(
                f"{self.caller}: argument 'where' is SQL, which may not be given here"
            )

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int], None]]:
        """Time a stage; it says how much came of it."""
        counts = [0]
        start = time.perf_counter()
        yield lambda count: counts.__setitem__(0, count)
        self.stages.append(Stage(name, (time.perf_counter() - start) * 1e3, counts[0]))
        self.check()

    # ---- The graph ----

    def _network(self, bound: Bound) -> Loaded | None:
        """The graph in memory, where the answer needs it: edges, or the other names of nodes."""
        options = self.options
        if not bound.edges:
            self.missing.append("there are no edges: ranked by the match alone")
        has_aliases = options.names > 0 and any(table.aliases for table in bound.nodes)
        if not options.expand_hops or not (bound.edges or has_aliases):
            return None
        CACHE.limit = self.host.graph_cache
        with self.stage("graph") as count:
            times = (options.time_start, options.time_end)
            named, timed = options.names > 0, times != (None, None)
            tables = bound.nodes, bound.edges
            read = reading.load(self.db, *tables, self.work, named=named, timed=timed)
            given = options.type_weights or bound.declared.type_weights
            following = Following(tuple(sorted(given.items())), options.edge_types, *times)
            weights = read.weights(following, self.work)
            count(read.graph.edges)
        self.missing += notes.unmet(bound, read, options)
        return Loaded(read, weights)

    # ---- Candidates ----

    def _pool(self, nodes: list[Nodes], loaded: Loaded | None) -> Pool:
        pool = Pool()
        query = self.request.query
        vocabulary = Vocabulary(self.db, [t.fts for t in nodes if t.fts], self.check)
        if loaded is not None and self.options.names:
            with self.stage("names") as count:
                count(by_name(query, loaded.network, vocabulary, pool))
        vectors = self._vectors(nodes)
        limit = self.options.candidates
        asked = Asked(self.db, query, nodes, self.filters, limit, self.check)
        if vocabulary.indexes:
            with self.stage("fulltext") as count:
                count(full_text(asked, vocabulary, pool))
        if vectors:
            with self.stage("vectors") as count:
                count(by_meaning(asked, vectors, pool))
        self._say_what_is_missing(nodes, bool(vectors))
        if not vectors and not vocabulary.indexes:
            with self.stage("letters") as count:
                number, is_all = letters.by_letters(asked, pool)
                count(number)
            if not is_all:
                self.missing.append(
                    f"only the first {letters.MOST_COMPARED:,} rows were compared by spelling"
                )
        return self._present(pool, nodes)

    def _vectors(self, nodes: list[Nodes]) -> dict[int, bytes]:
        """The query's vector for each table that has vectors."""
        request = self.request
        if not any(table.vectors for table in nodes):
            return {}
        with self.stage("embed") as count:
            meaning = Meaning(
                db=self.db,
                host=self.host,
                caller=self.caller,
                query=request.query,
                model=request.model,
                given=request.query_vector,
                missing=self.missing,
            )
            vectors = meaning.vectors(nodes)
            count(len(vectors))
        return vectors

    def _say_what_is_missing(self, nodes: list[Nodes], has_vectors: bool) -> None:
        has_fts = any(table.fts for table in nodes)
        if not any(table.vectors for table in nodes):
            instead = "searched by full text alone" if has_fts else "compared by spelling"
            self.missing.append(f"there are no vectors: {instead}")
        if not has_fts:
            instead = "searched by vectors alone" if has_vectors else "compared by spelling"
            self.missing.append(f"there is no full-text table: {instead}")

    def _present(self, pool: Pool, nodes: list[Nodes]) -> Pool:
        """Leave out what an index still knows, and the table no longer."""
        kept: dict[Place, Any] = {}
        for table in nodes:
            places = [place for place in pool.found if place[0] == table.number]
            there = qualifying(self.db, table, [key for _, key in places], None)
            kept |= {place: pool.found[place] for place in places if place[1] in there}
        return Pool({place: one for place, one in pool.found.items() if place in kept})

    # ---- Scores ----

    def _relevance(self, pool: Pool, nodes: list[Nodes], loaded: Loaded | None) -> Scores:
        options = self.options
        with self.stage("fusion") as count:
            bm25, cosine = pool.column("bm25"), pool.column("cosine")
            fused = (
                fusion.rrf(bm25, cosine)
                if options.fusion == "rrf"
                else fusion.convex(bm25, cosine, options.alpha)
            )
            if loaded is not None:
                degree = np.zeros(len(pool))
                if options.popularity:
                    degree = neighbours(loaded, nodes, pool, self.work)
                named = np.nan_to_num(pool.column("named"))
                fused = fusion.with_names(fused, named, degree, options.names, options.popularity)
            count(len(fused))
        scores = Scores(fused, fused, np.full(len(fused), np.nan))
        if self.request.reranker is None or not len(pool):
            return scores
        with self.stage("rerank") as count:
            scores = self._reranked(self.request.reranker, fused, pool, nodes)
            count(int((~np.isnan(scores.reranked)).sum()))
        return scores

    def _reranked(
        self, reranker: str | Reranker, fused: np.ndarray, pool: Pool, nodes: list[Nodes]
    ) -> Scores:
        top = np.argsort(-fused, kind="stable")[: self.options.rerank_top]
        places = list(pool.found)
        said = texts.read(self.db, nodes, [places[i] for i in top])
        whole = [said[places[i]].whole for i in top]
        query = self.request.query
        judged = rerank(self.db, self.host, self.caller, reranker, query, whole, self.check)
        reranked = np.full(len(fused), np.nan)
        reranked[top] = judged.scores
        relevance = fusion.blend(fused, top, judged.logits, self.options.rerank_weight)
        return Scores(fused, relevance, reranked)

    # ---- The walk ----

    def _ranked(
        self, nodes: list[Nodes], loaded: Loaded | None, pool: Pool, scores: Scores
    ) -> ranking.Ranked:
        options = self.options
        order = ranking.Order(self.db, nodes, self.filters, options, self.check)
        if loaded is None or not self.is_walked or not len(pool):
            return self._unlike(nodes, order.alone(pool, scores))
        spread = Spread(options.damping, options.expand_hops, options.hub_cap)
        with Walk(loaded.network, loaded.weights, spread, self.work) as walk:
            with self.stage("walk") as count:
                seeds = seeds_of(loaded.network, nodes, pool, scores, options, self.work)
                reached = walk.run(seeds.nodes, seeds.start)
                count(len(reached.nodes))
            with self.stage("rank") as count:
                ranked = self._unlike(
                    nodes, order.walked(loaded.network, reached, seeds, self.work)
                )
                count(len(ranked.items))
            with self.stage("reasons") as count:
                places = np.array([item.at for item in ranked.items], np.int64)
                ranked = replace(ranked, reasons=walk.origins(places))
                count(len(ranked.items))
        return ranked

    def _unlike(self, nodes: list[Nodes], ranked: ranking.Ranked) -> ranking.Ranked:
        """Rows that are unlike each other, where that is asked for."""
        options, items = self.options, ranked.items
        if options.mmr is None:
            return ranked
        scores = np.array([item.score for item in items])
        vectors = vectors_of(self.db, nodes, [item.place for item in items])
        if items and np.isnan(vectors).all():
            self.missing.append("there are no vectors to tell like rows by: mmr did nothing")
        chosen = marginal(scores, vectors, options.mmr, options.top_k)
        return replace(ranked, items=[items[n] for n in chosen])

    # ---- The answer ----

    def _answer(self, chosen: Chosen, ranked: ranking.Ranked) -> Answer:
        with self.stage("rows") as count:
            drawn = reasons.drawn(ranked, self.work)
            said = texts.read(self.db, chosen.bound.nodes, drawn.places)
            told = reasons.Told(chosen.bound, ranked, said)
            rows = [_row(told, n, item) for n, item in enumerate(ranked.items, 1)]
            count(len(rows))
        return Answer(
            chosen.graph.name,
            chosen.declared,
            self.request.query,
            rows,
            told.nodes(drawn),
            told.edges(drawn),
            self.stages,
            self.missing,
        )


def _row(told: reasons.Told, rank: int, item: ranking.Item) -> Row:
    node, candidate = told.node(item.place), item.candidate or Candidate(item.place)
    return Row(
        **vars(node),
        text=told.said[item.place].text,
        rank=rank,
        score=item.score,
        hop=item.hop,
        fts_rank=candidate.fts_rank,
        bm25=candidate.bm25,
        distance=candidate.distance,
        name_match=candidate.named,
        fused=item.fused,
        rerank_score=item.rerank_score,
        relevance=item.relevance,
        ppr=item.ppr,
        via=told.via(item),
    )
