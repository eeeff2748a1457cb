"""Finds the stored segments that may share content with a segment; this limits the recall of all later stages.

A segment vector alone misses short copies (FIVR-200K DSVR 0.570 against 0.877 for comparing every frame), so frame
vectors are searched too, and both results are merged by asset. If a static lecture fills all results of a vector, the
vector is searched again without it. References are also searched on their own, so that a viral family of uploads does
not crowd out the original. `python -m bench.candidates` measures what that finds and costs.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Protocol, TypeAlias

import numpy as np

from services.contracts.events import Role
from services.contracts.ports import DescriptorIndex
from services.contracts.segments import Candidate, DescribedSegment, SearchRequest, SegmentKey
from tca_model.types import FloatArray

# Frames of a still or a slow pan find the same neighbours, so only one of them is searched.
NEAR_IDENTICAL = 0.95
# A vector whose results all belong to fewer assets is searched again without these.
CROWDED_ASSETS = 4

IndexSearch: TypeAlias = Callable[[SearchRequest], list[list[Candidate]]]


class CandidateStage(Protocol):
    def __call__(self, segments: Sequence[DescribedSegment], *, after: int | None) -> list[list[SegmentKey]]:
        """For each of the segments, which are of one asset, the segments of other assets to compare it with.

        `after`: as in SearchRequest.
        """


@dataclass(frozen=True, slots=True)
class CandidateLimits:
    """Limits of the searches for one segment; a search with a limit of 0 is not made."""

    segments: int = 32  # nearest by segment vector
    per_frame: int = 8  # nearest frames of each distinct query frame
    assets: int = 32  # kept after merging, the best ones
    references: int = 8  # nearest references, kept in addition
    segments_per_asset: int = 16
    rounds: int = 3  # at most, of repeating crowded searches; not every Milvus can group results by asset


@dataclass(frozen=True, slots=True)
class NearestCandidates:
    """Candidates from searches by segment vector and by distinct frame vectors."""

    index: DescriptorIndex
    limits: CandidateLimits = CandidateLimits()

    def __call__(self, segments: Sequence[DescribedSegment], *, after: int | None) -> list[list[SegmentKey]]:
        limits = self.limits
        merged = [merge(found, limits) for found in self._search(segments, after)]
        if limits.references:
            own = replace(limits, assets=limits.references)
            for keys, found in zip(merged, self._search(segments, after, references_only=True), strict=True):
                keys += merge(found, own)
        return [list(dict.fromkeys(keys)) for keys in merged]

    def _search(
        self, segments: Sequence[DescribedSegment], after: int | None, *, references_only: bool = False
    ) -> list[list[Candidate]]:
        """What the searches by segment and by frame find for each segment."""
        asset, limits = segments[0].row, self.limits
        frames = [distinct_frames(one.descriptor.frames) for one in segments]
        searches: tuple[tuple[IndexSearch, int, list[FloatArray]], ...] = (
            (self.index.search_segments, limits.segments, [one.vector[np.newaxis] for one in segments]),
            (self.index.search_frames, limits.per_frame, frames),
        )
        found: list[list[Candidate]] = [[] for _ in segments]
        for search, limit, vectors in searches:
            if limit:
                request = SearchRequest(
                    tenant=asset.tenant,
                    vectors=np.concatenate(vectors),
                    exclude_asset=asset.asset_id,
                    limit=limit,
                    after=after,
                    references_only=references_only,
                )
                counts = [len(of_segment) for of_segment in vectors]
                for candidates, more in zip(found, find_nearest(search, request, counts, limits.rounds), strict=True):
                    candidates += more
        return found


@dataclass(frozen=True, slots=True)
class ExhaustiveCandidates:
    """Every described segment of every other asset of the tenant: slow, but misses nothing."""

    index: DescriptorIndex

    def __call__(self, segments: Sequence[DescribedSegment], *, after: int | None) -> list[list[SegmentKey]]:  # noqa: ARG002 - compares everything stored
        tenant, asset_id = segments[0].row.tenant, segments[0].row.asset_id
        keys = [
            row.key
            for row in self.index.read_rows(tenant)
            if row.asset_id != asset_id and row.role != Role.PROBE and row.frame_count > 0
        ]
        return [keys] * len(segments)


def distinct_frames(frames: FloatArray) -> FloatArray:
    """The frames of (N, D) that are not nearly identical to an earlier kept frame."""
    similarity = frames @ frames.T
    kept: list[int] = []
    for position, row in enumerate(similarity):
        if not kept or row[kept].max() < NEAR_IDENTICAL:
            kept.append(position)
    return frames[kept]


def find_nearest(
    search: IndexSearch, request: SearchRequest, counts: Sequence[int], rounds: int
) -> list[list[Candidate]]:
    """The candidates of each query segment: what its vectors find, and what they find behind assets that crowd them.

    `request.vectors` holds the vectors of all segments, one segment after the other: `counts[i]` of segment i.
    """
    answers = search(request)
    found = []
    for start, end in pairwise(accumulate(counts, initial=0)):
        of_segment = replace(request, vectors=request.vectors[start:end])
        crowded = _search_behind(search, of_segment, answers[start:end], rounds)
        found.append([candidate for answer in (*answers[start:end], *crowded) for candidate in answer])
    return found


def _search_behind(
    search: IndexSearch, request: SearchRequest, answers: Sequence[list[Candidate]], rounds: int
) -> Iterator[list[Candidate]]:
    """What crowded vectors of one segment find without the assets that crowd them, which are candidates already."""
    for _ in range(rounds):
        crowded = [n for n, answer in enumerate(answers) if _is_crowded(answer, request.limit)]
        if not crowded:
            return
        crowding = {candidate.asset_id for n in crowded for candidate in answers[n]}
        request = replace(request, vectors=request.vectors[crowded], exclude_also=request.exclude_also | crowding)
        answers = search(request)
        yield from answers


def _is_crowded(answer: Sequence[Candidate], limit: int) -> bool:
    return len(answer) == limit and len({candidate.asset_id for candidate in answer}) < min(CROWDED_ASSETS, limit)


def merge(found: Sequence[Candidate], limits: CandidateLimits) -> list[SegmentKey]:
    """Segments of the best assets, ranked by their nearest vector, and within each asset the best segments first."""
    best: dict[str, dict[SegmentKey, float]] = defaultdict(dict)
    for candidate in found:
        segments = best[candidate.asset_id]
        segments[candidate.key] = max(candidate.similarity, segments.get(candidate.key, -np.inf))
    assets = sorted(best.values(), key=lambda segments: max(segments.values()), reverse=True)[: limits.assets]
    return [
        key
        for segments in assets
        for key in sorted(segments, key=segments.__getitem__, reverse=True)[: limits.segments_per_asset]
    ]
