"""The descriptor cache of one process."""

from collections.abc import Collection, Iterable

import numpy as np
from cachetools import LRUCache

from services.contracts.ports import DescribedSegment, SegmentKey
from tca_model.types import VideoDescriptor


class MemoryCache:
    """A DescriptorCache of at most `max_bytes`; what was not used for longest is forgotten first.

    It keeps frames in float16, as the Redis cache does, in half the memory: a laptop then computes with the numbers
    that a cluster computes with. The chamfer similarity moves by 5e-6.
    """

    def __init__(self, max_bytes: int) -> None:
        self._stored: LRUCache[SegmentKey, _Halved] = LRUCache(max_bytes, getsizeof=_Halved.size_bytes)

    def get_many(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        return {key: self._stored[key].restored() for key in keys if key in self._stored}

    def put_many(self, segments: Iterable[DescribedSegment]) -> None:
        for segment in segments:
            halved = _Halved(segment)
            self.discard([segment.row.key])
            if halved.size_bytes() <= self._stored.maxsize:
                self._stored[segment.row.key] = halved

    def discard(self, keys: Collection[SegmentKey]) -> None:
        for key in keys:
            self._stored.pop(key, None)


class _Halved:
    """A described segment with its frames in float16."""

    def __init__(self, segment: DescribedSegment) -> None:
        self._row = segment.row
        self._vector = segment.vector
        self._times_s = segment.descriptor.timestamps_s
        self._frames = segment.descriptor.frames.astype(np.float16)

    def size_bytes(self) -> int:
        return self._vector.nbytes + self._times_s.nbytes + self._frames.nbytes

    def restored(self) -> DescribedSegment:
        descriptor = VideoDescriptor(self._times_s, self._frames.astype(np.float32))
        return DescribedSegment(self._row, descriptor, self._vector)
