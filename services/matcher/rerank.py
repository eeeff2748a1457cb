"""Compares a query segment with its candidates, frame by frame, one asset at a time.

Descriptors are read through the cache: misses are read from the index and cached.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from services.contracts.events import side_order
from services.contracts.ports import DescriptorCache, DescriptorIndex
from services.contracts.segments import DescribedSegment, SegmentKey
from tca_model.matching.evidence import SegmentEvidence, observe
from tca_model.matching.similarity import similarity_matrix

# Segments per request: the index returns numbers as Python objects, 30 KB per frame until they are arrays.
READ_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a query segment says about one other asset, from a comparison with these `segments` of it."""

    segments: Sequence[DescribedSegment]
    evidence: SegmentEvidence
    segment_cosine: float

    @property
    def asset_id(self) -> str:
        return self.segments[0].row.asset_id


@dataclass(frozen=True, slots=True)
class DescriptorReader:
    """Reads described segments by key, through the cache."""

    index: DescriptorIndex
    cache: DescriptorCache

    def __call__(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        """The segments that are stored completely."""
        found = self.cache.get_many(keys)
        missing = [key for key in keys if key not in found]
        for start in range(0, len(missing), READ_AT_ONCE):
            read = self.index.read(missing[start : start + READ_AT_ONCE])
            self.cache.put_many(read.values())
            found.update(read)
        return found


def compare(query: DescribedSegment, candidates: Iterable[DescribedSegment]) -> list[Comparison]:
    """One comparison per asset among the candidates, by asset id.

    All similarities are one matrix product: the frames (Tq, D) of the query, and those of all candidates, (sum Tr, D).
    Every segment must have frames.
    """
    ordered = sorted(candidates, key=lambda segment: (segment.row.asset_id, segment.row.segment_index))
    if not ordered:
        return []
    similarity = similarity_matrix(
        query.descriptor.frames, np.concatenate([segment.descriptor.frames for segment in ordered])
    )
    comparisons = []
    column = 0
    for _, group in groupby(ordered, key=lambda segment: segment.row.asset_id):
        segments = list(group)
        frames = sum(len(segment.descriptor) for segment in segments)
        comparisons.append(_compare_asset(query, segments, similarity[:, column : column + frames]))
        column += frames
    return comparisons


def _compare_asset(query: DescribedSegment, segments: Sequence[DescribedSegment], similarity: np.ndarray) -> Comparison:
    times_s = np.concatenate([segment.descriptor.timestamps_s for segment in segments])
    indices = np.repeat(
        [segment.row.segment_index for segment in segments], [len(segment.descriptor) for segment in segments]
    )
    # Uploaders state where a segment file starts, and may state starts that are out of order.
    order = np.argsort(times_s, kind="stable")
    evidence = observe(
        query.row.segment_index,
        similarity[:, order],
        query.descriptor.timestamps_s,
        times_s[order],
        indices[order],
        is_original=_side_order(query) < _side_order(segments[0]),
    )
    cosine = max(float(query.vector @ segment.vector) for segment in segments)
    return Comparison(segments, evidence, cosine)


def _side_order(segment: DescribedSegment) -> tuple[bool, float, str]:
    return side_order(segment.row.role, segment.row.uploaded_at, segment.row.asset_id)
