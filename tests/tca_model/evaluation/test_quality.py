"""The figures of the benchmark, on tables small enough to be counted by hand."""

import pytest

from tca_model.evaluation.quality import ScoredPair, judge
from tca_model.types import Match

TRUE = Match(0, 8, 20, 28, 1)


def copy(score: float | None, edit: str = "crop", found_s: float | None = None) -> ScoredPair:
    """A copy of 8 s, `found_s` of them found."""
    found = None if found_s is None else [Match(0, found_s, 20, 28, 1)]
    return ScoredPair(True, score, edit, found, [TRUE])


def other(score: float | None) -> ScoredPair:
    return ScoredPair(False, score, found=[TRUE])


# Ranked: C .9, C .8, other .7, C .6, other .2; one copy without a score.
TABLE = [
    copy(0.9, "crop", found_s=8),
    copy(0.8, "flip", found_s=4),
    other(0.7),
    copy(0.6, "flip", found_s=2),
    other(0.2),
    copy(None, "crop"),
    other(None),
]


def test_the_ranking_counts_copies_without_a_score_as_not_found() -> None:
    quality = judge(TABLE)

    assert quality.micro_ap == pytest.approx((1 + 1 + 3 / 4) / 4)
    assert (quality.recall, quality.score) == (2 / 4, 0.8)
    assert quality.recall_before_false_positive == 2 / 4
    assert quality.highest_other == 0.7
    assert (quality.pairs, quality.copies, quality.missing, quality.missing_copies) == (7, 4, 2, 1)


def test_the_recall_of_an_edit_is_at_the_score_from_all_pairs() -> None:
    edits = judge(TABLE).edits

    assert {name: (edit.copies, edit.recall) for name, edit in edits.items()} == {"crop": (2, 0.5), "flip": (2, 0.5)}


def test_intervals_of_a_copy_without_a_score_overlap_nothing() -> None:
    quality = judge(TABLE)

    assert quality.iou == (1 + 0.5 + 0.25 + 0) / 4
    assert quality.edits["crop"].iou == 0.5
    assert quality.edits["flip"].iou == 0.375


def test_a_method_without_intervals_has_no_figures_for_them() -> None:
    quality = judge([copy(0.9), other(0.1)])

    assert quality.iou is None
    assert quality.edits["crop"].iou is None


def test_pairs_that_reach_the_alert_threshold_alert() -> None:
    quality = judge(TABLE, 0.6)
    assert (quality.threshold, quality.recall_at_threshold, quality.false_alerts) == (0.6, 3 / 4, 1)
    assert quality.intervals is not None
    # The intervals found in copies are right and cover the reference side; those of another pair cover nothing.
    assert quality.intervals.precision == pytest.approx((1 + 1 + 1 + 0) / 4)
    assert quality.intervals.recall == pytest.approx((1 + 1 / 2 + 1 / 4 + 0) / 4)
    assert quality.intervals.false_alarm_rate == 1 / 3

    quality = judge(TABLE)
    assert (quality.threshold, quality.recall_at_threshold, quality.false_alerts) == (None, None, None)


def test_if_no_score_is_precise_enough_nothing_is_found() -> None:
    quality = judge([other(0.9), copy(0.5), copy(0.4)])

    assert (quality.recall, quality.score) == (0.0, None)
    assert quality.edits["crop"].recall == 0.0


def test_pairs_of_one_kind_only_are_an_error() -> None:
    with pytest.raises(ValueError, match="no true pair"):
        judge([other(0.5)])
    with pytest.raises(ValueError, match="no others to compare with"):
        judge([copy(0.5), other(None)])


def test_each_true_interval_counts_with_the_best_found_one() -> None:
    first, second = Match(0, 10, 20, 30, 1), Match(10, 20, 0, 10, 1)
    half = Match(0, 5, 20, 30, 0.9)  # half of the query's side, all of the reference's

    def iou(found: list[Match], true: list[Match]) -> float:
        return ScoredPair(True, 1.0, found=found, true=true).iou

    assert iou([first, second], [first, second]) == 1
    assert iou([half, first], [first]) == 1
    assert iou([half], [first, second]) == pytest.approx(0.25)
    assert iou([], [first]) == 0
