"""A descriptor index in a dictionary: the contract in its simplest form, used by tests alone."""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from services.contracts.events import Role
from services.contracts.segments import Candidate, DescribedSegment, SearchRequest, SegmentKey, SegmentRow
from tca_model.types import FloatArray


class MemoryIndex:
    """A DescriptorIndex that compares every vector with every stored one.

    Writes are visible immediately, so `after` has no effect.
    """

    def __init__(self, *, model_version: str) -> None:
        self._version = model_version
        self._segments: dict[SegmentKey, DescribedSegment] = {}

    @property
    def model_version(self) -> str:
        return self._version

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        self._segments |= {segment.row.key: segment for segment in batch}
        return None

    def read_rows(self, tenant: str, asset_ids: Collection[str] | None = None) -> list[SegmentRow]:
        found = [segment.row for segment in self._segments.values()]
        found = [row for row in found if row.tenant == tenant and (asset_ids is None or row.asset_id in asset_ids)]
        return sorted(found, key=lambda row: (row.asset_id, row.segment_index))

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        return {key: self._segments[key] for key in keys if key in self._segments}

    def search_segments(self, request: SearchRequest) -> list[list[Candidate]]:
        return self._search(request, lambda segment: segment.vector[np.newaxis])

    def search_frames(self, request: SearchRequest) -> list[list[Candidate]]:
        return self._search(request, lambda segment: segment.descriptor.frames)

    def _searchable_segments(self, request: SearchRequest) -> list[DescribedSegment]:
        """The stored segments that the request may find."""
        roles = {Role.REFERENCE} if request.references_only else {Role.REFERENCE, Role.UPLOAD}
        excluded = request.exclude_also | {request.exclude_asset}
        return [
            segment
            for segment in self._segments.values()
            if segment.row.tenant == request.tenant
            and segment.row.asset_id not in excluded
            and segment.row.role in roles
            and segment.row.frame_count
        ]

    def _search(
        self, request: SearchRequest, vectors_of: Callable[[DescribedSegment], FloatArray]
    ) -> list[list[Candidate]]:
        segments = self._searchable_segments(request)
        if not segments:
            return [[] for _ in request.vectors]
        rows = [segment.row for segment in segments for _ in vectors_of(segment)]
        stored = np.concatenate([vectors_of(segment) for segment in segments])
        similarities = request.vectors @ stored.T  # (N, rows)
        best = np.argsort(-similarities, axis=1, kind="stable")[:, : request.limit]
        return [
            [Candidate(rows[one].key, rows[one].asset_id, float(similarities[n, one])) for one in nearest]
            for n, nearest in enumerate(best)
        ]

    def delete(
        self, tenant: str, asset_id: str, *, before: int, from_index: int = 0, to_index: int | None = None
    ) -> None:
        for row in self.read_rows(tenant, [asset_id]):
            is_in_range = from_index <= row.segment_index and (to_index is None or row.segment_index < to_index)
            if is_in_range and row.generation < before:
                del self._segments[row.key]

    def erase(self, tenant: str, asset_id: str, *, before: int) -> None:
        self.delete(tenant, asset_id, before=before)

    def flush(self) -> None:
        """Nothing is faster here after a flush."""

    def close(self) -> None:
        """Nothing is open."""
