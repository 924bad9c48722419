"""The arguments of CREATE VIRTUAL TABLE, and the words for each that is wrong."""

from __future__ import annotations

import pytest

from sqlite_utils_muninn.vectors.options import Column, index_options, text_options


def test_hnsw_index_has_the_defaults_of_sqlite_muninn() -> None:
    options = index_options(["dimensions=384"])
    assert (options.dimensions, options.metric) == (384, "cosine")
    assert (options.m, options.ef_construction) == (16, 200)


@pytest.mark.parametrize("value", ["cosine", "'cosine'", '"cosine"', "`cosine`", " COSINE "])
def test_values_may_be_quoted(value: str) -> None:
    assert index_options(["dimensions = 3", f" Metric = {value}"]).metric == "cosine"


def test_metadata_columns() -> None:
    given = ["dimensions=3", "+year INTEGER", '+"my ""own"" col" text', "+free"]
    expected = (Column("year", "INTEGER"), Column('my "own" col', "TEXT"), Column("free", ""))
    assert index_options(given).metadata == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "'dimensions' parameter is required"),
        (["metric=l2"], "'dimensions' parameter is required"),
        (["dimensions=0"], "dimensions must be > 0, got '0'"),
        (["dimensions=-5"], "dimensions must be > 0, got '-5'"),
        (["dimensions=8193"], "dimensions must be <= 8192, got '8193'"),
        (["dimensions=ten"], "dimensions must be a whole number, got 'ten'"),
        (["dimensions="], "dimensions must be a whole number, got ''"),
        (
            ["dimensions=3", "metric='hamming'"],
            "unknown metric 'hamming' (choose from l2, cosine, inner_product)",
        ),
        (["dimensions=3", "foobar=1"], "unknown parameter 'foobar=1'"),
        (["dimensions=3", "foobar"], "unknown parameter 'foobar'"),
        (["dimensions=3", "m=1"], "m must be 2 to 256, got '1'"),
        (["dimensions=3", "ef_construction=0"], "ef_construction must be 1 to 10000, got '0'"),
        (["dimensions=3", "DIMENSIONS=4"], "parameter 'dimensions' is given twice"),
        (["dimensions=3", "+a INTEGER PRIMARY KEY"], "a metadata column is '+name TYPE'"),
        (["dimensions=3", "+a JSONB"], "column 'a' has type 'JSONB', it may be INTEGER"),
        (["dimensions=3", "+distance REAL"], "column name 'distance' is taken"),
        (["dimensions=3", "+a", "+A"], "column 'a' is given twice"),
    ],
)
def test_hnsw_index_says_what_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        index_options(arguments)
    assert str(caught.value).startswith(f"hnsw_index: {message}")


def test_hnsw_text_as_sqlite_muninn_writes_it() -> None:
    options = text_options(["model='MiniLM'", "dim=384", "metric=cosine", "max_elements=100000"])
    assert (options.model, options.dimensions, options.metric) == ("MiniLM", 384, "cosine")


def test_external_content_may_have_several_columns() -> None:
    given = ["model=m", "content=docs", "content_column=title", "content_column='the body'"]
    options = text_options(given)
    assert (options.content, options.content_columns) == ("docs", ("title", "the body"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "'model' parameter is required"),
        (["model=''"], "'model' parameter is required"),
        (["model=m", "dim=0"], "dim must be > 0, got '0'"),
        (["model=m", "dim=3", "dimensions=3"], "parameters 'dim' and 'dimensions' are the same"),
        (["model=m", "content=docs"], "'content' and 'content_column' go together"),
        (["model=m", "content_column=a"], "'content' and 'content_column' go together"),
        (["model=m", "chunk=maybe"], "chunk must be true or false, got 'maybe'"),
        (["model=m", "overlap=5"], "parameter 'overlap' goes with chunk=true"),
        (["model=m", "chunk=0", "max_tokens=50"], "parameter 'max_tokens' goes with chunk=true"),
        (["model=m", "chunk=1", "max_tokens=15"], "max_tokens must be 16 to 1000000, got '15'"),
        (
            ["model=m", "chunk=1", "max_tokens=50", "overlap=26"],
            "overlap must be 0 to 25, got '26'",
        ),
        (["model=m", "+chunk TEXT"], "column name 'chunk' is taken by the table itself"),
        (
            ["model=m", "content=docs", "content_column=a", "+year INT"],
            "column 'year' goes with own texts only",
        ),
        (["model=m", "metric=hamming"], "unknown metric 'hamming'"),
    ],
)
def test_hnsw_text_says_what_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        text_options(arguments)
    assert str(caught.value).startswith(f"hnsw_text: {message}")
