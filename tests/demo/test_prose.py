"""Cleaning ATT&CK text: what a reader sees, and what a model embeds."""

import pytest

from demo.prose import Prose, read_prose


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        (
            "[Get2](https://attack.mitre.org/software/S0460) is a downloader.",
            "Get2 is a downloader.",
        ),
        ("Uses <code>reg query</code> to look.", "Uses `reg query` to look."),
        ("Data is <b>hidden</b> &lt;here&gt;.", "Data is hidden <here>."),
        ("**This one is deprecated.** Use another.", "This one is deprecated. Use another."),
        ("Runs kill <PID> at once.", "Runs kill <PID> at once."),
        (
            "  Two   spaces \nand a line.\n\n\nA new paragraph. ",
            "Two spaces and a line.\n\nA new paragraph.",
        ),
        ("- one\n- two", "- one\n- two"),
        ("1. one\n2. two", "1. one\n2. two"),
        ("", ""),
    ],
)
def test_markup_becomes_plain_text(markdown: str, text: str) -> None:
    assert read_prose(markdown).text == text


@pytest.mark.parametrize(
    ("markdown", "prose"),
    [
        ("Over port 443.(Citation: Talos 2021)", Prose("Over port 443.", ("Talos 2021",))),
        ("AppLocker (Citation: A) (Citation: B), or so.", Prose("AppLocker, or so.", ("A", "B"))),
        ("First.(Citation: A)Second.", Prose("First. Second.", ("A",))),
        ("First.(Citation: A)[Tor](https://x/S0183) next.", Prose("First. Tor next.", ("A",))),
        ("Twice (Citation: A) and again (Citation: A).", Prose("Twice and again.", ("A",))),
        ("(Citation: A)(Citation: B)", Prose("", ("A", "B"))),
    ],
)
def test_citations_leave_the_text_and_are_kept_beside_it(markdown: str, prose: Prose) -> None:
    assert read_prose(markdown) == prose


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("It opens the local lis...", "It opens the local lis…"),
        ("It ends here. (Citation: Talos Warzo...", "It ends here. …"),
        ("It uses a [BlackEnergy](https...", "It uses a BlackEnergy…"),
        ("It uses a [Black En...", "It uses a Black En…"),
        ("It runs <code>net us...", "It runs `net us…"),
        ("It runs <code>net</co...", "It runs `net…"),
        ("It runs (Cit...", "It runs…"),
        ("Code is [index]...", "Code is [index]…"),
        ("(Citation: A)(Citation: Talos Warzo...", ""),
    ],
)
def test_a_text_that_the_source_cut_ends_with_an_ellipsis_and_no_torn_markup(
    markdown: str, text: str
) -> None:
    assert read_prose(markdown).text == text


def test_cleaning_twice_changes_nothing() -> None:
    once = read_prose("[A](https://x) does <code>b</code>.(Citation: C) Then it ru...").text
    assert read_prose(once).text == once
