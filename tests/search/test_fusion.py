"""Scores of two sides in one, computed by hand beside it."""

from __future__ import annotations

import numpy as np
import pytest

from sqlite_utils_muninn.search.fusion import (
    blend,
    convex,
    minmax,
    ranks,
    rrf,
    sharpen,
    with_names,
)

NAN = np.nan


def test_minmax_of_equals_is_one_and_of_nothing_is_nothing() -> None:
    assert minmax(np.array([2.0, 2.0])).tolist() == [1, 1]
    assert minmax(np.array([])).tolist() == []
    assert minmax(np.array([1.0, 2.0, 5.0])).tolist() == [0, 0.25, 1]


def test_convex_fusion_by_hand() -> None:
    # bm25: smaller is better; the third was not matched: 0. cosine: .9 .5 .7
    fused = convex(np.array([-4.0, -2.0, NAN]), np.array([0.9, 0.5, 0.7]), 0.25)
    assert fused == pytest.approx([0.25 * 1 + 0.75 * 1, 0.25 * 0.5 + 0, 0 + 0.75 * 0.5])


def test_a_row_without_a_vector_counts_as_the_least_alike() -> None:
    fused = convex(np.array([-4.0, -4.0, -1.0]), np.array([0.9, NAN, 0.5]), 0.5)
    assert fused == pytest.approx([1.0, 0.5, 0.0])


def test_a_side_that_knows_nobody_has_no_say() -> None:
    unknown = np.array([NAN, NAN])
    assert convex(np.array([-3.0, -1.0]), unknown, 0.4).tolist() == [1, 0]
    assert convex(unknown, np.array([0.2, 0.8]), 0.4).tolist() == [0, 1]


def test_reciprocal_ranks_by_hand() -> None:
    fused = rrf(np.array([-4.0, -2.0, NAN]), np.array([0.5, 0.9, 0.7]))
    wanted = [1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 62]
    assert fused == pytest.approx(np.array(wanted) * 61 / 2)
    assert ranks(np.array([NAN, 3.0, 1.0, 3.0])).tolist()[1:] == [2, 1, 3]


def test_what_was_not_reranked_stays_below_in_its_order() -> None:
    fused = np.array([0.9, 0.8, 0.7, 0.6])
    scores = blend(fused, np.array([0, 1]), np.array([-5.0, 5.0]), 1.0)
    assert scores[1] == 1
    assert scores[0] >= scores[2] >= scores[3] >= 0
    by_half = blend(fused, np.array([0, 1]), np.array([-5.0, 5.0]), 0.5)
    # .5 * 0 + .5 * .9 = .45 and .5 * 1 + .5 * .8 = .9; the rest is scaled by .45 / .7
    assert by_half == pytest.approx(minmax(np.array([0.45, 0.9, 0.45, 0.6 * 0.45 / 0.7])))


def test_seeds_are_sharpened_and_sum_to_one() -> None:
    assert sharpen(np.array([0.0, 0.5, 1.0]), 3) == pytest.approx(np.array([0, 1 / 9, 8 / 9]))
    assert sharpen(np.array([0.3, 0.3]), 3).tolist() == [0.5, 0.5]
    assert sharpen(np.array([]), 3).tolist() == []


def test_names_add_to_the_score_and_neighbours_multiply_it() -> None:
    fused, named = np.array([1.0, 0.5]), np.array([0.0, 1.0])
    assert with_names(fused, named, np.zeros(2), 1.2, 0) == pytest.approx([1 / 1.7, 1])
    degree = np.array([0.0, 15.0])
    # .5 * 16 ** .5 = 2: scaled to at most 1
    assert with_names(fused, np.zeros(2), degree, 1.2, 0.5) == pytest.approx([0.5, 1])
