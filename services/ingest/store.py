"""What is stored of an asset already, and how described segments get stored: index and cache together."""

from collections.abc import Sequence
from dataclasses import replace

from services.contracts.events import SegmentUploaded
from services.contracts.ports import DescribedSegment, DescriptorCache, DescriptorIndex, SegmentRow


class SegmentStore:
    def __init__(self, index: DescriptorIndex, cache: DescriptorCache) -> None:
        self._index = index
        self._cache = cache

    def store(self, segments: Sequence[DescribedSegment]) -> int | None:
        """Store, then cache, and return the timestamp of the write where the index tells one."""
        timestamp = self._index.store(segments)
        self._cache.put_many(segments)
        return timestamp

    def stored(self, upload: SegmentUploaded, stamp: str) -> list[SegmentRow]:
        """The rows of this upload when all of them are stored with equal content, else none.

        Where only the role changed the segments are stored again under it; what other content left is removed.
        """
        rows = self._index.assets(upload.tenant, [upload.asset_id])
        if not upload.is_whole_file:
            rows = [row for row in rows if row.segment_index == upload.segment_index]
        if not rows:
            return []
        if any(row.stamp != stamp for row in rows):
            self._forget(rows, delete=upload.is_whole_file)
            return []
        if upload.is_whole_file and len(rows) != rows[-1].segment_count:
            return []  # an interrupted run
        if any(row.role != upload.role for row in rows):
            return self._move(rows, upload)
        return rows

    def _forget(self, rows: Sequence[SegmentRow], *, delete: bool) -> None:
        """Before other content is stored: after a crash in between, a cache would go on showing the old.

        Twice where rows are deleted: before, since afterwards nothing tells what a crash left in the cache, and again,
        since a reader may have put the old back meanwhile.
        """
        keys = [row.key for row in rows]
        self._cache.discard(keys)
        if delete:
            self._index.delete(rows[0].tenant, rows[0].asset_id)
            self._cache.discard(keys)

    def _move(self, rows: Sequence[SegmentRow], upload: SegmentUploaded) -> list[SegmentRow]:
        segments = self._index.read([row.key for row in rows])
        if len(segments) < len(rows):
            return []
        moved = [replace(segments[row.key], row=replace(row, role=upload.role)) for row in rows]
        self._cache.discard([row.key for row in rows])  # a cache that takes no new value must not keep the old one
        self.store(moved)
        return [segment.row for segment in moved]
