import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tca_model.matching.evidence import (
    CONTRAST_WEIGHT,
    JoinedEvidence,
    ReferenceEvidence,
    SegmentEvidence,
    join,
    observe,
)
from tca_model.matching.intervals import CHAMFER_WEIGHT, PRIOR
from tca_model.types import TYPICAL_CONTRAST, FloatArray, Match

SEGMENT_S = 32


def noise(query_frames: int, reference_frames: int, seed: int = 0) -> FloatArray:
    values = np.random.default_rng(seed).normal(0.0, 0.07, size=(query_frames, reference_frames))
    return np.clip(values, -0.2, 0.2).astype(np.float32)


def compare(similarity: FloatArray) -> list[SegmentEvidence]:
    """Evidence of each query segment of two whole assets, at 1 frame/s."""
    reference_times = np.arange(similarity.shape[1], dtype=np.float64)
    reference_segments = (reference_times // SEGMENT_S).astype(np.int64)
    found = []
    for index, start in enumerate(range(0, len(similarity), SEGMENT_S)):
        rows = similarity[start : start + SEGMENT_S]
        query_times = start + np.arange(len(rows), dtype=np.float64)
        found.append(observe(index, rows, query_times, reference_times, reference_segments))
    return found


@st.composite
def segment_evidence(draw: st.DrawFn, index: int) -> SegmentEvidence:
    numbers = st.floats(0, 1, allow_nan=False, width=16)
    references = draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 32), numbers), min_size=1, unique_by=lambda one: one[0])
    )
    spots = draw(st.lists(st.tuples(st.integers(0, 28), st.integers(0, 90), st.integers(2, 9), numbers), max_size=4))
    start = SEGMENT_S * index
    matches = [Match(start + q, start + min(q + n, 32), r, r + n, score) for q, r, n, score in spots]
    frames = draw(st.integers(1, 32))
    return SegmentEvidence(
        index,
        frames,
        frames * draw(numbers),
        tuple(ReferenceEvidence(which, count, count * mean) for which, count, mean in references),
        tuple(matches),
    )


def test_the_most_similar_view_of_a_frame_counts() -> None:
    whole, panel = noise(10, 12), noise(10, 12, seed=1)
    panel[np.arange(10), np.arange(10) + 1] = 0.8  # the copy is in the panel
    query_times, reference_times = np.arange(10.0), np.arange(12.0)
    one_segment = np.zeros(12, np.int64)
    views = np.stack([whole, panel], axis=1).reshape(20, 12)
    found = observe(0, views, query_times.repeat(2), reference_times, one_segment)
    assert found == observe(0, np.maximum(whole, panel), query_times, reference_times, one_segment)
    assert found.frame_count == 10
    [match] = found.matches
    assert (match.query_start_s, match.query_end_s, match.reference_start_s) == (0, 10, 1)
    turned = observe(0, views.T, reference_times, query_times.repeat(2), np.zeros(20, np.int64))
    assert turned.references == (ReferenceEvidence(0, 10, turned.references[0].similarity_sum),)
    assert turned.similarity_sum == pytest.approx(np.maximum(whole, panel).max(axis=0).sum())


def test_frames_of_two_segments_at_the_same_time_are_not_views_of_one_frame() -> None:
    found = observe(0, noise(4, 6), np.arange(4.0), np.arange(3.0).repeat(2), np.array([0, 1] * 3))
    assert [(one.segment_index, one.frame_count) for one in found.references] == [(0, 3), (1, 3)]


def test_segment_evidence_by_hand() -> None:
    similarity = np.array([[0.1, 0.2, 0.0], [0.0, 0.1, 0.2]], np.float32)
    times = np.arange(3, dtype=np.float64)
    found = observe(4, similarity, times[:2], times, np.array([7, 7, 9]))
    assert (found.segment_index, found.frame_count, found.matches) == (4, 2, ())
    assert found.similarity_sum == pytest.approx(0.2 + 0.2)
    first, second = found.references
    assert (first.segment_index, first.frame_count, second.segment_index, second.frame_count) == (7, 2, 9, 1)
    assert (first.similarity_sum, second.similarity_sum) == pytest.approx((0.1 + 0.2, 0.2))


def test_the_score_of_an_interval_by_hand() -> None:
    references = (ReferenceEvidence(0, 32, 3.2),)
    # Ten seconds of the query play five of the reference: the shorter side counts.
    pair = join([SegmentEvidence(0, 32, 6.4, references, (Match(0, 10, 20, 25, 0.9),))])
    assert pair.joined_score == pytest.approx(0.9 * 5 / (5 + PRIOR * 0.1))
    assert pair.chamfer_query_to_reference == pytest.approx(0.2)
    assert pair.chamfer_reference_to_query == pytest.approx(0.1)
    assert (pair.query_coverage_s, pair.reference_coverage_s) == (10, 5)


def test_chamfer_gives_the_score_if_nothing_aligns() -> None:
    references = (ReferenceEvidence(0, 30, 27.0), ReferenceEvidence(1, 10, 1.0))
    pair = join([SegmentEvidence(0, 20, 10.0, references, ()), SegmentEvidence(1, 5, 0.0, references, ())])
    forward, backward = 10 / 25, 28 / 40
    assert (pair.chamfer_query_to_reference, pair.chamfer_reference_to_query) == pytest.approx((forward, backward))
    worth = CHAMFER_WEIGHT * backward * 40 / (40 + PRIOR * (1 - backward))
    odds = worth / (1 - worth) * math.exp(-CONTRAST_WEIGHT * TYPICAL_CONTRAST)
    assert pair.joined_score == pytest.approx(odds / (1 + odds))
    assert pair.intervals == ()


