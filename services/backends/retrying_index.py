"""A descriptor index whose calls wait for the backend; wraps any DescriptorIndex."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from services.contracts.ports import DescriptorIndex
from services.contracts.segments import Candidate, DescribedSegment, SearchRequest, SegmentKey, SegmentRow
from services.runtime.retry import Retrier

Choice: TypeAlias = Callable[[Sequence[DescribedSegment]], list[DescribedSegment]]


class RetryingIndex:
    """Repeats every call until it succeeds; all are idempotent. Measured as `stage_seconds{stage="index_*"}`."""

    def __init__(self, index: DescriptorIndex, retrier: Retrier, *, choose: Choice = list) -> None:
        """`choose`: asked before each attempt to store, what of the segments is still to be stored."""
        self._index = index
        self._retrier = retrier
        self._choose = choose

    @property
    def model_version(self) -> str:
        return self._index.model_version

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        return self._retrier("index_store", self._store_chosen, batch)

    def read_rows(self, tenant: str, asset_ids: Collection[str] | None = None) -> list[SegmentRow]:
        return self._retrier("index_read_rows", self._index.read_rows, tenant, asset_ids)

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        return self._retrier("index_read", self._index.read, keys)

    def search_segments(self, request: SearchRequest) -> list[list[Candidate]]:
        return self._retrier("index_search_segments", self._index.search_segments, request)

    def search_frames(self, request: SearchRequest) -> list[list[Candidate]]:
        return self._retrier("index_search_frames", self._index.search_frames, request)

    def delete(
        self, tenant: str, asset_id: str, *, before: int, from_index: int = 0, to_index: int | None = None
    ) -> None:
        self._retrier(
            "index_delete",
            self._index.delete,
            tenant,
            asset_id,
            before=before,
            from_index=from_index,
            to_index=to_index,
        )

    def erase(self, tenant: str, asset_id: str, *, before: int) -> None:
        self._retrier("index_erase", self._index.erase, tenant, asset_id, before=before)

    def flush(self) -> None:
        self._retrier("index_flush", self._index.flush)

    def close(self) -> None:
        self._index.close()

    def _store_chosen(self, batch: Sequence[DescribedSegment]) -> int | None:
        chosen = self._choose(batch)
        return self._index.store(chosen) if chosen else None
