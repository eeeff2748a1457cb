"""Evidence that one asset copies another: a few numbers for each query segment, joined into one score for the pair.

A query segment is compared once with all that is stored of a reference asset. What must be remembered of that is a
`SegmentEvidence`: no matrix, no descriptors. `join` may be called again whenever one segment more is known.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tca_model.matching.alignment import MIN_FRAMES, align, merge
from tca_model.matching.similarity import best_views, first_views
from tca_model.types import FloatArray, Match, Times

# A short stretch of moderate similarity happens by chance, a long one does not, and near-identity never does: a mean
# similarity s over n frames or seconds counts as s * n / (n + PRIOR * (1 - s)). 6 to 12 rank alike.
PRIOR = 9.0
# Chamfer takes the best of all frames for each, in any order: between unrelated works it comes out higher than an
# aligned interval. From 0.8 on, pairs of different works pass true ones; without it, what is reversed has no score.
CHAMFER_WEIGHT = 0.6
# A copy that lasts less, after pieces on both sides of a segment border were joined, is chance: three frames at
# 1 frame/s, whose times may lie a little closer together than that.
SHORTEST_COPY_S = 2.5
# One or two frames that are all there is of a video speak for a copy only when they are almost the same.
NEARLY_IDENTICAL = 0.9
# Intervals are reported down to this share of the best one's score; chance alignments beside a copy lie below.
REPORTED_SHARE = 0.5

Aligner: TypeAlias = Callable[[FloatArray, Times, Times], list[Match]]
Span: TypeAlias = tuple[float, float]  # start and end in seconds, half-open


@dataclass(frozen=True, slots=True)
class ReferenceEvidence:
    """How well one query segment shows one reference segment.

    `similarity_sum`: sum over the reference segment's frames of the largest similarity to a frame of the query.
    """

    segment_index: int
    frame_count: int
    similarity_sum: float

    def __post_init__(self) -> None:
        if self.frame_count < 1:
            raise ValueError("a compared reference segment has frames")


@dataclass(frozen=True, slots=True)
class SegmentEvidence:
    """What one query segment says about one reference asset.

    `similarity_sum`: sum over the query segment's frames of the largest similarity to a frame of the reference.
    """

    segment_index: int
    frame_count: int
    similarity_sum: float
    references: tuple[ReferenceEvidence, ...]
    matches: tuple[Match, ...]

    def __post_init__(self) -> None:
        if self.frame_count < 1 or not self.references:
            raise ValueError("evidence needs frames on both sides")


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """What is known of a pair of assets: `joined_score` ranks pairs and, calibrated, meets the alert threshold."""

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

    Times (Tq,), (Tr,) are seconds of the assets, ascending; rows or columns with one time are views of one frame, of
    which the most similar counts. `reference_segments` (Tr,) is the segment index of each
    reference frame. `is_original`: the query is the older of the two. Alignment explains frames of the copy by those
    of the original, so that intervals do not depend on which of them is compared with the other.
    """
    if reference_segments.shape != (similarity.shape[1],):
        raise ValueError(f"expected a segment index for each of {similarity.shape[1]} reference frames")
    rows, columns = first_views(query_times), first_views(reference_times, reference_segments)
    similarity = best_views(similarity, rows, columns)
    query_times, reference_times = query_times[rows], reference_times[columns]
    reference_segments = reference_segments[columns]
    if min(similarity.shape) < MIN_FRAMES:
        matches = _identical(similarity, query_times, reference_times)
    elif is_original:
        matches = [_turned(match) for match in aligner(similarity.T, reference_times, query_times)]
    else:
        matches = aligner(similarity, query_times, reference_times)
    indices, which, counts = np.unique(reference_segments, return_inverse=True, return_counts=True)
    sums = np.bincount(which, similarity.max(axis=0))
    references = tuple(
        ReferenceEvidence(int(index), int(count), float(total))
        for index, count, total in zip(indices, counts, sums, strict=True)
    )
    similarity_sum = float(similarity.max(axis=1).sum(dtype=np.float64))
    return SegmentEvidence(segment_index, len(similarity), similarity_sum, references, tuple(matches))


