"""Evidence that one asset copies another: a few numbers per query segment, joined into one score for the pair.

A query segment is compared once with all stored frames of a reference asset. Only a `SegmentEvidence` is kept of that:
no matrix, no descriptors. `join` is called again when another segment has been compared.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tca_model.matching.alignment import MIN_FRAMES, align, merge
from tca_model.matching.calibration import log_odds, sigmoid
from tca_model.matching.contrast import ENOUGH_CONTRAST
from tca_model.matching.intervals import CHAMFER_WEIGHT, Aligner, discount, find_intervals, measure_worth
from tca_model.matching.similarity import best_views, first_views
from tca_model.types import TYPICAL_CONTRAST, FloatArray, Match, Times

# What contrast is worth beside similarity and length, in log odds.
CONTRAST_WEIGHT = 16.0
# Shorter intervals, after joining across segment borders, are chance: three frames at 1 frame/s, whose times may lie
# slightly closer together.
SHORTEST_COPY_S = 2.5
# Intervals are reported if they are worth this share of the best one, contrast apart; chance beside a copy is not.
REPORTED_SHARE = 0.5

Span: TypeAlias = tuple[float, float]  # start and end in seconds, half-open


@dataclass(frozen=True, slots=True)
class ReferenceEvidence:
    """How well one query segment shows one reference segment.

    `similarity_sum`: the sum, over the reference segment's frames, of the largest similarity to any query frame.
    """

    segment_index: int
    frame_count: int
    similarity_sum: float

    def __post_init__(self) -> None:
        if self.frame_count < 1:
            raise ValueError("a compared reference segment must have frames")


@dataclass(frozen=True, slots=True)
class SegmentEvidence:
    """What one query segment says about one reference asset.

    `similarity_sum`: the sum, over the query segment's frames, of the largest similarity to any reference frame.
    """

    segment_index: int
    frame_count: int
    similarity_sum: float
    references: tuple[ReferenceEvidence, ...]
    matches: tuple[Match, ...]

    def __post_init__(self) -> None:
        if self.frame_count < 1 or not self.references:
            raise ValueError("evidence must have frames on both sides")


@dataclass(frozen=True, slots=True)
class JoinedEvidence:
    """All evidence of a pair of assets. `joined_score` ranks pairs; calibrated, it is compared with the threshold."""

    joined_score: float
    chamfer_query_to_reference: float
    chamfer_reference_to_query: float
    intervals: tuple[Match, ...]
    query_coverage_s: float
    reference_coverage_s: float


def observe(
    segment_index: int,
    similarity: FloatArray,
    query_times: Times,
    reference_times: Times,
    reference_segments: NDArray[np.int64],
    aligner: Aligner = align,
    *,
    is_original: bool = False,
) -> SegmentEvidence:
    """Evidence of one query segment, from its similarity matrix (Tq, Tr) with the stored frames of a reference asset.

    Times (Tq,), (Tr,) are seconds of the assets, ascending. Rows or columns with the same time are views of one frame;
    the most similar view counts. `reference_segments` (Tr,) is the segment index of each reference frame.
    `is_original`: the query is the older asset. Alignment always assigns frames of the copy to those of the original,
    so that the intervals do not depend on which one is the query. Raises ValueError if shapes do not fit.
    """
    if reference_segments.shape != (similarity.shape[1],):
        raise ValueError(f"expected a segment index for each of {similarity.shape[1]} reference frames")
    rows, columns = first_views(query_times), first_views(reference_times, reference_segments)
    similarity = best_views(similarity, rows, columns)
    query_times, reference_times = query_times[rows], reference_times[columns]
    reference_segments = reference_segments[columns]
    if is_original:
        swapped = find_intervals(similarity.T, reference_times, query_times, aligner)
        matches = [one.swap_sides() for one in swapped]
    else:
        matches = find_intervals(similarity, query_times, reference_times, aligner)
    indices, which, counts = np.unique(reference_segments, return_inverse=True, return_counts=True)
    sums = np.bincount(which, similarity.max(axis=0))
    references = tuple(
        ReferenceEvidence(int(index), int(count), float(total))
        for index, count, total in zip(indices, counts, sums, strict=True)
    )
    similarity_sum = float(similarity.max(axis=1).sum(dtype=np.float64))
    return SegmentEvidence(segment_index, len(similarity), similarity_sum, references, tuple(matches))


def join(
    evidence: Iterable[SegmentEvidence],
    reverse: Iterable[SegmentEvidence] = (),
    *,
    query_frames: int = 0,
    reference_frames: int = 0,
) -> JoinedEvidence:
    """Evidence of a pair of assets from that of its segments, in any order.

    `evidence`: of query segments that were compared with the reference. `reverse`: of reference segments that were
    compared with the query, in which the searched segment is the query. Of each side, a later entry replaces an earlier
    one with the same segment index. `query_frames` and `reference_frames` are the numbers of all known frames of the
    assets: frames that were never compared count as dissimilar, or a tail of two frames with the same end card would
    stand for a whole video. Raises ValueError without evidence. The score is

        max(max over intervals m of w(d(s_m, n_m), c_m), w(CHAMFER_WEIGHT * max over directions of d(chamfer, T), 0))

    with d(s, n) = s n / (n + PRIOR (1 - s)), s_m the mean similarity along the interval, n_m its seconds on the side
    where it is shorter, c_m its contrast, T the number of frames in that direction, and

        w(d, c) = sigmoid(log odds of d + CONTRAST_WEIGHT (min(c, ENOUGH_CONTRAST) - TYPICAL_CONTRAST))

    An interval's score does not depend on what surrounds the copy; chamfer similarity does, and decides only where
    nothing aligns. A line without contrast is as good as chamfer similarity: it counts if it is nearly identical.

    Chamfer takes, for each segment of a side, the comparison that shows it best: a lower bound if it was not searched
    itself and a copy crosses a border of the other's segments.
    """
    searched, found = _latest(evidence), _latest(reverse)
    if not searched and not found:
        raise ValueError("there is no evidence to join")
    query, reference = _best_shown(searched, found), _best_shown(found, searched)
    query_frames = max(query_frames, sum(one.frame_count for one in query))
    reference_frames = max(reference_frames, sum(one.frame_count for one in reference))
    forward = sum(one.similarity_sum for one in query) / query_frames
    backward = sum(one.similarity_sum for one in reference) / reference_frames
    are_short = min(query_frames, reference_frames) < MIN_FRAMES  # then no copy can be longer
    matches = [match for one in searched for match in one.matches]
    matches += [match.swap_sides() for one in found for match in one.matches]
    intervals = [
        match for match in merge(matches) if match.query_end_s - match.query_start_s >= SHORTEST_COPY_S or are_short
    ]
    best = max(intervals, key=score_interval, default=None)
    reported = tuple(
        match for match in intervals if best and measure_worth(match) >= REPORTED_SHARE * measure_worth(best)
    )
    chamfer = max(discount(forward, query_frames), discount(backward, reference_frames))
    return JoinedEvidence(
        joined_score=max(score_interval(best) if best else 0.0, _weigh(CHAMFER_WEIGHT * chamfer, 0)),
        chamfer_query_to_reference=forward,
        chamfer_reference_to_query=backward,
        intervals=reported,
        query_coverage_s=coverage_s([(match.query_start_s, match.query_end_s) for match in reported]),
        reference_coverage_s=coverage_s([(match.reference_start_s, match.reference_end_s) for match in reported]),
    )


def _latest(evidence: Iterable[SegmentEvidence]) -> list[SegmentEvidence]:
    """The last entry of each segment, by index."""
    latest = {one.segment_index: one for one in evidence}
    return [latest[index] for index in sorted(latest)]


def _best_shown(
    searched: Iterable[SegmentEvidence], compared_with: Iterable[SegmentEvidence]
) -> list[ReferenceEvidence]:
    """How well each segment of one side is shown, by index: best of its own search and of those of the other side."""
    shown = {
        one.segment_index: ReferenceEvidence(one.segment_index, one.frame_count, one.similarity_sum) for one in searched
    }
    for one in (reference for evidence in compared_with for reference in evidence.references):
        if one.segment_index not in shown or _rank(one) > _rank(shown[one.segment_index]):
            shown[one.segment_index] = one
    return [shown[index] for index in sorted(shown)]


def score_interval(match: Match) -> float:
    """The score of an interval, between 0 and 1."""
    return _weigh(measure_worth(match), match.contrast)


def _weigh(worth: float, contrast: float) -> float:
    return float(sigmoid(log_odds(worth) + CONTRAST_WEIGHT * (min(contrast, ENOUGH_CONTRAST) - TYPICAL_CONTRAST)))


def _rank(reference: ReferenceEvidence) -> tuple[float, int]:
    # Between two comparisons a reference segment may have been stored again with other frames.
    return reference.similarity_sum / reference.frame_count, reference.frame_count


def coverage_s(spans: Iterable[Span]) -> float:
    """Seconds in the union of half-open spans."""
    total_s, reached_s = 0.0, float("-inf")
    for start_s, end_s in sorted(spans):
        total_s += max(0.0, end_s - max(start_s, reached_s))
        reached_s = max(reached_s, end_s)
    return total_s
