"""The catalogue: facts that contradict themselves must not ship, names must be found."""

from __future__ import annotations

import copy
import json
import re

import pytest

from sqlite_utils_muninn.models.errors import UnknownModelError
from sqlite_utils_muninn.models.files.catalogue import catalogue, load

REQUIRED = {
    "all-MiniLM-L6-v2",
    "nomic-embed-text-v1.5",
    "bge-small-en-v1.5",
    "BGE-M3",
    "mxbai-embed-large-v1",
    "Qwen3-Embedding-0.6B",
    "jina-reranker-v1-tiny-en",
    "bge-reranker-v2-m3",
    "Qwen3-Reranker-0.6B",
}

A_MODEL = {
    "name": "a",
    "task": "embedding",
    "architecture": "bert",
    "repository": "someone/a-GGUF",
    "file": "a.gguf",
    "context": 512,
    "pooling": "mean",
    "licence": "MIT",
    "dimensions": 384,
}


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_every_promised_model_is_found_in_any_case(name):
    assert catalogue().find(name.upper()) is catalogue().find(name.lower())


def test_alias():
    assert catalogue().find("minilm").name == "all-MiniLM-L6-v2"


def test_urls_are_https_and_end_in_the_file():
    for model in catalogue():
        assert re.fullmatch(r"https://[^ ]+/resolve/(main|[0-9a-f]{40})/[^ ]+\.gguf", model.url)
        assert model.url.endswith(model.file_name)


def test_prefixes_are_those_of_the_cards():
    nomic = catalogue().find("nomic-embed-text-v1.5")
    assert (nomic.query_prefix, nomic.document_prefix) == ("search_query: ", "search_document: ")
    bge = catalogue().find("bge-small-en-v1.5")
    assert bge.query_prefix.startswith("Represent this sentence for searching")
    assert bge.document_prefix == ""


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(UnknownModelError, match=r"No model is named 'MiniLN'.*'MiniLM'"):
        catalogue().find("MiniLN")


def test_a_name_like_no_other_gets_the_list():
    with pytest.raises(UnknownModelError, match="Known: all-MiniLM-L6-v2, "):
        catalogue().find("zzzz")


def test_found_by_file_name():
    minilm = catalogue().find("MiniLM")
    assert catalogue().by_file("all-MiniLM-L6-v2.f16.gguf") is minilm
    assert catalogue().by_file("all-MiniLM-L6-v2.Q8_0.gguf") is minilm
    assert catalogue().by_file("mxbai-embed-large-v1-f16.gguf") is catalogue().find("mxbai")
    assert catalogue().by_file("other.gguf") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "max"}, "a: 'pooling' cannot be 'max'"),
        ({"context": "512"}, "a: 'context' cannot be '512'"),
        ({"context": True}, "a: 'context' cannot be True"),
        ({"size": -1}, "a: 'size' cannot be -1"),
        ({"matryoshka": [64, "x"]}, "a: 'matryoshka' cannot be"),
        ({"matryoshka": [512]}, "lengths are below"),
        ({"licence": None}, "a: 'license' cannot|a: 'licence' cannot be None"),
        ({"prefix": "x"}, "a: unknown field 'prefix'"),
        ({"sha256": "ABC"}, "not a sha256"),
        ({"dimensions": None}, "an embedding model has 'dimensions'"),
        ({"task": "reranking"}, "a reranker"),
        ({"file": "a.bin"}, "not a .gguf file"),
        ({"conversion": {"file": "a.gguf"}}, "a: conversion: 'inputs' is missing"),
    ],
)
def test_a_wrong_record_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        load(json.dumps({"models": [{**A_MODEL, **change}]}))


def test_a_missing_field_is_named():
    record = copy.copy(A_MODEL)
    del record["licence"]
    with pytest.raises(ValueError, match="a: 'licence' is missing"):
        load(json.dumps({"models": [record]}))


def test_two_models_cannot_share_a_name():
    with pytest.raises(ValueError, match="share 'A'"):
        load(json.dumps({"models": [A_MODEL, {**A_MODEL, "name": "b", "aliases": ["A"]}]}))
