"""Which stored segments may share content with a query segment: the recall of everything after it.

A segment vector alone loses short copies (FIVR-200K DSVR 0.570 against 0.877 for comparing every frame), so frame
vectors are searched too; both results are merged by asset, so that no static lecture crowds out the rest.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.contracts.events import Role
from services.contracts.ports import Candidate, DescribedSegment, DescriptorIndex, SegmentKey
from tca_model.types import FloatArray

# Frames of a still or a slow pan find the same neighbours: one of them asks for all.
NEAR_IDENTICAL = 0.95


class CandidateStage(Protocol):
    def __call__(self, segments: Sequence[DescribedSegment], *, after: int | None) -> list[list[SegmentKey]]:
        """For each of these segments of one asset, the segments of other assets to compare it with."""


@dataclass(frozen=True, slots=True)
class CandidateLimits:
    """How far the searches go, for one query segment."""

    segments: int = 32  # nearest by segment vector
    per_frame: int = 8  # nearest frames of each distinct query frame
    assets: int = 32  # kept after merging, best first
    segments_per_asset: int = 16


@dataclass(frozen=True, slots=True)
class NearestCandidates:
    """Candidates from a search by segment vector and one by distinct frame vectors."""

    index: DescriptorIndex
    limits: CandidateLimits = CandidateLimits()

    def __call__(self, segments: Sequence[DescribedSegment], *, after: int | None) -> list[list[SegmentKey]]:
        tenant, asset_id = segments[0].row.tenant, segments[0].row.asset_id
        by_segment = self.index.search_segments(
            tenant,
            np.stack([segment.vector for segment in segments]),
            exclude_asset=asset_id,
            limit=self.limits.segments,
            after=after,
        )
        distinct = [distinct_frames(segment.descriptor.frames) for segment in segments]
        by_frame = iter(
            self.index.search_frames(
                tenant,
                np.concatenate(distinct),
                exclude_asset=asset_id,
                limit=self.limits.per_frame,
                after=after,
            )
        )
        merged = []
        for found, frames in zip(by_segment, distinct, strict=True):
            of_frames = [candidate for _ in frames for candidate in next(by_frame)]
            merged.append([SegmentKey(tenant, segment_id) for segment_id in merge(found + of_frames, self.limits)])
        return merged


@dataclass(frozen=True, slots=True)
class ExhaustiveCandidates:
    """Every described segment of every other asset of the tenant: slow, and misses nothing."""

    index: DescriptorIndex

    def __call__(self, segments: Sequence[DescribedSegment], *, after: int | None) -> list[list[SegmentKey]]:  # noqa: ARG002 - whatever is stored is compared
        tenant, asset_id = segments[0].row.tenant, segments[0].row.asset_id
        keys = [
            row.key
            for row in self.index.assets(tenant)
            if row.asset_id != asset_id and row.role != Role.PROBE and row.frame_count > 0
        ]
        return [keys] * len(segments)


def distinct_frames(frames: FloatArray) -> FloatArray:
    """The frames (N, D) that are not nearly identical to an earlier one that is kept."""
    similarity = frames @ frames.T
    kept: list[int] = []
    for position, row in enumerate(similarity):
        if not kept or row[kept].max() < NEAR_IDENTICAL:
            kept.append(position)
    return frames[kept]


def merge(found: Sequence[Candidate], limits: CandidateLimits) -> list[str]:
    """Segment ids of the best assets, an asset ranked by its nearest vector, within each the best segments first."""
    best: dict[str, dict[str, float]] = defaultdict(dict)
    for candidate in found:
        segments = best[candidate.asset_id]
        segments[candidate.segment_id] = max(candidate.similarity, segments.get(candidate.segment_id, -np.inf))
    assets = sorted(best.values(), key=lambda segments: max(segments.values()), reverse=True)[: limits.assets]
    return [
        segment_id
        for segments in assets
        for segment_id in sorted(segments, key=segments.__getitem__, reverse=True)[: limits.segments_per_asset]
    ]
