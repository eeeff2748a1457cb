"""Segment-level figures, compared with rectangles paint second by second, and the cases of VCSL's figure 4."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tca_model.evaluation.intervals import PairFigures, interval_iou, macro_scores, micro_scores, pair_figures
from tca_model.types import Match


def match(query_start: float, query_end: float, reference_start: float, reference_end: float) -> Match:
    return Match(query_start, query_end, reference_start, reference_end, similarity=1.0)


@st.composite
def whole_seconds(draw: st.DrawFn) -> Match:
    spans = [draw(st.tuples(st.integers(0, 12), st.integers(1, 8))) for _ in range(2)]
    (query, query_s), (reference, reference_s) = spans
    return match(query, query + query_s, reference, reference + reference_s)


def paint(interval: Match) -> tuple[set[int], set[int]]:
    """The whole seconds of an interval, on each side."""
    query = set(range(int(interval.query_start_s), int(interval.query_end_s)))
    return query, set(range(int(interval.reference_start_s), int(interval.reference_end_s)))


def share_by_painting(intervals: list[Match], by: list[Match]) -> float:
    share = 1.0
    for side in range(2):
        covered = 0
        for interval in intervals:
            meets = [
                paint(other)[side]
                for other in by
                if all(mine & theirs for mine, theirs in zip(paint(interval), paint(other), strict=True))
            ]
            covered += len(paint(interval)[side] & set().union(*meets))
        share *= covered / sum(len(paint(interval)[side]) for interval in intervals)
    return share


@given(st.lists(whole_seconds(), min_size=1, max_size=4), st.lists(whole_seconds(), min_size=1, max_size=4))
def test_precision_and_recall_count_seconds(found: list[Match], true: list[Match]) -> None:
    score = pair_figures(found, true)
    assert score.precision == pytest.approx(share_by_painting(found, true))
    assert score.recall == pytest.approx(share_by_painting(true, found))


@given(whole_seconds(), whole_seconds())
def test_iou_counts_seconds_and_has_no_direction(one: Match, other: Match) -> None:
    expected = math.prod(
        len(mine & theirs) / len(mine | theirs) for mine, theirs in zip(paint(one), paint(other), strict=True)
    )
    assert interval_iou(one, other) == pytest.approx(expected)
    assert interval_iou(other, one) == pytest.approx(expected)
    assert interval_iou(one, one) == 1.0


def test_iou_of_half_an_interval_is_a_quarter() -> None:
    assert interval_iou(match(0, 5, 10, 15), match(0, 10, 10, 20)) == pytest.approx(0.25)
    assert interval_iou(match(0, 5, 10, 15), match(0, 5, 15, 20)) == 0.0


def test_pieces_lose_nothing() -> None:
    whole, pieces = [match(4, 14, 10, 20)], [match(4, 8, 10, 14), match(8, 14, 14, 20)]
    assert pair_figures(pieces, whole) == PairFigures(1.0, 1.0)
    assert pair_figures(whole, pieces) == PairFigures(1.0, 1.0)


def test_right_times_with_exchanged_partners_gain_nothing() -> None:
    true = [match(4, 14, 10, 18), match(20, 28, 21, 29)]
    assert pair_figures([match(4, 14, 21, 29), match(20, 28, 10, 18)], true) == PairFigures(0.0, 0.0)


def test_finding_too_much_costs_precision_and_too_little_recall() -> None:
    assert pair_figures([match(0, 20, 0, 20)], [match(0, 10, 0, 10)]) == PairFigures(0.25, 1.0)
    assert pair_figures([match(0, 10, 0, 10)], [match(0, 20, 0, 20)]) == PairFigures(1.0, 0.25)


def test_finding_the_same_interval_twice_gains_nothing() -> None:
    assert pair_figures([match(0, 10, 0, 10)] * 2, [match(0, 20, 0, 20)]) == PairFigures(1.0, 0.25)


HALF = pair_figures([match(0, 10, 0, 10)], [match(0, 10, 0, 20)])  # precision 1, recall 1/2
MISSED, FALSE_ALARM, NOTHING = PairFigures(None, 0.0), PairFigures(0.0, None), PairFigures(None, None)


def test_an_empty_side_has_no_figure() -> None:
    some = [match(0, 1, 0, 1)]
    assert (pair_figures([], some), pair_figures(some, []), pair_figures([], [])) == (MISSED, FALSE_ALARM, NOTHING)


def test_the_micro_average_leaves_out_pairs_without_a_figure() -> None:
    scores = micro_scores([HALF, MISSED, FALSE_ALARM, NOTHING, NOTHING])
    assert (scores.precision, scores.recall) == pytest.approx((1 / 2, 1 / 4))
    assert (scores.false_rejection_rate, scores.false_alarm_rate) == pytest.approx((1 / 2, 1 / 3))
    assert scores.f == pytest.approx(2 * (1 / 2) * (1 / 4) / (3 / 4))


def test_finding_nothing_at_all_has_precision_1_and_recall_0() -> None:
    scores = micro_scores([MISSED, NOTHING])
    assert (scores.precision, scores.recall, scores.f) == (1.0, 0.0, 0.0)
    assert (scores.false_rejection_rate, scores.false_alarm_rate) == (1.0, 0.0)


def test_the_macro_average_weights_query_sets_equally() -> None:
    precision, recall, f = macro_scores({"one": [HALF, MISSED, NOTHING], "other": [FALSE_ALARM]})
    assert precision == pytest.approx((1.0 + 0.0) / 2)
    assert recall == pytest.approx(((1 / 2 + 0 + 1) / 3 + 1) / 2)
    assert f == pytest.approx(2 * precision * recall / (precision + recall))


def test_the_macro_average_needs_pairs() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        macro_scores({"one": []})
