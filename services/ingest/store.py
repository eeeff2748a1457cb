"""Reads and writes the segments of an upload: index and cache together."""

from collections.abc import Sequence
from dataclasses import replace

from services.contracts.events import Role, SegmentUploaded
from services.contracts.ports import DescriptorCache, DescriptorIndex
from services.contracts.segments import DescribedSegment, SegmentRow


class SegmentStore:
    def __init__(self, index: DescriptorIndex, cache: DescriptorCache) -> None:
        self._index = index
        self._cache = cache

    def store(self, segments: Sequence[DescribedSegment]) -> int | None:
        """Write to the index, then to the cache. Returns the write's timestamp, None if the index has none."""
        timestamp = self._index.store(segments)
        self._cache.put_many(segments)
        return timestamp

    def read_rows(self, upload: SegmentUploaded) -> list[SegmentRow]:
        """The stored rows that this upload would replace: the whole asset, or one segment for a segment file."""
        rows = self._index.read_rows(upload.tenant, [upload.asset_id])
        if upload.is_whole_file:
            return rows
        return [row for row in rows if row.segment_index == upload.segment_index]

    def clear_stale(self, rows: Sequence[SegmentRow], stamp: str, *, delete: bool) -> None:
        """Make room for other content, if any of the rows has another stamp; otherwise do nothing.

        The rows leave the cache before the new content is stored: after a crash in between, the cache would keep
        serving the old content. With `delete` they leave the index too, and the cache a second time: the first time
        because after the deletion nothing says what a crash left in the cache, the second time because a reader may
        have put the old content back meanwhile.
        """
        if all(row.stamp == stamp for row in rows):
            return
        keys = [row.key for row in rows]
        self._cache.discard(keys)
        if delete:
            self._index.delete(rows[0].tenant, rows[0].asset_id)
            self._cache.discard(keys)

    def change_role(self, rows: Sequence[SegmentRow], role: Role) -> list[SegmentRow]:
        """Store the segments again under this role, unless they have it. Returns the new rows.

        Returns [] if the index does not hold all of the segments, which must then be described again.
        """
        if all(row.role == role for row in rows):
            return list(rows)
        segments = self._index.read([row.key for row in rows])
        if len(segments) < len(rows):
            return []
        changed = [replace(segments[row.key], row=replace(row, role=role)) for row in rows]
        self._cache.discard([row.key for row in rows])  # a cache that accepts no new value must not keep the old one
        self.store(changed)
        return [segment.row for segment in changed]


def is_unchanged(rows: Sequence[SegmentRow], upload: SegmentUploaded, stamp: str) -> bool:
    """Whether these stored rows are all the segments of the upload, and have its content; the role may differ."""
    if not rows or any(row.stamp != stamp for row in rows):
        return False
    # Fewer rows than the last one announces: an interrupted run.
    return not upload.is_whole_file or len(rows) == rows[-1].segment_count
