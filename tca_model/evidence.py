"""Evidence that one asset copies another: a few numbers for each query segment, joined into one score for the pair.

A query segment is compared once with all that is stored of a reference asset; what must be remembered of that
is a `SegmentEvidence`: no matrix, no descriptors. `join` may be called again whenever a segment more is known.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tca_model.alignment import DEFAULT_ALIGNMENT, AlignmentConfig, align, merge
from tca_model.types import FloatArray, Match, Times


@dataclass(frozen=True, slots=True)
class ReferenceEvidence:
    """How well one reference segment is shown by one query segment: sum of the column maxima of its frames."""

    segment_index: int
    frame_count: int
    similarity_sum: float


@dataclass(frozen=True, slots=True)
class SegmentEvidence:
    """What one query segment says about one reference asset.

    `similarity_sum`: sum over the query frames of the largest similarity to a frame of the reference asset.
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
    """What is known of a pair of assets: `score` ranks pairs and meets the alert threshold."""

    score: float
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
    config: AlignmentConfig = DEFAULT_ALIGNMENT,
) -> SegmentEvidence:
    """Evidence of one query segment, from its similarity matrix (Tq, Tr) with all stored frames of a reference asset.

    `reference_segments` (Tr,) is the segment index of each reference frame.
    """
    matches = align(similarity, query_times, reference_times, config)
    columns = similarity.max(axis=0)
    references = tuple(
        ReferenceEvidence(
            int(index), int(np.sum(reference_segments == index)), float(columns[reference_segments == index].sum())
        )
        for index in np.unique(reference_segments)
    )
    rows = similarity.max(axis=1)
    return SegmentEvidence(segment_index, len(rows), float(rows.sum()), references, tuple(matches))


def join(evidence: Iterable[SegmentEvidence]) -> PairEvidence:
    """Evidence of a pair of assets from that of its query segments, in whatever order they were compared.

    Of two with one segment index the later one replaces the earlier. The chamfer of the reference takes, for each
    reference segment, the query segment that shows it best: a lower bound where a copy crosses a query border.
    """
    latest = {one.segment_index: one for one in evidence}
    if not latest:
        raise ValueError("there is no evidence to join")
    segments = [latest[index] for index in sorted(latest)]
    forward = sum(one.similarity_sum for one in segments) / sum(one.frame_count for one in segments)
    shown: dict[int, ReferenceEvidence] = {}
    for one in segments:
        for reference in one.references:
            best = shown.get(reference.segment_index)
            if best is None or _mean(reference) > _mean(best):
                shown[reference.segment_index] = reference
    backward = sum(one.similarity_sum for one in shown.values()) / sum(one.frame_count for one in shown.values())
    intervals = merge([match for one in segments for match in one.matches])
    return PairEvidence(
        score=max(forward, backward),
        chamfer_query_to_reference=forward,
        chamfer_reference_to_query=backward,
        intervals=tuple(intervals),
        query_coverage_s=_covered([(match.query_start_s, match.query_end_s) for match in intervals]),
        reference_coverage_s=_covered([(match.reference_start_s, match.reference_end_s) for match in intervals]),
    )


def _mean(reference: ReferenceEvidence) -> float:
    return reference.similarity_sum / reference.frame_count


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in the union of half-open spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
