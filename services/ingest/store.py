"""Reads, writes and deletes the segments of an asset: index and cache together."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from services.contracts.events import Role, SegmentUploaded
from services.contracts.generations import select_current
from services.contracts.ports import DescriptorIndex
from services.contracts.segments import DescribedSegment, SegmentRow
from services.ingest.job import Removal
from services.ingest.ports import ProgressCache
from services.ingest.replaced import Replaced


class SegmentStore:
    def __init__(self, index: DescriptorIndex, cache: ProgressCache) -> None:
        self._index = index
        self._cache = cache

    def store(self, segments: Sequence[DescribedSegment]) -> int | None:
        """Write to the index, then to the cache. Returns the write's timestamp, None if the index has none."""
        timestamp = self._index.store(segments)
        self._cache.put_many(segments)
        return timestamp

    def read_rows(self, upload: SegmentUploaded) -> list[SegmentRow]:
        """All stored rows of the asset, current or not."""
        return self._index.read_rows(upload.tenant, [upload.asset_id])

    def refresh(
        self, rows: Sequence[SegmentRow], *, role: Role, generation: int, uploaded_s: float
    ) -> list[SegmentRow]:
        """Store those again that have another role or an older generation. Returns all as they are to be announced.

        Returns [] if the index does not hold all of these, which must then be described again.
        """
        old = [row for row in rows if row.role != role or row.generation < generation]
        segments = self._index.read([row.key for row in old]) if old else {}
        if len(segments) < len(old):
            return []
        changed = {row: replace(row, role=role, generation=generation, uploaded_at=uploaded_s) for row in old}
        if changed:
            self.store([replace(segments[row.key], row=new) for row, new in changed.items()])
        # A newer generation stays in the index: what is announced for this one is obsolete.
        return [changed.get(row) or replace(row, generation=generation) for row in rows]

    def delete(self, replaced: Sequence[Replaced]) -> None:
        """Delete these segments from the index; in the cache they expire.

        Hardly any end of an upload leaves a tail: whether there is one is read for all of a tenant's assets together.
        """
        for one in replaced:
            if not one.spares_whole_files:
                self._delete(one)
        tails = [one for one in replaced if one.spares_whole_files]
        for tenant in {one.tenant for one in tails}:
            rows: defaultdict[str, list[SegmentRow]] = defaultdict(list)
            for row in self._index.read_rows(tenant, {one.asset_id for one in tails if one.tenant == tenant}):
                rows[row.asset_id].append(row)
            for one in tails:
                if one.tenant == tenant and _leaves_tail(one, rows[one.asset_id]):
                    self._delete(one)

    def _delete(self, one: Replaced) -> None:
        self._index.delete(
            one.tenant, one.asset_id, before=one.before, from_index=one.from_index, to_index=one.to_index
        )

    def erase(self, removal: Removal) -> None:
        """Remove all segments of the asset from index and cache that are of records before its removal."""
        tenant, asset_id, before = removal.event.tenant, removal.event.asset_id, removal.generation
        rows = self._index.read_rows(tenant, [asset_id])
        self._index.erase(tenant, asset_id, before=before)
        erased = [row.key for row in rows if row.generation < before]
        self._cache.discard(erased)
        for key in erased:
            if key.segment_id == f"{asset_id}:0":
                self._cache.discard_progress(key)


def _leaves_tail(end: Replaced, rows: Iterable[SegmentRow]) -> bool:
    """Whether segment files of earlier uploads are stored beyond the end of an upload, and no whole file."""
    obsolete = [row for row in rows if row.generation < end.before and row.segment_index >= end.from_index]
    return bool(obsolete) and not any(row.is_whole_file for row in obsolete)


def find_stored(rows: Collection[SegmentRow], upload: SegmentUploaded, stamp: str) -> list[SegmentRow]:
    """The rows of all segments of an upload with this content, in its role if there are; [] if one is not stored."""
    same = [row for row in rows if row.stamp == stamp]
    if not upload.is_whole_file:
        same = [row for row in same if row.segment_index == upload.segment_index]
    for role in sorted({row.role for row in same}, key=lambda role: role != upload.role):
        of_role = [row for row in same if row.role == role]
        # Fewer rows than the last one announces: an interrupted run.
        if not upload.is_whole_file or len(of_role) == of_role[-1].segment_count:
            return of_role
    return []


def find_begun(rows: Collection[SegmentRow], upload: SegmentUploaded, content: str) -> list[SegmentRow]:
    """The rows of the first segments of a whole file that are stored with this content, up to the first gap."""
    same = [row for row in rows if row.content == content] if upload.is_whole_file else []
    return [row for index, row in enumerate(same) if row.segment_index == index]


def find_uploaded_s(rows: Iterable[SegmentRow], upload: SegmentUploaded, stamp: str | None) -> float | None:
    """When the first segment of the upload's asset was uploaded, in seconds since the epoch; None if none is stored.

    For a whole file that counts as its first upload which had this content. `stamp`: None if it is not known.
    """
    current = select_current(rows)
    if upload.is_whole_file:
        own = [row.uploaded_at for row in current if row.stamp == stamp]
    else:
        own = [row.uploaded_at for row in current if not row.is_whole_file]
    return min(own, default=None)
