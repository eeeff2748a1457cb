"""A descriptor index whose calls wait for the backend: a decorator of any DescriptorIndex."""

from collections.abc import Collection, Sequence

from services.contracts.ports import Candidate, DescribedSegment, DescriptorIndex, SegmentKey, SegmentRow
from services.runtime.retry import Retrier
from tca_model.types import FloatArray


class RetryingIndex:
    """Every call is made until it succeeds; all of them are idempotent. Times are `stage_seconds{stage="index_*"}`."""

    def __init__(self, index: DescriptorIndex, patience: Retrier) -> None:
        self._index = index
        self._patience = patience

    @property
    def model_version(self) -> str:
        return self._index.model_version

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        return self._patience("index_store", self._index.store, batch)

    def assets(self, tenant: str, asset_ids: Collection[str] | None = None) -> list[SegmentRow]:
        return self._patience("index_assets", self._index.assets, tenant, asset_ids)

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        return self._patience("index_read", self._index.read, keys)

    def search_segments(
        self,
        tenant: str,
        vectors: FloatArray,
        *,
        exclude_asset: str,
        limit: int,
        after: int | None = None,
        exclude_also: Collection[str] = (),
        references_only: bool = False,
    ) -> list[list[Candidate]]:
        return self._patience(
            "index_search_segments",
            self._index.search_segments,
            tenant,
            vectors,
            exclude_asset=exclude_asset,
            limit=limit,
            after=after,
            exclude_also=exclude_also,
            references_only=references_only,
        )

    def search_frames(
        self,
        tenant: str,
        vectors: FloatArray,
        *,
        exclude_asset: str,
        limit: int,
        after: int | None = None,
        exclude_also: Collection[str] = (),
        references_only: bool = False,
    ) -> list[list[Candidate]]:
        return self._patience(
            "index_search_frames",
            self._index.search_frames,
            tenant,
            vectors,
            exclude_asset=exclude_asset,
            limit=limit,
            after=after,
            exclude_also=exclude_also,
            references_only=references_only,
        )

    def delete(self, tenant: str, asset_id: str, *, from_index: int = 0) -> None:
        self._patience("index_delete", self._index.delete, tenant, asset_id, from_index=from_index)

    def flush(self) -> None:
        self._patience("index_flush", self._index.flush)

    def close(self) -> None:
        self._index.close()
