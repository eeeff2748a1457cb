"""Pieces of one copy are joined into one interval."""

from itertools import permutations

import pytest

from tca_model.matching.alignment import merge
from tca_model.types import Match


def test_pieces_of_one_copy_are_joined_across_a_segment_border() -> None:
    pieces = [Match(27, 32, 100, 105, 0.6), Match(32, 64, 105, 137, 0.9), Match(64, 67, 137.5, 140.5, 0.9)]
    for order in permutations(pieces):
        (match,) = merge(list(order))
        assert (match.query_start_s, match.query_end_s) == (27, 67)
        assert (match.reference_start_s, match.reference_end_s) == (100, 140.5)
        assert match.similarity == pytest.approx((5 * 0.6 + 35 * 0.9) / 40)


def test_pieces_at_double_speed_are_joined_along_their_own_line() -> None:
    (match,) = merge([Match(20, 30, 40, 60, 0.8), Match(32, 40, 64, 80, 0.8)])
    assert (match.reference_start_s, match.reference_end_s) == (40, 80)


@pytest.mark.parametrize(
    "other",
    [
        Match(32, 40, 70, 78, 0.8),  # elsewhere in the reference
        Match(50, 60, 30, 40, 0.8),  # long after
        Match(20, 30, 50, 60, 0.8),  # at the same time
    ],
)
def test_intervals_that_do_not_continue_each_other_stay_separate(other: Match) -> None:
    first = Match(20, 30, 10, 20, 0.8)
    assert merge([first, other]) == merge([other, first])
    assert len(merge([first, other])) == 2


def test_merging_nothing_or_the_same_interval_twice() -> None:
    match = Match(0, 5, 10, 15, 0.7)
    assert merge([]) == []
    assert merge([match, match]) == [match]