def test_chamfer_over_segments_equals_a_slow_loop_over_all_frames() -> None:
    similarity = noise(80, 50)
    pair = join(compare(similarity))
    assert pair.chamfer_query_to_reference == pytest.approx(np.mean([max(row) for row in similarity]), abs=1e-5)
    bound = 0.0
    for first in range(0, 50, SEGMENT_S):
        columns = similarity[:, first : first + SEGMENT_S]
        bound += max(sum(max(c) for c in columns[q : q + SEGMENT_S].T) for q in range(0, 80, SEGMENT_S))
    assert pair.chamfer_reference_to_query == pytest.approx(bound / 50, abs=1e-5)
    assert pair.chamfer_reference_to_query <= np.mean([max(column) for column in similarity.T])


def test_the_score_of_ten_copied_seconds_does_not_depend_on_what_surrounds_them() -> None:
    alone = np.full((10, 10), 0.05, np.float32)
    np.fill_diagonal(alone, 0.85)
    within = noise(40, 60)
    within[12:22, 31:41] = alone
    assert join(compare(within)).joined_score == pytest.approx(join(compare(alone)).joined_score, abs=0.05)
    assert max(join(compare(within)).chamfer_query_to_reference, 0.4) == 0.4  # diluted three times


@pytest.mark.parametrize("before_border", [2, 3, 5, 8])
def test_a_copy_across_a_segment_border_is_one_interval(before_border: int) -> None:
    similarity = noise(64, 60)
    for step in range(10):
        similarity[32 - before_border + step, 20 + step] = 0.85
    (interval,) = join(compare(similarity)).intervals
    found = (interval.query_start_s, interval.query_end_s, interval.reference_start_s, interval.reference_end_s)
    assert found == pytest.approx((32 - before_border, 42 - before_border, 20, 30), abs=1)


def test_a_tail_of_two_frames_alone_does_not_alert() -> None:
    similarity = noise(34, 40)
    similarity[32, 5] = similarity[33, 6] = 0.9
    pair = join(compare(similarity)[1:], query_frames=34, reference_frames=40)
    assert pair.intervals == ()
    assert pair.joined_score < 0.1


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_identical_videos_alert_even_if_very_short(frames: int) -> None:
    similarity = np.full((frames, frames), 0.97, np.float32)
    assert join(compare(similarity), query_frames=frames, reference_frames=frames).joined_score > 0.45


def test_chance_beside_a_copy_is_not_reported() -> None:
    copy, chance = Match(0, 20, 5, 25, 0.9), Match(24, 27, 50, 53, 0.3)
    pair = join([SegmentEvidence(0, 32, 20.0, (ReferenceEvidence(0, 32, 20.0),), (copy, chance))])
    assert pair.intervals == (copy,)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), count=st.integers(1, 5))
def test_the_order_of_segments_does_not_matter(data: st.DataObject, count: int) -> None:
    evidence = [data.draw(segment_evidence(index)) for index in range(count)]
    shuffled = data.draw(st.permutations(evidence))
    assert join(shuffled) == join(evidence)
    assert join(evidence + shuffled) == join(evidence)


def test_a_repeated_segment_replaces_its_earlier_evidence() -> None:
    old = SegmentEvidence(0, 10, 1.0, (ReferenceEvidence(0, 10, 1.0),), ())
    new = replace(old, similarity_sum=9.0, matches=(Match(0, 10, 0, 10, 0.9),))
    other = replace(old, segment_index=1)
    assert join([old, other, new]) == join([new, other])
    assert join([old, other, new]) != join([old, other])


def test_overlapping_intervals_are_counted_once() -> None:
    matches = (Match(0, 10, 0, 10, 0.9), Match(10, 20, 50, 60, 0.9), Match(20, 30, 4, 14, 0.9))
    pair = join([SegmentEvidence(0, 32, 20.0, (ReferenceEvidence(0, 60, 30.0),), matches)])
    assert isinstance(pair, JoinedEvidence)
    assert (pair.query_coverage_s, pair.reference_coverage_s) == (30, 24)


def test_empty_evidence_is_rejected() -> None:
    with pytest.raises(ValueError, match="no evidence"):
        join([])
    with pytest.raises(ValueError, match="frames on both sides"):
        SegmentEvidence(0, 5, 1.0, (), ())
    with pytest.raises(ValueError, match="must have frames"):
        ReferenceEvidence(0, 0, 0.0)
    times = np.arange(4, dtype=np.float64)
    with pytest.raises(ValueError, match="segment index"):
        observe(0, noise(4, 4), times, times, np.array([0, 0]))


def test_an_interval_is_the_same_from_both_sides() -> None:
    long, piece = noise(13, 7), np.eye(7, dtype=np.float32) * 0.8
    long[3:10] = np.maximum(long[3:10], piece)
    (found,) = join(compare(long)).intervals
    (turned,) = join(compare(np.ascontiguousarray(long.T))).intervals
    assert (found.query_start_s, found.query_end_s) == pytest.approx((3, 10), abs=1)
    assert (turned.reference_start_s, turned.reference_end_s) == (found.query_start_s, found.query_end_s)
    assert (turned.query_start_s, turned.query_end_s) == (found.reference_start_s, found.reference_end_s)


@pytest.mark.parametrize(("query", "reference"), [(1, 1), (2, 2), (1, 9), (9, 2)])
def test_a_video_of_one_or_two_frames_has_an_interval_if_identical(query: int, reference: int) -> None:
    similarity = np.full((query, reference), 0.1, np.float32)
    np.fill_diagonal(similarity, 0.98)
    (interval,) = join(compare(similarity), query_frames=query, reference_frames=reference).intervals
    assert interval.query_end_s - interval.query_start_s == min(query, reference)
    similarity[:] = np.minimum(similarity, 0.8)
    assert join(compare(similarity), query_frames=query, reference_frames=reference).intervals == ()
