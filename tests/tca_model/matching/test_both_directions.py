"""Evidence of a pair is the same from whichever side it was found, and counts once if it was found from both."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tca_model.matching.alignment import merge, time_order
from tca_model.matching.evidence import JoinedEvidence, ReferenceEvidence, SegmentEvidence, join, observe
from tca_model.types import FloatArray, Match

SEGMENT_S = 32


def mirror(joined: JoinedEvidence) -> JoinedEvidence:
    """What the same evidence says of the pair in which query and reference have changed places."""
    return JoinedEvidence(
        joined_score=joined.joined_score,
        chamfer_query_to_reference=joined.chamfer_reference_to_query,
        chamfer_reference_to_query=joined.chamfer_query_to_reference,
        intervals=tuple(sorted((match.swap_sides() for match in joined.intervals), key=time_order)),
        query_coverage_s=joined.reference_coverage_s,
        reference_coverage_s=joined.query_coverage_s,
    )


def compare(similarity: FloatArray, *, is_original: bool = False) -> list[SegmentEvidence]:
    """Evidence of each segment of the rows of a matrix (Tq, Tr) of two whole assets, at 1 frame/s."""
    times = np.arange(similarity.shape[1], dtype=np.float64)
    found = []
    for index, start in enumerate(range(0, len(similarity), SEGMENT_S)):
        rows = similarity[start : start + SEGMENT_S]
        own = start + np.arange(len(rows), dtype=np.float64)
        of_segment = (times // SEGMENT_S).astype(np.int64)
        found.append(observe(index, rows, own, times, of_segment, is_original=is_original))
    return found


@st.composite
def evidence(draw: st.DrawFn, index: int, *, reference_s: int) -> SegmentEvidence:
    """Evidence of one segment of 32 frames, with at most one interval, far from those of other segments."""
    shares = st.floats(0, 1, width=16)
    length = draw(st.integers(3, 20))
    matches: tuple[Match, ...] = ()
    if draw(st.booleans()):
        start, other = SEGMENT_S * index, draw(st.integers(0, reference_s - length))
        matches = (Match(start, start + length, other, other + length, draw(shares)),)
    compared = draw(st.sets(st.integers(0, reference_s // SEGMENT_S - 1), min_size=1))
    references = tuple(ReferenceEvidence(one, 32, 32 * draw(shares)) for one in sorted(compared))
    return SegmentEvidence(index, 32, 32 * draw(shares), references, matches)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_reverse_evidence_says_the_same_as_that_of_the_mirrored_pair(data: st.DataObject) -> None:
    forward = [data.draw(evidence(n, reference_s=64)) for n in range(3)]
    assert join([], forward, query_frames=64, reference_frames=96) == mirror(
        join(forward, query_frames=96, reference_frames=64)
    )


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_both_directions_are_those_of_the_mirrored_pair(data: st.DataObject) -> None:
    forward = [data.draw(evidence(n, reference_s=64)) for n in range(3)]
    reverse = [data.draw(evidence(n, reference_s=96)) for n in range(2)]
    one = join(forward, reverse, query_frames=96, reference_frames=64)
    other = join(reverse, forward, query_frames=64, reference_frames=96)
    assert other.chamfer_query_to_reference == one.chamfer_reference_to_query
    assert other.chamfer_reference_to_query == one.chamfer_query_to_reference


@pytest.mark.parametrize("before_border_s", [2, 8, 16])
def test_an_interval_that_both_directions_show_is_one(before_border_s: int) -> None:
    """It crosses a border of the query's segments and lies within one of the reference."""
    similarity = np.full((64, 48), 0.05, np.float32)
    for step in range(20):
        similarity[32 - before_border_s + step, 20 + step] = 0.9
    forward = compare(similarity)
    reverse = compare(np.ascontiguousarray(similarity.T), is_original=True)
    both = join(forward, reverse)
    [interval] = both.intervals
    start_s = 32 - before_border_s
    assert (interval.query_start_s, interval.query_end_s) == (start_s, start_s + 20)
    assert (interval.reference_start_s, interval.reference_end_s) == (20, 40)
    assert both.joined_score == pytest.approx(join(forward).joined_score, abs=1e-6)
    assert both.query_coverage_s == both.reference_coverage_s == 20


def test_each_direction_adds_what_the_other_does_not_show() -> None:
    """As of two uploads that arrive together: each was compared with the first half of the other."""
    similarity = np.full((64, 64), 0.05, np.float32)
    np.fill_diagonal(similarity, 0.9)
    forward, reverse = compare(similarity[:32]), compare(np.ascontiguousarray(similarity.T))[1:]
    [interval] = join(forward, reverse).intervals
    assert (interval.query_start_s, interval.query_end_s) == (0, 64)
    assert join(forward, reverse).chamfer_query_to_reference == pytest.approx(0.9)
    [half] = join(forward).intervals
    assert (half.query_start_s, half.query_end_s) == (0, 32)


def test_merging_an_interval_with_what_the_other_direction_shows_of_it_gives_one() -> None:
    found = Match(10, 30, 40, 60, 0.9)
    shown_back = Match(11, 30, 41, 60, 0.88)  # its first frame did not align in the other direction
    for matches in ([found, shown_back], [shown_back, found], [found, found]):
        [interval] = merge(matches)
        assert (interval.query_start_s, interval.query_end_s) == (10, 30)
        assert (interval.reference_start_s, interval.reference_end_s) == (40, 60)


def test_frames_that_were_never_compared_count_as_dissimilar_in_either_direction() -> None:
    reverse = [SegmentEvidence(0, 32, 32.0, (ReferenceEvidence(0, 32, 32.0),), ())]
    joined = join([], reverse, query_frames=320, reference_frames=64)
    assert (joined.chamfer_query_to_reference, joined.chamfer_reference_to_query) == (0.1, 0.5)
