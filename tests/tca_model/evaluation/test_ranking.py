"""Ranking figures, compared with slow definitions and known answers; the order of equal scores does not matter."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tca_model.evaluation.ranking import (
    average_precision,
    micro_ap,
    recall_at_precision,
    recall_before_false_positive,
    trapezoid_average_precision,
)

Pairs = list[tuple[float, bool]]

# Few distinct scores, so that ties are the rule; at least one true pair.
tied_pairs = st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9]), st.booleans()), min_size=1, max_size=24).filter(
    lambda pairs: any(copy for _, copy in pairs)
)
distinct_pairs = st.lists(st.booleans(), min_size=1, max_size=16).filter(any)


def split(pairs: Pairs) -> tuple[list[float], list[bool]]:
    return [score for score, _ in pairs], [copy for _, copy in pairs]


def thresholds(pairs: Pairs) -> list[tuple[float, float, float]]:
    """(score, precision, recall among the ranked) for each distinct score, by counting the pairs that reach it."""
    points = []
    for threshold in sorted({score for score, _ in pairs}, reverse=True):
        accepted = [copy for score, copy in pairs if score >= threshold]
        points.append((threshold, sum(accepted) / len(accepted), sum(accepted) / sum(copy for _, copy in pairs)))
    return points


@given(tied_pairs, st.integers(0, 5))
def test_average_precision_is_the_area_under_the_steps(pairs: Pairs, unranked: int) -> None:
    scores, copies = split(pairs)
    ranked, area, before = sum(copies), 0.0, 0.0
    for _, precision, recall in thresholds(pairs):
        area += (recall - before) * precision
        before = recall
    expected = area * ranked / (ranked + unranked)
    assert average_precision(scores, copies, ranked + unranked) == pytest.approx(expected)
    assert micro_ap(scores, copies, ranked + unranked) == pytest.approx(expected)


@given(distinct_pairs, st.integers(0, 3))
def test_without_ties_it_is_the_mean_precision_at_the_true_pairs(ranking: list[bool], unranked: int) -> None:
    """As the evaluations of FIVR-200K and VSC2022 count it, rank by rank; EVVE's trapezoids too."""
    found, steps, trapezoids = 0, 0.0, 0.0
    for rank, copy in enumerate(ranking):
        if copy:
            steps += (found + 1) / (rank + 1)
            trapezoids += ((found / rank if rank else 1.0) + (found + 1) / (rank + 1)) / 2
            found += 1
    total = found + unranked
    scores = [-float(rank) for rank in range(len(ranking))]
    assert average_precision(scores, ranking, total) == pytest.approx(steps / total)
    assert trapezoid_average_precision(scores, ranking, total) == pytest.approx(trapezoids / total)


@given(tied_pairs, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(pairs: Pairs, shuffle: random.Random) -> None:
    mixed = list(pairs)
    shuffle.shuffle(mixed)
    for figure in (average_precision, trapezoid_average_precision, recall_before_false_positive):
        assert figure(*split(mixed)) == figure(*split(pairs))
    assert recall_at_precision(*split(mixed), 0.7) == recall_at_precision(*split(pairs), 0.7)


@given(tied_pairs, st.sampled_from([0.25, 0.5, 2 / 3, 0.9, 1.0]))
def test_recall_at_precision_tries_every_threshold(pairs: Pairs, precision: float) -> None:
    good = [(recall, score) for score, reached, recall in thresholds(pairs) if reached >= precision and recall > 0]
    best = max((recall for recall, _ in good), default=0.0)
    recall, score = recall_at_precision(*split(pairs), precision)
    assert recall == pytest.approx(best)
    lowest = min((score for _, score in good), default=math.inf)
    assert score == min((score for score, copy in pairs if copy and score >= lowest), default=math.inf)


@given(tied_pairs)
def test_recall_before_a_false_positive(pairs: Pairs) -> None:
    worst = max((score for score, copy in pairs if not copy), default=-math.inf)
    above = sum(copy and score > worst for score, copy in pairs)
    assert recall_before_false_positive(*split(pairs)) == pytest.approx(above / sum(copy for _, copy in pairs))


def test_known_answers() -> None:
    scores, copies = [0.9, 0.8, 0.7, 0.6, 0.5], [True, False, True, True, False]
    assert average_precision(scores, copies) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert average_precision(scores, copies, positives=4) == pytest.approx((1 + 2 / 3 + 3 / 4) / 4)
    assert trapezoid_average_precision(scores, copies) == pytest.approx(
        ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3
    )
    assert recall_at_precision(scores, copies, 0.75) == (1.0, 0.6)
    assert recall_at_precision(scores, copies, 0.9) == pytest.approx((1 / 3, 0.9))
    assert recall_before_false_positive(scores, copies, positives=5) == pytest.approx(1 / 5)


def test_a_tied_group_is_accepted_whole_or_not_at_all() -> None:
    scores, copies = [0.5, 0.5, 0.5, 0.5], [True, True, False, True]
    assert average_precision(scores, copies) == 0.75
    assert recall_before_false_positive(scores, copies) == 0.0
    assert recall_at_precision(scores, copies, 0.9) == (0.0, math.inf)
    assert recall_at_precision(scores, copies, 0.75) == (1.0, 0.5)


def test_99_of_100_have_a_precision_of_99_percent() -> None:
    scores = [float(score) for score in range(200, 0, -1)]
    copies = [True] * 50 + [False] + [True] * 49 + [False] * 100
    assert recall_at_precision(scores, copies, 0.99) == (1.0, 101.0)


def test_single_precision_scores_are_not_converted() -> None:
    near = np.float32(0.1)
    scores = np.array([near, near, np.nextafter(near, np.float32(1))], dtype=np.float32)
    assert average_precision(scores, [True, False, False]) == pytest.approx(1 / 3)
    assert average_precision(scores, [False, False, True]) == 1.0


def test_true_pairs_without_a_score_alone() -> None:
    assert average_precision([], [], positives=3) == 0.0
    assert recall_at_precision([], [], 0.99, positives=3) == (0.0, math.inf)
    assert recall_before_false_positive([0.2], [False], positives=3) == 0.0


@pytest.mark.parametrize(
    ("scores", "copies", "positives", "problem"),
    [
        ([0.1, 0.2], [True], None, "expected scores"),
        ([[0.1]], [[True]], None, "expected scores"),
        ([0.1, math.nan], [True, False], None, "1 scores are not a number"),
        ([0.1, 0.2], [True, True], 1, "only 1 positives"),
        ([0.1], [False], None, "no true pair"),
    ],
)
def test_invalid_input_is_rejected(scores: object, copies: object, positives: int | None, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        micro_ap(scores, copies, positives)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", [0.0, -0.5, 1.01])
def test_an_impossible_precision_is_rejected(precision: float) -> None:
    with pytest.raises(ValueError, match="a precision must be"):
        recall_at_precision([0.5], [True], precision)
