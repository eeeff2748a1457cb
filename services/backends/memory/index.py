"""A descriptor index in a dictionary: the contract's plain reading, for tests of what stands on it."""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from services.contracts.events import Role
from services.contracts.ports import Candidate, DescribedSegment, SegmentKey, SegmentRow
from tca_model.types import FloatArray


class MemoryIndex:
    """A DescriptorIndex that compares every vector with every other; every write is seen at once, so `after` is."""

    def __init__(self, *, model_version: str) -> None:
        self._version = model_version
        self._segments: dict[SegmentKey, DescribedSegment] = {}

    @property
    def model_version(self) -> str:
        return self._version

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        self._segments |= {segment.row.key: segment for segment in batch}
        return None

    def assets(self, tenant: str, asset_ids: Collection[str] | None = None) -> list[SegmentRow]:
        found = [segment.row for segment in self._segments.values()]
        found = [row for row in found if row.tenant == tenant and (asset_ids is None or row.asset_id in asset_ids)]
        return sorted(found, key=lambda row: (row.asset_id, row.segment_index))

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        return {key: self._segments[key] for key in keys if key in self._segments}

    def search_segments(
        self,
        tenant: str,
        vectors: FloatArray,
        *,
        exclude_asset: str,
        limit: int,
        after: int | None = None,  # noqa: ARG002
        exclude_also: Collection[str] = (),
        references_only: bool = False,
    ) -> list[list[Candidate]]:
        return self._search(
            self._others(tenant, {exclude_asset, *exclude_also}, references_only),
            vectors,
            limit,
            lambda segment: segment.vector[np.newaxis],
        )

    def search_frames(
        self,
        tenant: str,
        vectors: FloatArray,
        *,
        exclude_asset: str,
        limit: int,
        after: int | None = None,  # noqa: ARG002
        exclude_also: Collection[str] = (),
        references_only: bool = False,
    ) -> list[list[Candidate]]:
        return self._search(
            self._others(tenant, {exclude_asset, *exclude_also}, references_only),
            vectors,
            limit,
            lambda segment: segment.descriptor.frames,
        )

    def _others(self, tenant: str, excluded: Collection[str], references_only: bool) -> list[DescribedSegment]:
        found = {Role.REFERENCE} if references_only else {Role.REFERENCE, Role.UPLOAD}
        return [
            segment
            for segment in self._segments.values()
            if segment.row.tenant == tenant
            and segment.row.asset_id not in excluded
            and segment.row.role in found
            and segment.row.frame_count
        ]

    def _search(
        self,
        others: Sequence[DescribedSegment],
        vectors: FloatArray,
        limit: int,
        stored: Callable[[DescribedSegment], FloatArray],
    ) -> list[list[Candidate]]:
        if not others:
            return [[] for _ in vectors]
        rows = [segment.row for segment in others for _ in stored(segment)]
        similarities = vectors @ np.concatenate([stored(segment) for segment in others]).T  # (N, rows)
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :limit]
        return [
            [Candidate(rows[one].segment_id, rows[one].asset_id, float(similarities[n, one])) for one in nearest]
            for n, nearest in enumerate(best)
        ]

    def delete(self, tenant: str, asset_id: str, *, from_index: int = 0) -> None:
        for row in self.assets(tenant, [asset_id]):
            if row.segment_index >= from_index:
                del self._segments[row.key]

    def flush(self) -> None:
        """Nothing is faster here after a flush."""

    def close(self) -> None:
        """Nothing is open."""
