"""The descriptor cache of one process."""

from collections.abc import Collection, Iterable

import numpy as np
from cachetools import LRUCache

from services.contracts.segments import DescribedSegment, SegmentKey
from tca_model.types import VideoDescriptor

PROGRESS_BYTES = 16 * 2**20  # for about a hundred files in work


class MemoryCache:
    """A DescriptorCache of at most `max_bytes`; the least recently used segment is dropped first.

    It keeps frames in float16, like the Redis cache: it halves the memory, and a laptop computes with the same numbers
    as a cluster. The chamfer similarity changes by 5e-6.
    """

    def __init__(self, max_bytes: int) -> None:
        self._progress: LRUCache[SegmentKey, bytes] = LRUCache(PROGRESS_BYTES, getsizeof=len)
        self._stored: LRUCache[SegmentKey, _HalfPrecision] = LRUCache(max_bytes, getsizeof=_HalfPrecision.size_bytes)

    def get_many(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        return {key: self._stored[key].to_segment() for key in keys if key in self._stored}

    def put_many(self, segments: Iterable[DescribedSegment]) -> None:
        for segment in segments:
            half = _HalfPrecision(segment)
            self.discard([segment.row.key])
            if half.size_bytes() <= self._stored.maxsize:
                self._stored[segment.row.key] = half

    def discard(self, keys: Collection[SegmentKey]) -> None:
        for key in keys:
            self._stored.pop(key, None)

    def get_progress(self, key: SegmentKey) -> bytes | None:
        progress: bytes | None = self._progress.get(key)
        return progress

    def put_progress(self, key: SegmentKey, progress: bytes) -> None:
        if len(progress) <= PROGRESS_BYTES:
            self._progress[key] = progress

    def discard_progress(self, key: SegmentKey) -> None:
        self._progress.pop(key, None)


class _HalfPrecision:
    """A described segment with its frames in float16."""

    def __init__(self, segment: DescribedSegment) -> None:
        self._row = segment.row
        self._vector = segment.vector
        self._times_s = segment.descriptor.timestamps_s
        self._frames = segment.descriptor.frames.astype(np.float16)

    def size_bytes(self) -> int:
        return self._vector.nbytes + self._times_s.nbytes + self._frames.nbytes

    def to_segment(self) -> DescribedSegment:
        descriptor = VideoDescriptor(self._times_s, self._frames.astype(np.float32))
        return DescribedSegment(self._row, descriptor, self._vector)
