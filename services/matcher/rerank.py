"""Compares a query segment with its candidates, frame by frame, an asset at a time.

Descriptors come from the cache, read through to the index on a miss, and written back.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import numpy as np

from services.contracts.events import side_order
from services.contracts.ports import DescribedSegment, DescriptorCache, DescriptorIndex, SegmentKey, SegmentRow
from tca_model.matching.evidence import SegmentEvidence, observe
from tca_model.matching.similarity import similarity_matrix

# Segments in one question to the index, which gives numbers as Python objects: 30 KB a frame until they are arrays.
READ_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a query segment shows of one other asset; `row` is any of that asset's segments."""

    row: SegmentRow
    evidence: SegmentEvidence
    segment_cosine: float


@dataclass(frozen=True, slots=True)
class DescriptorReader:
    """Described segments by key, through the cache; those that are not whole in the index are left out."""

    index: DescriptorIndex
    cache: DescriptorCache

    def __call__(
        self, keys: Collection[SegmentKey], stamps: Mapping[SegmentKey, str | None] = MappingProxyType({})
    ) -> dict[SegmentKey, DescribedSegment]:
        """Those of the segments that are there; where a stamp is given, with that content or not at all."""
        found = _select_content(self.cache.get_many(keys), stamps)
        missing = [key for key in keys if key not in found]
        for start in range(0, len(missing), READ_AT_ONCE):
            read = self.index.read(missing[start : start + READ_AT_ONCE])
            self.cache.put_many(read.values())
            found.update(_select_content(read, stamps))
        return found


def _select_content(
    read: dict[SegmentKey, DescribedSegment], stamps: Mapping[SegmentKey, str | None]
) -> dict[SegmentKey, DescribedSegment]:
    return {key: segment for key, segment in read.items() if stamps.get(key) in (None, segment.row.stamp)}


def compare(query: DescribedSegment, candidates: Iterable[DescribedSegment]) -> list[Comparison]:
    """One comparison for each other asset among the candidates; all similarities in one matrix product."""
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
    # Uploaders say where a segment file starts, and may say that one starts before the one before it.
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
    return Comparison(segments[0].row, evidence, cosine)


def _side_order(segment: DescribedSegment) -> tuple[bool, float, str]:
    return side_order(segment.row.role, segment.row.uploaded_at, segment.row.asset_id)
