"""The database file: what is in it, and that it is made once, whole, over nobody else's work."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils
from sqlite_utils.utils import sqlite3

from demo import build
from demo.attack import read_attack
from demo.build import build_database
from demo.knowledge_base import check_knowledge_base, write_knowledge_base


def query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as conn:
        return list(conn.execute(sql))


def test_relationships_join_objects_by_row_id(database: Path) -> None:
    build_database(database)
    sql = """
        SELECT s.name, r.type, t.name, r.description, r.citations FROM relationships r
        JOIN objects s ON s.id = r.source JOIN objects t ON t.id = r.target ORDER BY r.id
    """
    assert query(database, sql) == [
        ("Mal", "uses", "Obfuscation", "Mal hides.", '["A 2020"]'),
        ("Obfuscation: Junk Data", "subtechnique-of", "Obfuscation", "", "[]"),
    ]
    assert len(query(database, "PRAGMA foreign_key_list(relationships)")) == 2


def test_full_text_follows_the_tables(database: Path) -> None:
    """An index without triggers would go on finding what was there at the build."""
    build_database(database)
    find = (
        "SELECT o.name FROM objects AS o JOIN objects_fts ON objects_fts.rowid = o.id "
        "WHERE objects_fts {}"
    )
    assert query(database, find.format("MATCH 'password'")) == [("Mal",)], "stems are matched"
    with closing(sqlite3.connect(database)) as conn, conn:
        conn.execute("UPDATE objects SET description = 'It knits.' WHERE name = 'Mal'")
    assert query(database, find.format("MATCH 'password'")) == []
    assert query(database, find.format("MATCH 'knitting'")) == [("Mal",)]


def test_the_file_carries_the_notice_that_the_terms_ask_for(database: Path) -> None:
    build_database(database)
    about = dict(query(database, "SELECT name, value FROM about"))
    assert "reproduced and distributed with the permission of The MITRE" in about["copyright"]
    assert "royalty-free license" in about["license"]


def test_a_second_build_leaves_the_file_alone(database: Path) -> None:
    assert build_database(database) is True
    before = os.stat(database)
    assert build_database(database) is False
    assert os.stat(database) == before


def test_another_recipe_builds_again(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_database(database)
    monkeypatch.setattr(build, "package_version", lambda: "0.0.newer")
    assert build_database(database) is True
    assert build_database(database) is False


def test_a_rebuild_takes_the_write_ahead_log_with_it(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log left by a killed process would be replayed into the new file."""
    build_database(database)
    leave_write_ahead_log(database)
    monkeypatch.setattr(build, "package_version", lambda: "0.0.newer")
    assert build_database(database) is True
    assert not Path(f"{database}-wal").exists()
    assert query(database, "SELECT count(*) FROM objects WHERE name = 'stale'") == [(0,)]
    assert query(database, "PRAGMA integrity_check") == [("ok",)]


def leave_write_ahead_log(path: Path) -> None:
    """A child process writes in WAL mode and is gone before it could clean up."""
    child = os.fork()
    if child == 0:
        conn = sqlite3.connect(path)
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("UPDATE objects SET name = 'stale'")
        conn.commit()
        os._exit(0)
    os.waitpid(child, 0)
    assert Path(f"{path}-wal").stat().st_size > 0


def test_a_database_in_use_is_not_replaced(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_database(database)
    monkeypatch.setattr(build, "package_version", lambda: "0.0.newer")
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ValueError, match="is in use"):
            build_database(database)


@pytest.mark.parametrize("kind", ["text", "other database"])
def test_a_file_of_another_origin_is_left_alone(database: Path, kind: str) -> None:
    if kind == "text":
        database.write_text("my thesis " * 100)
    else:
        query(database, "CREATE TABLE thesis (chapter)")
    before = database.read_bytes()
    with pytest.raises(ValueError, match="was not made by this demo and is left alone"):
        build_database(database)
    assert database.read_bytes() == before


def test_a_failed_build_leaves_the_old_file(
    database: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_database(database)
    before = database.read_bytes()
    monkeypatch.setattr(build, "package_version", lambda: "0.0.newer")
    (package / "mitigations-lookup-v18.1.json").unlink()
    with pytest.raises(ValueError, match="mitigations"):
        build_database(database)
    assert database.read_bytes() == before


def test_a_relationship_to_nowhere_is_refused(database: Path, package: Path) -> None:
    path = package / "relationships-lookup-v18.1.json"
    path.write_text(path.read_text().replace("malware--1", "malware--9"))
    with pytest.raises(ValueError, match="relationship--1: its end malware--9"):
        build_database(database)
    assert not database.exists()


def test_the_check_finds_a_lost_row_and_a_dangling_edge(package: Path, tmp_path: Path) -> None:
    attack = read_attack(package)
    with closing(sqlite_utils.Database(tmp_path / "x.db", execute_plugins=False)) as db:
        write_knowledge_base(db, attack, "recipe")
        check_knowledge_base(db, attack)
        db["relationships"].update(1, {"target": 999})
        with pytest.raises(ValueError, match="foreign keys that point nowhere: 1"):
            check_knowledge_base(db, attack)
        db["relationships"].delete(1)
        with pytest.raises(ValueError, match="relationships: 1 rows written of 2"):
            check_knowledge_base(db, attack)
