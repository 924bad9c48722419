"""benchmarks/search judges right: measures by hand, questions without their answers in them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.search.debian import barabasi_albert
from benchmarks.search.masking import Mask
from benchmarks.search.measures import by_answer, estimate, judge, ndcg, recall
from benchmarks.search.tasks import CHOOSING, REPORTING, halves


def test_ndcg_by_hand() -> None:
    # gains at ranks 2 and 4 of two answers: (1/log2(3) + 1/log2(5)) / (1 + 1/log2(3))
    ranked = ["x", "a", "y", "b"]
    wanted = (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3))
    assert ndcg(ranked, {"a", "b"}) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("ranked", "wanted"), [(["a", "b"], 1.0), (["b", "a"], 1.0), ([], 0.0), (["x"], 0.0)]
)
def test_ndcg_is_one_for_the_best_order_and_zero_for_none(ranked: list[str], wanted: float) -> None:
    assert ndcg(ranked, {"a", "b"}) == pytest.approx(wanted)


def test_ndcg_of_more_answers_than_places_can_be_one() -> None:
    answers = [f"a{n}" for n in range(12)]
    assert ndcg(answers, set(answers)) == pytest.approx(1)


def test_what_comes_after_the_tenth_place_counts_nothing() -> None:
    ranked = [*(f"x{n}" for n in range(10)), "a"]
    assert judge(ranked, {"a"}) == (0, 0, 0)


def test_recall_counts_answers_and_not_rows() -> None:
    ranked = ["a", "x", "x2", "x3", "x4", "b"]
    assert recall(ranked, {"a", "b", "c"}, 5) == pytest.approx(1 / 3)
    assert recall(ranked, {"a", "b", "c"}, 10) == pytest.approx(2 / 3)


def test_a_node_that_is_ranked_twice_is_an_error_and_not_a_gain() -> None:
    with pytest.raises(ValueError, match="twice"):
        judge(["a", "a"], {"a", "b"})


def test_the_interval_is_that_of_a_mean() -> None:
    values = np.random.default_rng(3).random(1000)
    found = estimate(values)
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - error, abs=0.003)
    assert found.high == pytest.approx(values.mean() + error, abs=0.003)


def test_the_interval_of_a_difference_is_paired() -> None:
    chance = np.random.default_rng(4)
    one = chance.random(500)
    other = one + 0.01
    assert estimate(other - one).low == pytest.approx(0.01)


def test_an_answer_that_is_asked_for_often_counts_once_by_answer() -> None:
    answers = [{"often"}] * 9 + [{"once"}]
    values = np.array([1.0] * 9 + [0.0])
    assert by_answer(values, answers) == pytest.approx(0.5)


def test_halves_share_no_question_and_lose_none() -> None:
    parts = halves(101)
    assert not set(parts[CHOOSING]) & set(parts[REPORTING])
    assert sorted(parts[CHOOSING] + parts[REPORTING]) == list(range(101))
    assert parts == halves(101)


def test_a_mask_takes_whole_names_longest_first_in_any_case() -> None:
    mask = Mask(["Net", "Net Crawler", "C++ (old)"])
    assert mask.out_of("The net crawler, netstat and NET in C++ (old).") == "The , netstat and in ."
    assert Mask([]).out_of(" as  it was ") == "as it was"


def test_questions_of_cwe_hold_no_name_and_are_in_no_text() -> None:
    pytest.importorskip("cwe2", reason="cwe2, whose questions are asked, is not installed")
    from benchmarks.search import cwe

    plain, _, with_examples = cwe.tasks(REPORTING)
    texts = "\n".join(f"{node.label}\n{node.text}\n{node.aliases}" for node in plain.nodes).lower()
    names = Mask(node.label for node in plain.nodes)
    for question in plain.questions:
        assert names.out_of(question.text) == question.text
        assert "cwe-" not in question.text.lower()
        assert len(question.text) < 60 or question.text.lower() not in texts
    asked = {question.text for question in with_examples.questions}
    assert not asked & {node.text for node in with_examples.nodes}
    assert plain.questions == with_examples.questions


def test_questions_of_attack_hold_no_name_and_their_edges_are_gone() -> None:
    from benchmarks.search import attack

    task, everything = attack.tasks(REPORTING)
    names = Mask(name for node in task.nodes for name in (node.label, *node.aliases.split(", ")))
    texts = {node.text for node in task.nodes}
    for question in task.questions:
        assert names.out_of(question.text) == question.text
        assert question.text not in texts
        assert all(answer.startswith("technique ") for answer in question.answers)
    assert len({question.text.lower() for question in task.questions}) == len(task.questions)
    assert task.edges == everything.edges


def test_no_edge_between_the_ends_of_a_question_is_left() -> None:
    from benchmarks.search import attack
    from demo.attack import package_folder, read_attack

    read = read_attack(package_folder())
    objects = {o.stix_id: o for o in read.objects if o.type not in attack.LEFT_OUT}
    edges = [e for e in read.relationships if e.source in objects and e.target in objects]
    asked = attack.questions(attack.procedures(edges, objects), objects)
    ends = {
        (attack.name_of(objects[e.source]), attack.name_of(objects[e.target]))
        for part in asked.values()
        for e in part
    }
    assert ends
    assert not ends & {(e.source, e.target) for e in attack.tasks(CHOOSING)[0].edges}


def test_the_large_graph_has_five_edges_a_node_and_hubs() -> None:
    ends = barabasi_albert(2_000, np.random.default_rng(1))
    degree = np.bincount(ends.ravel())
    assert len(ends) == pytest.approx(5 * 2_000, rel=0.02)
    assert (ends[:, 0] != ends[:, 1]).all()
    assert degree.min() >= 1
    assert degree.max() > 20 * np.median(degree)


def test_a_question_of_two_hops_names_its_first_passage_alone() -> None:
    from benchmarks.search import twohop

    (task,) = twohop.tasks(REPORTING)
    labels = {node.name: node.label for node in task.nodes}
    for question in task.questions:
        named = [labels[name] in question.text for name in question.answers]
        assert len(named) == 2
        assert any(named)
    assert {edge.type for edge in task.edges} == {"mentions"}
    assert {labels[edge.source] for edge in task.edges} <= set(labels.values())


def test_a_summary_is_in_no_text_of_a_function() -> None:
    pytest.importorskip("scipy", reason="scipy, whose functions are the task, is not installed")
    from benchmarks.search import functions

    (task,) = functions.tasks(REPORTING)
    texts = {node.name: f"{node.label} {node.text}" for node in task.nodes}
    repeated = [q for q in task.questions if any(q.text in texts[name] for name in q.answers)]
    assert len(repeated) < len(task.questions) / 50
