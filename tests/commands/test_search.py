"""sqlite-utils muninn search, and graph define, list and drop."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from sqlite_utils_muninn import connect
from sqlite_utils_muninn.search import graphs
from sqlite_utils_muninn.search.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

from tests.search.conftest import ATTACK

QUERY = "crack password service"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "attack.db"
    conn = connect(path)
    conn.executescript(ATTACK)
    conn.close()
    return path


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    from sqlite_utils.cli import cli as sqlite_utils

    monkeypatch.setenv("MUNINN_MODELS_DIR", str(tmp_path / "models"))

    def run(*arguments: Any, stdin: str | None = None) -> Any:
        given = ["muninn", *(str(argument) for argument in arguments)]
        return CliRunner().invoke(sqlite_utils, given, input=stdin)

    return run


def test_each_row_says_why(cli: Callable[..., Any], path: Path) -> None:
    result = cli("search", path, QUERY, "-n", 3)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("  1. Kerberoasting (technique)  ")
    assert lines[1] == "     matches the query itself, seed rank 1"
    assert lines[2] == "     Abuse a valid ticket to crack the password of a service"
    assert "     Kerberoasting <-[" in result.stdout
    assert result.stderr.splitlines() == [
        "Note: no knowledge graph is declared: searched 'objects', "
        "with the edges of 'relationships'",
        "Note: there are no vectors: searched by full text alone",
    ]


def csv_of(result: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_json_has_everything(cli: Callable[..., Any], path: Path) -> None:
    result = cli("search", path, QUERY, "--json")
    answer = json.loads(result.stdout)
    assert list(answer) == [
        *("graph", "declared", "query", "rows", "nodes", "edges", "stages", "missing"),
    ]
    assert answer["rows"][0]["label"] == "Kerberoasting"
    assert answer["rows"][1]["via"]["path"][0]["type"] in ("uses", "mitigates")
    sentences = [row["reason"] for row in csv_of(cli("search", path, QUERY, "--csv"))]
    assert [row["via"]["sentence"] for row in answer["rows"]] == sentences


def test_sqlite_utils_own_formats(cli: Callable[..., Any], path: Path) -> None:
    rows = csv_of(cli("search", path, QUERY, "--csv"))
    assert rows[0]["label"] == "Kerberoasting"
    assert rows[0]["fts_rank"] == "1"
    lines = cli("search", path, QUERY, "--nl", "-n", 2).stdout.splitlines()
    assert [json.loads(line)["rank"] for line in lines] == [1, 2]
    table = cli("search", path, QUERY, "-t", "-n", 1).stdout.splitlines()
    assert table[0].split() == ["rank", "score", "table", "node", "label", "type", "hop", "reason"]


def test_options_reach_the_engine(cli: Callable[..., Any], path: Path) -> None:
    def labels(*options: Any) -> list[str]:
        result = cli("search", path, QUERY, "--json", *options)
        assert result.exit_code == 0, result.output
        return [row["label"] for row in json.loads(result.stdout)["rows"]]

    assert labels("--hops", 0) == ["Kerberoasting", "Alone"]
    assert set(labels("--node-type", "group", "--node-type", "mitigation")) == {
        *("APT29", "Encrypt Sensitive Information"),
    }
    assert "APT29" not in labels("--edge-type", "mitigates")
    assert labels("--where", "name LIKE 'A%'", "--rank-by", "hop") == ["Alone", "APT29"]


def test_a_misspelt_type_is_said(cli: Callable[..., Any], path: Path) -> None:
    """The fault: it said "Nothing was found." and no more."""
    said = cli("search", path, QUERY, "--node-type", "tecnique").stderr
    assert "Nothing was found." in said
    assert "Note: there are no nodes of the type 'tecnique'; there are 'group', 'mit" in said


def test_explain_says_how_long_each_stage_took(cli: Callable[..., Any], path: Path) -> None:
    lines = cli("search", path, QUERY, "--explain").stderr.splitlines()
    stages = [line.split()[0] for line in lines if not line.startswith("Note")]
    assert stages == ["graph", "names", "fulltext", "fusion", "walk", "rank", "reasons", "rows"]


def test_errors_are_one_sentence(cli: Callable[..., Any], path: Path) -> None:
    result = cli("search", path, QUERY, "--graph", "none")
    assert result.exit_code == 1
    assert result.stderr == "Error: no knowledge graph is called 'none'; declared: none\n"
    result = cli("search", path, QUERY, "--where", "nonsense")
    assert "Error: search: argument 'where' is no condition on the nodes" in result.stderr


def test_a_proposal_is_printed_changed_and_declared(cli: Callable[..., Any], path: Path) -> None:
    proposed = cli("graph", "define", path, "--propose")
    definition = json.loads(proposed.stdout)
    assert definition["nodes"][0]["table"] == "objects"
    definition["type_weights"] = {"uses": 3}
    result = cli(
        *("graph", "define", path, "-", "--name", "attack"),
        *("--inverse", "uses", "used by", "--type-weight", "mitigates", 0.5),
        stdin=json.dumps(definition),
    )
    assert result.exit_code == 0, result.output
    assert result.stderr == "attack: nodes objects; edges relationships\n"
    (graph,) = graphs(connect(path))
    assert graph.name == "attack"
    assert graph.type_weights == {"uses": 3, "mitigates": 0.5}
    assert graph.inverses == {"uses": "used by"}
    (listed,) = json.loads(cli("graph", "list", path).stdout)
    assert listed["name"] == "attack"
    assert listed["nodes"] == definition["nodes"]


def test_define_writes_what_is_proposed_and_drop_takes_it_back(
    cli: Callable[..., Any], path: Path
) -> None:
    assert cli("graph", "define", path).exit_code == 0
    again = cli("graph", "define", path)
    assert again.stderr == "Error: there is already a knowledge graph called 'knowledge'\n"
    assert cli("graph", "define", path, "--replace").exit_code == 0
    assert "Note: no knowledge" not in cli("search", path, QUERY).stderr
    assert cli("graph", "drop", path, "knowledge").exit_code == 0
    assert graphs(connect(path)) == []
    gone = cli("graph", "drop", path, "knowledge")
    assert gone.stderr == "Error: no knowledge graph is called 'knowledge'; declared: none\n"


def test_declarations_that_are_no_good_are_listed_with_what_is_wrong(
    cli: Callable[..., Any], path: Path
) -> None:
    """The fault: they were left out of the list, as if nobody had declared them."""
    assert cli("graph", "define", path, "--name", "good").exit_code == 0
    rows = [
        ("torn", '{"nodes": ['),
        ("odd", '{"nodes": [{"table": "objects", "colour": "red"}]}'),
        ("gone", '{"nodes": [{"table": "objects", "label": "title"}, {"table": "zzz"}]}'),
    ]
    conn = connect(path)
    conn.executemany("INSERT INTO _muninn_graphs VALUES (?, ?)", rows)
    conn.commit()
    listed = {one["name"]: one for one in json.loads(cli("graph", "list", path).stdout)}
    assert list(listed) == ["good", "torn", "odd", "gone"]
    assert "problems" not in listed["good"]
    assert "its definition is not JSON" in listed["torn"]["problems"][0]
    assert "unknown key 'colour'" in listed["odd"]["problems"][0]
    first, second = listed["gone"]["problems"]
    assert "names 'title' as the label of 'objects', which has no such column" in first
    assert "names the table 'zzz', which is not there" in second
    assert listed["gone"]["nodes"][1] == {"table": "zzz"}


def test_a_wrong_definition_writes_nothing(cli: Callable[..., Any], path: Path) -> None:
    for definition, words in (
        ("{", "DEFINITION is not JSON"),
        ('{"nodes": [{"table": "zzz"}]}', "names the table 'zzz', which is not there"),
        ("[]", "must be a JSON object, got a list"),
    ):
        result = cli("graph", "define", path, definition)
        assert result.exit_code == 1
        assert words in result.stderr
    names = connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert ("_muninn_graphs",) not in names


def test_every_setting_can_be_given(cli: Callable[..., Any], path: Path) -> None:
    """The fault: SQL, Python and the page had settings that the command line could not reach."""
    given = {setting.name: setting.default for setting in fields(Options)}
    given |= {"top_k": 2, "mmr": 0.5, "type_weights": '{"mitigates": 2}', "where": "id > 0"}
    options = [part for pair in given.items() if pair[1] is not None for part in ("-o", *pair)]
    result = cli("search", path, QUERY, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("seed rank") == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("beauty", 1, "search: there is no argument 'beauty'; it may be alpha, candidates, "),
        ("alpha", "x", "search: argument 'alpha' must be a number, got 'x'"),
        ("hub_cap", "1.5", "search: argument 'hub_cap' must be a whole number, got '1.5'"),
        ("mmr", "7", "search: argument 'mmr' must be from 0 to 1, got 7.0"),
        ("type_weights", "[1]", "must be a JSON object of edge types and weights, got '[1]'"),
    ],
)
def test_a_wrong_setting_is_named(
    cli: Callable[..., Any], path: Path, name: str, value: Any, said: str
) -> None:
    result = cli("search", path, QUERY, "-o", name, value)
    assert (result.exit_code, said in result.stderr) == (1, True), result.stderr