def _identical(similarity: FloatArray, query_times: Times, reference_times: Times) -> list[Match]:
    """The interval of one or two frames that are shown nearly identically, too few to align; or none."""
    if len(reference_times) < len(query_times):
        return [_turned(one) for one in _identical(similarity.T, reference_times, query_times)]
    score = float(similarity.max(axis=1).mean())
    if score < NEARLY_IDENTICAL:
        return []
    length_s = float(query_times[-1] - query_times[0]) + 1.0  # a frame stands for a second
    query_start, reference_start = float(query_times[0]), float(reference_times[similarity[0].argmax()])
    return [Match(query_start, query_start + length_s, reference_start, reference_start + length_s, score)]


def _turned(match: Match) -> Match:
    return Match(
        match.reference_start_s, match.reference_end_s, match.query_start_s, match.query_end_s, match.similarity
    )


def join(evidence: Iterable[SegmentEvidence], *, query_frames: int = 0, reference_frames: int = 0) -> PairEvidence:
    """Evidence of a pair of assets from that of its query segments, in whatever order they were compared.

    Of two with one segment index the later one replaces the earlier. `query_frames` and `reference_frames` are all
    frames that are known of the assets: what was never compared counts as unlike, or a tail of two frames that shows
    the same end card would speak for a whole video. The score is

        max(max over intervals m of d(s_m, n_m), CHAMFER_WEIGHT * max over directions of d(chamfer, T))

    with d(s, n) = s n / (n + PRIOR (1 - s)), s_m the mean similarity along the interval, n_m its seconds on the side
    where it is shorter, and T the frames of the direction. It does not change with what surrounds the copy on either
    side, unlike chamfer similarity, which stands in where nothing aligns.

    The chamfer of the reference takes, for each reference segment, the query segment that shows it best: a lower
    bound where a copy crosses a query border.
    """
    latest = {one.segment_index: one for one in evidence}
    if not latest:
        raise ValueError("there is no evidence to join")
    segments = [latest[index] for index in sorted(latest)]
    query_frames = max(query_frames, sum(one.frame_count for one in segments))
    forward = sum(one.similarity_sum for one in segments) / query_frames
    shown: dict[int, ReferenceEvidence] = {}
    for one in segments:
        for reference in one.references:
            best = shown.setdefault(reference.segment_index, reference)
            if _rank(reference) > _rank(best):
                shown[reference.segment_index] = reference
    reference_frames = max(reference_frames, sum(one.frame_count for one in shown.values()))
    backward = sum(shown[index].similarity_sum for index in sorted(shown)) / reference_frames
    are_short = min(query_frames, reference_frames) < MIN_FRAMES  # then a copy can be no longer
    intervals = [
        match
        for match in merge([match for one in segments for match in one.matches])
        if match.query_end_s - match.query_start_s >= SHORTEST_COPY_S or are_short
    ]
    best_interval = max((_discounted(match) for match in intervals), default=-1.0)
    reported = tuple(match for match in intervals if _discounted(match) >= REPORTED_SHARE * best_interval)
    chamfer = max(discount(forward, query_frames), discount(backward, reference_frames))
    return PairEvidence(
        joined_score=max(best_interval, CHAMFER_WEIGHT * chamfer),
        chamfer_query_to_reference=forward,
        chamfer_reference_to_query=backward,
        intervals=reported,
        query_coverage_s=covered_s([(match.query_start_s, match.query_end_s) for match in reported]),
        reference_coverage_s=covered_s([(match.reference_start_s, match.reference_end_s) for match in reported]),
    )


def _discounted(match: Match) -> float:
    shorter_s = min(match.query_end_s - match.query_start_s, match.reference_end_s - match.reference_start_s)
    return discount(match.similarity, shorter_s)


def discount(similarity: float, length: float) -> float:
    """What a mean similarity counts for over that many seconds or frames."""
    return similarity * length / (length + PRIOR * max(0.0, 1 - similarity))


def _rank(reference: ReferenceEvidence) -> tuple[float, int]:
    # A reference segment may have been stored again between two comparisons, with other frames.
    return reference.similarity_sum / reference.frame_count, reference.frame_count


def covered_s(spans: Iterable[Span]) -> float:
    """Seconds in the union of half-open spans."""
    total_s, reached_s = 0.0, float("-inf")
    for start_s, end_s in sorted(spans):
        total_s += max(0.0, end_s - max(start_s, reached_s))
        reached_s = max(reached_s, end_s)
    return total_s
