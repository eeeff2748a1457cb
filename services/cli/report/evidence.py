"""What shows that a pair of videos shares content: the similarity matrix, small enough for a picture, and moments.

A frame may be described by several views, rows of one time; of two frames the most similar views count.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.contracts.events import CopiedInterval
from services.contracts.ports import DescribedSegment
from tca_model.matching.similarity import similarity_matrix
from tca_model.types import FloatArray, Times, VideoDescriptor

MOMENTS = 8  # a match: a row of them across a wide page
CELLS = 320  # of a matrix on its longer side: one a pixel where it is drawn
BLOCK_FRAMES = 512  # of the query at a time, so that two films of twelve hours take 90 MB, not 7 GB
SLACK = 1.0  # sampling steps, by which the ends of an interval may be off


class Moment(NamedTuple):
    """A frame of the query and the frame of the reference that it copies, in seconds, and their cosine similarity."""

    query_s: float
    reference_s: float
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What is described of a video that lasts `duration_s`."""

    descriptor: VideoDescriptor
    duration_s: float

    @classmethod
    def of(cls, segments: Sequence[DescribedSegment]) -> "Side":
        """The asset of these segments, in order."""
        descriptor = VideoDescriptor.concatenate([segment.descriptor for segment in segments])
        return cls(descriptor, max(segment.row.end_s for segment in segments))


def cells(query: Side, reference: Side, step_s: float) -> FloatArray:
    """The similarity matrix (H, W) over the seconds of both, of which each cell covers an equal share.

    A cell covers a step of sampling, or more where a side would have more than CELLS; it holds the highest similarity
    of its frames, NaN where there is none: nothing was shown, or the picture stood still.
    """
    height, width = (min(CELLS, max(1, math.ceil(side.duration_s / step_s))) for side in (query, reference))
    rows, columns = _cell_of(query, height), _cell_of(reference, width)
    filled, starts = np.unique(columns, return_index=True)
    result = np.full((height, width), -np.inf, np.float32)
    for start in range(0, len(rows), BLOCK_FRAMES):
        block = slice(start, start + BLOCK_FRAMES)
        similarity = similarity_matrix(query.descriptor.frames[block], reference.descriptor.frames)
        highest = np.maximum.reduceat(similarity, starts, axis=1)
        np.maximum.at(result, (rows[block, np.newaxis], filled), highest)
    result[np.isneginf(result)] = np.nan
    return result


def _cell_of(side: Side, count: int) -> np.ndarray:
    """The cell (T,) of each frame, of `count` cells."""
    return np.minimum((side.descriptor.timestamps_s * (count / side.duration_s)).astype(np.intp), count - 1)


def moments(query: Side, reference: Side, intervals: Sequence[CopiedInterval], step_s: float) -> list[Moment]:
    """At most MOMENTS along the intervals, in the query's order, more where an interval is longer, all described.

    Beside a frame of the query stands the frame of the reference that is most like it, of those at the place that the
    interval's ends say, give or take SLACK steps.
    """
    longest = sorted(intervals, key=_length_s, reverse=True)[:MOMENTS]
    counts = dict.fromkeys(longest, 1)
    for _ in range(MOMENTS - len(longest) if longest else 0):
        counts[max(longest, key=lambda interval: _length_s(interval) / counts[interval])] += 1
    found = {
        moment for interval, count in counts.items() for moment in _along(interval, query, reference, count, step_s)
    }
    return sorted(found)


def _along(interval: CopiedInterval, query: Side, reference: Side, count: int, step_s: float) -> list[Moment]:
    times_s: Times = np.unique(query.descriptor.timestamps_s)
    inside = times_s[(times_s >= interval.query_start_s) & (times_s < interval.query_end_s)]
    middles = (np.arange(count) + 0.5) / count * len(inside)
    chosen = inside[np.unique(middles.astype(np.intp))] if len(inside) else inside
    speed = (interval.reference_end_s - interval.reference_start_s) / _length_s(interval)
    result = []
    for query_s in map(float, chosen):
        place_s = interval.reference_start_s + speed * (query_s - interval.query_start_s)
        distance_s = np.abs(reference.descriptor.timestamps_s - place_s)
        near = np.flatnonzero(distance_s <= max(SLACK * step_s, distance_s.min()))
        views = query.descriptor.frames[query.descriptor.timestamps_s == query_s]
        similarity = similarity_matrix(views, reference.descriptor.frames[near]).max(axis=0)
        best = int(similarity.argmax())
        result.append(Moment(query_s, float(reference.descriptor.timestamps_s[near[best]]), float(similarity[best])))
    return result


def _length_s(interval: CopiedInterval) -> float:
    return interval.query_end_s - interval.query_start_s
