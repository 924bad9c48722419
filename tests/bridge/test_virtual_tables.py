"""Virtual tables: a small key-value table in Python that keeps its rows in a shadow table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import (
    NOCHANGE,
    Module,
    Plan,
    Query,
    Rows,
    SQLError,
    VirtualTable,
    attach,
    quote,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Words(VirtualTable):
    """Rows (rowid, word); `word MATCH prefix` finds prefixes, `k` bounds their number."""

    schema = "CREATE TABLE x(word TEXT, k INTEGER HIDDEN)"
    columns = ("word", "k")
    hidden = ("k",)
    plans = (
        Plan(
            "prefix",
            requires=("word match",),
            uses=("k =", "rowid in", "rowid ="),
            order=(("word", "ASC"),),
            cost=10,
        ),
        Plan("rowid", requires=("rowid =",), cost=1, rows=1, unique=True),
        Plan("scan"),
    )
    calls: list[Any]

    def __init__(self, db: Any, schema: str, name: str) -> None:
        self.db, self.schema_name, self.name = db, schema, name

    @property
    def store(self) -> str:
        return f"{quote(self.schema_name)}.{quote(self.name + '_store')}"

    @classmethod
    def create(cls, db: Any, schema: str, name: str, arguments: list[str]) -> Words:
        if arguments:
            raise ValueError(f"words: unknown parameter {arguments[0]!r}")
        table = cls(db, schema, name)
        db.execute(f"CREATE TABLE {table.store} (id INTEGER PRIMARY KEY, word)")
        return table

    @classmethod
    def connect(cls, db: Any, schema: str, name: str, arguments: list[str]) -> Words:
        return cls(db, schema, name)

    def filter(self, query: Query) -> Rows:
        self.calls.append((query.plan, dict(query.constraints), query.limit))
        where, values = ["1"], []
        for key, value in query.constraints.items():
            if key == "word match":
                where.append("word GLOB ? || '*'")
                values.append(value)
            elif key == "rowid =":
                where.append("id = ?")
                values.append(value)
            elif key == "rowid in":
                where.append(f"id IN ({','.join('?' * len(value))})")
                values.extend(value)
        sql = f"SELECT id, word FROM {self.store} WHERE {' AND '.join(where)} ORDER BY word"
        rows = self.db.execute(sql, values)[: query.constraints.get("k =")]
        return Rows(([w for _, w in rows], [None] * len(rows)), rowids=[i for i, _ in rows])

    def insert(self, rowid: int | None, values: Any, conflict: str) -> int:
        if values[0] is None:
            raise SQLError("words: word must not be NULL", 19)
        verb = "INSERT OR REPLACE" if conflict == "replace" else "INSERT"
        sql = f"{verb} INTO {self.store} VALUES (?, ?)"
        self.db.execute(sql, (rowid, values[0]))
        return self.db.last_insert_rowid

    def update(self, old: int, new: int, values: Any, conflict: str) -> None:
        if values[0] is NOCHANGE:
            self.db.execute(f"UPDATE {self.store} SET id = ? WHERE id = ?", (new, old))
        else:
            sql = f"UPDATE {self.store} SET id = ?, word = ? WHERE id = ?"
            self.db.execute(sql, (new, values[0], old))

    def delete(self, rowid: int) -> None:
        self.db.execute(f"DELETE FROM {self.store} WHERE id = ?", (rowid,))

    def rename(self, name: str) -> None:
        self.db.execute(f"ALTER TABLE {self.store} RENAME TO {quote(name + '_store')}")
        self.name = name

    def destroy(self) -> None:
        self.db.execute(f"DROP TABLE {self.store}")

    def integrity(self) -> str | None:
        bad = self.db.execute(f"SELECT count(*) FROM {self.store} WHERE word IS NULL")[0][0]
        return f"{bad} words are NULL" if bad else None

    def begin(self) -> None:
        self.calls.append("begin")

    def sync(self) -> None:
        self.calls.append("sync")

    def commit(self) -> None:
        self.calls.append("commit")

    def rollback(self) -> None:
        self.calls.append("rollback")

    def savepoint(self, n: int) -> None:
        self.calls.append(f"savepoint {n}")

    def release(self, n: int) -> None:
        self.calls.append(f"release {n}")

    def rollback_to(self, n: int) -> None:
        self.calls.append(f"rollback to {n}")


def put(conn: Any) -> list[Any]:
    calls: list[Any] = []
    table = type("Words", (Words,), {"calls": calls})
    attach(conn, [Module("words", table, table.create, table.connect, shadow=("store",))])
    return calls


@pytest.fixture
def calls(conn: Any) -> list[Any]:
    conn.isolation_level = None
    calls = put(conn)
    conn.execute("CREATE VIRTUAL TABLE w USING words")
    conn.executemany("INSERT INTO w(rowid, word) VALUES (?, ?)", [(1, "ant"), (2, "bee")])
    calls.clear()
    return calls


def words(conn: Any) -> list[tuple[int, str]]:
    return conn.execute("SELECT rowid, word FROM w ORDER BY rowid").fetchall()


def test_rows_are_written_and_read(conn: Any, calls: list[Any]) -> None:
    conn.execute("INSERT INTO w(word) VALUES ('cat')")
    assert conn.execute("SELECT last_insert_rowid()").fetchone() == (3,)
    conn.execute("UPDATE w SET word = 'ape' WHERE rowid = 1")
    conn.execute("UPDATE w SET rowid = 9 WHERE word = 'bee'")
    conn.execute("DELETE FROM w WHERE rowid = 3")
    assert words(conn) == [(1, "ape"), (9, "bee")]


def test_each_query_takes_its_plan(conn: Any, calls: list[Any]) -> None:
    def run(sql: str) -> Any:
        calls.clear()
        rows = conn.execute(sql).fetchall()
        return calls, rows

    assert run("SELECT word FROM w WHERE rowid = 2") == (
        [("rowid", {"rowid =": 2}, None)],
        [("bee",)],
    )
    assert run("SELECT count(*) FROM w") == ([("scan", {}, None)], [(2,)])
    found = run("SELECT word FROM w WHERE word MATCH 'a' AND k = 5")
    assert found == ([("prefix", {"word match": "a", "k =": 5}, None)], [("ant",)])


def test_in_arrives_as_one_list(conn: Any, calls: list[Any]) -> None:
    sql = "SELECT rowid FROM w WHERE word MATCH '' AND rowid IN (2, 1, 77) ORDER BY word"
    assert conn.execute(sql).fetchall() == [(1,), (2,)]
    ((plan, constraints, _),) = calls
    assert (plan, sorted(constraints["rowid in"])) == ("prefix", [1, 2, 77])
    calls.clear()
    conn.execute("SELECT 1 FROM w WHERE word MATCH '' AND rowid IN (SELECT 2)").fetchall()
    assert calls == [("prefix", {"word match": "", "rowid in": [2]}, None)]


def test_a_match_that_cannot_be_answered_is_an_error(
    conn: Any, calls: list[Any], sqlite: Any
) -> None:
    with pytest.raises(sqlite.OperationalError, match="unable to use function MATCH"):
        conn.execute("SELECT * FROM w WHERE NOT word MATCH 'a'").fetchall()


def test_transaction_hooks_come_in_order(conn: Any, calls: list[Any]) -> None:
    conn.execute("INSERT INTO w(word) VALUES ('x')")
    assert calls == ["begin", "sync", "commit"]
    calls.clear()
    conn.execute("BEGIN")
    conn.execute("INSERT INTO w(word) VALUES ('y')")
    conn.execute("SAVEPOINT s")
    conn.execute("INSERT INTO w(word) VALUES ('z')")
    conn.execute("ROLLBACK TO s")
    conn.execute("RELEASE s")
    conn.execute("ROLLBACK")
    assert calls[0] == "begin"
    assert [c for c in calls if " " in c or c == "rollback"] == [
        "savepoint 0",
        "rollback to 0",
        "release 0",
        "rollback",
    ]
    assert words(conn) == [(1, "ant"), (2, "bee"), (3, "x")]


def test_a_failed_statement_leaves_nothing(conn: Any, calls: list[Any], sqlite: Any) -> None:
    """The fault: the rows before the failing one stay."""
    for prepare in ("", "BEGIN"):
        if prepare:
            conn.execute(prepare)
        with pytest.raises(sqlite.IntegrityError, match="word must not be NULL"):
            conn.execute("INSERT INTO w(word) VALUES ('x'), ('y'), (NULL)")
        assert words(conn) == [(1, "ant"), (2, "bee")]


def test_or_ignore_and_or_replace(conn: Any, calls: list[Any], sqlite: Any) -> None:
    with pytest.raises(sqlite.IntegrityError, match="UNIQUE"):
        conn.execute("INSERT INTO w(rowid, word) VALUES (1, 'new')")
    conn.execute("INSERT OR IGNORE INTO w(rowid, word) VALUES (1, 'new'), (3, 'cat')")
    assert words(conn) == [(1, "ant"), (2, "bee"), (3, "cat")]
    conn.execute("INSERT OR REPLACE INTO w(rowid, word) VALUES (1, 'new')")
    assert words(conn)[0] == (1, "new")


def test_an_ignored_row_leaves_no_text_for_a_later_error(
    connect: Callable[..., Any], tmp_path: Any, sqlite: Any
) -> None:
    """The fault: a lock at commit is reported with the words of a row that was ignored."""
    writer = connect(tmp_path / "w.db", isolation_level=None, timeout=0)
    put(writer)
    writer.execute("CREATE VIRTUAL TABLE w USING words")
    writer.execute("INSERT INTO w(rowid, word) VALUES (1, 'x')")
    reader = connect(tmp_path / "w.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM w_store").fetchall()
    with pytest.raises(sqlite.OperationalError) as caught:
        writer.execute("INSERT OR IGNORE INTO w(rowid, word) VALUES (1, 'again'), (2, 'new')")
    assert str(caught.value) == "database is locked"


def test_rename_and_drop_take_the_shadow_table_along(conn: Any, calls: list[Any]) -> None:
    conn.execute('ALTER TABLE w RENAME TO "odd "" name"')
    conn.execute('INSERT INTO "odd "" name"(word) VALUES (\'x\')')
    assert conn.execute('SELECT count(*) FROM "odd "" name"').fetchone() == (3,)
    conn.execute('DROP TABLE "odd "" name"')
    assert conn.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_shadow_tables_are_typed_as_such(conn: Any, calls: list[Any]) -> None:
    types = {name: kind for _, name, kind, *_ in conn.execute("PRAGMA table_list")}
    assert types["w_store"] == "shadow"
    assert types["w"] == "virtual"


def test_integrity_check_asks_the_table(conn: Any, calls: list[Any], sqlite: Any) -> None:
    conn.execute("UPDATE w_store SET word = NULL WHERE id = 1")
    results = [row[0] for row in conn.execute("PRAGMA integrity_check")]
    if sqlite.sqlite_version_info >= (3, 44):
        assert any("1 words are NULL" in result for result in results)


def test_a_create_that_fails_says_why_and_leaves_nothing(conn: Any, sqlite: Any) -> None:
    put(conn)
    with pytest.raises(sqlite.OperationalError) as caught:
        conn.execute("CREATE VIRTUAL TABLE w USING words(color=red)")
    assert str(caught.value) == "words: unknown parameter 'color=red'"
    assert conn.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_create_is_undone_by_rollback(conn: Any, sqlite: Any) -> None:
    conn.isolation_level = None
    put(conn)
    conn.execute("BEGIN")
    conn.execute("CREATE VIRTUAL TABLE w USING words")
    conn.execute("ROLLBACK")
    assert conn.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    conn.execute("CREATE VIRTUAL TABLE w USING words")
    assert words(conn) == []


def test_a_file_reopens_and_attached_files_work(connect: Callable[..., Any], tmp_path: Any) -> None:
    first = connect(tmp_path / "a.db")
    put(first)
    first.execute("CREATE VIRTUAL TABLE w USING words")
    first.execute("INSERT INTO w(word) VALUES ('kept')")
    first.commit()
    first.close()
    second = connect(tmp_path / "b.db")
    put(second)
    second.execute("ATTACH ? AS other", [str(tmp_path / "a.db")])
    assert second.execute("SELECT word FROM other.w").fetchall() == [("kept",)]


def test_a_read_only_file_can_be_read(connect: Callable[..., Any], tmp_path: Any) -> None:
    first = connect(tmp_path / "a.db")
    put(first)
    first.execute("CREATE VIRTUAL TABLE w USING words")
    first.execute("INSERT INTO w(word) VALUES ('kept')")
    first.commit()
    for mode in ("mode=ro", "immutable=1"):
        second = connect(f"file:{tmp_path}/a.db?{mode}", uri=True)
        put(second)
        assert words(second) == [(1, "kept")]


def test_unchanged_columns_are_not_read_for_an_update(conn: Any) -> None:
    seen = []

    class Wide(Words):
        calls: list[Any] = []  # noqa: RUF012
        schema = "CREATE TABLE x(word TEXT, big BLOB)"
        columns = ("word", "big")
        hidden = ()
        plans = (Plan("rowid", requires=("rowid =",), unique=True), Plan("scan"))

        def filter(self, query: Query) -> Rows:
            return Rows((["w"], [b"B"]), rowids=[1])

        def update(self, old: int, new: int, values: Any, conflict: str) -> None:
            seen.append((old, new, *values))

    attach(conn, [Module("wide", Wide, Wide.create, Wide.connect, shadow=("store",))])
    conn.execute("CREATE VIRTUAL TABLE w USING wide")
    conn.execute("UPDATE w SET word = 'v' WHERE rowid = 1")
    assert seen == [(1, 1, "v", NOCHANGE)]


def test_another_collation_is_left_to_sqlite(conn: Any) -> None:
    """The fault: answering NOCASE with a comparison byte by byte loses rows."""
    asked = []

    class Named(Words):
        calls: list[Any] = []  # noqa: RUF012
        plans = (Plan("named", requires=("word =",)), Plan("scan"))

        def filter(self, query: Query) -> Rows:
            asked.append(query.plan)
            return Rows((["ant", "ANT"], [None, None]))

    attach(conn, [Module("named", Named, Named.create, Named.connect, shadow=("store",))])
    conn.execute("CREATE VIRTUAL TABLE w USING named")
    assert len(conn.execute("SELECT 1 FROM w WHERE word = 'ant'").fetchall()) == 1
    assert len(conn.execute("SELECT 1 FROM w WHERE word = 'ant' COLLATE NOCASE").fetchall()) == 2
    assert asked == ["named", "scan"]
