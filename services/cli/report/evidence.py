"""The evidence that two videos share content: a similarity matrix, small enough for a picture, and moments.

A frame may be described by several views, which are rows with the same time; the most similar views of two frames
count.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.contracts.events import CopiedInterval
from services.contracts.segments import DescribedSegment
from tca_model.matching.similarity import similarity_matrix
from tca_model.types import FloatArray, Times, VideoDescriptor

MOMENTS = 8  # per match: one row of them on a wide page
CELLS = 320  # on the longer side of a matrix: one per pixel that is drawn
BLOCK_FRAMES = 512  # of the query at once, so that two films of twelve hours take 90 MB, not 7 GB
SLACK = 1.0  # sampling steps by which the ends of an interval may be wrong


class Moment(NamedTuple):
    """The times of a query frame and of the reference frame that it copies, and their cosine similarity."""

    query_s: float
    reference_s: float
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The descriptor of a video that lasts `duration_s`."""

    descriptor: VideoDescriptor
    duration_s: float

    @classmethod
    def of(cls, segments: Sequence[DescribedSegment]) -> "Side":
        """The asset of these segments, in order."""
        descriptor = VideoDescriptor.concatenate([segment.descriptor for segment in segments])
        return cls(descriptor, max(segment.row.end_s for segment in segments))


def compare_views(query: Side, reference: Side, step_s: float) -> FloatArray:
    """The similarity matrix (H, W) over the time of both sides, in cells of equal duration.

    A cell covers one sampling step, or more if a side would have more than CELLS. It holds the highest similarity of
    its frames, or NaN if it has none because the picture was empty or stood still.
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
    """The number of each frame's cell (T,), out of `count` cells."""
    return np.minimum((side.descriptor.timestamps_s * (count / side.duration_s)).astype(np.intp), count - 1)


def choose_moments(query: Side, reference: Side, intervals: Sequence[CopiedInterval], step_s: float) -> list[Moment]:
    """At most MOMENTS along the intervals, in the order of the query; longer intervals have more.

    Each pairs a described frame of the query with the most similar frame of the reference within SLACK steps of the
    time that the ends of the interval imply.
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
