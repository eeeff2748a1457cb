"""The bus and the descriptor cache of one process: `copydetect scan` on a laptop, and tests."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from cachetools import LRUCache

from services.contracts.ports import DescribedSegment, Message, Moves, Record, SegmentKey, States
from tca_model.types import VideoDescriptor

_PARTITION = 0


class MemoryBus:
    """A Bus whose topics are lists, one partition each; it lasts as long as its process. For one thread.

    Groups remember what they committed. Two consumers of one group both read everything: use one at a time.
    """

    def __init__(self) -> None:
        self._topics: defaultdict[str, list[Record]] = defaultdict(list)
        self._committed: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._states: defaultdict[str, dict[str, bytes]] = defaultdict(dict)

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            records = self._topics[message.topic]
            records.append(Record(message, _PARTITION, offset=len(records)))

    def consumer(self, topic: str, group: str) -> "MemoryConsumer":
        return MemoryConsumer(self._topics[topic], self._committed, (topic, group))

    def state_consumer(self, topic: str, group: str, state_topic: str) -> "MemoryStateConsumer":
        return MemoryStateConsumer(self, topic, group, self._states[state_topic])

    def records(self, topic: str) -> list[Record]:
        """Everything that was ever published there, in order."""
        return list(self._topics[topic])

    def close(self) -> None:
        """Nothing is open."""


class MemoryConsumer:
    """Made by MemoryBus.consumer. It never waits: while its thread did, nobody could publish."""

    def __init__(
        self, records: list[Record], committed: defaultdict[tuple[str, str], int], group: tuple[str, str]
    ) -> None:
        self._records = records
        self._committed = committed
        self._group = group
        self._position = committed[group]
        self._moves = Moves(given=frozenset({_PARTITION}), taken=frozenset())
        self._paused = False

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:  # noqa: ARG002 - part of the port
        if self._paused:
            return []
        polled = self._records[self._position : self._position + max_records]
        self._position += len(polled)
        return polled

    def moves(self) -> Moves:
        moves, self._moves = self._moves, Moves(frozenset(), frozenset())
        return moves

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def lag(self) -> dict[int, int]:
        return {_PARTITION: len(self._records) - self._position}

    def commit(self, records: Sequence[Record]) -> None:
        done = [record.offset + 1 for record in records]
        self._committed[self._group] = max([self._committed[self._group], *done])

    def close(self) -> None:
        """Nothing is open."""


class MemoryStateConsumer(MemoryConsumer):
    """Made by MemoryBus.state_consumer; in one thread everything happens at once."""

    def __init__(self, bus: MemoryBus, topic: str, group: str, states: dict[str, bytes]) -> None:
        super().__init__(bus._topics[topic], bus._committed, (topic, group))
        self._bus = bus
        self._states = states

    def restore(self, partition: int) -> dict[str, bytes]:  # noqa: ARG002 - there is one
        return dict(self._states)

    def commit_all(self, records: Sequence[Record], messages: Sequence[Message], states: States) -> None:
        self._bus.publish(messages)
        self.commit(records)
        for changed in states.values():
            for key, state in changed.items():
                if state is None:
                    self._states.pop(key, None)
                else:
                    self._states[key] = state


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
