"""Which partitions a consumer of a group has at hand.

Partitions come and go on the client's own thread, also between two polls; this is where its thread and the consumer's
meet.
"""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition

from services.contracts.ports import Rebalance, Record
from services.runtime import metrics


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # of an untyped library
    """The partitions of `topic` at hand; with `holds_given` new ones give no records until they are `released`."""

    def __init__(self, topic: str, client: Any, *, holds_given: bool) -> None:
        self._topic = topic
        self._client = client
        self._holds_given = holds_given
        self._lock = threading.RLock()
        self._owned: set[int] = set()
        self._held: set[int] = set()
        self._paused = False
        self._given: set[int] = set()  # both since the last look
        self._taken: set[int] = set()
        # Since a partition was given: its first record, what was polled last, and what was committed.
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._committed: dict[int, int] = {}

    # On the client's thread

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        partitions = {place.partition for place in assigned}
        with self._lock:
            self._give(partitions)
            if self._paused or self._holds_given:
                self._client.pause(*self._places(partitions))
        metrics.rebalances.labels("given").inc(len(partitions))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        partitions = {place.partition for place in revoked}
        with self._lock:
            self._take(partitions)
        metrics.rebalances.labels("taken").inc(len(partitions))

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        partitions = {place.partition for place in lost}
        with self._lock:
            self._take(partitions)
        metrics.rebalances.labels("lost").inc(len(partitions))

    # On the consumer's thread

    def owned(self) -> frozenset[int]:
        with self._lock:
            return frozenset(self._owned)

    def held(self) -> frozenset[int]:
        with self._lock:
            return frozenset(self._held)

    def take_rebalance(self) -> Rebalance:
        with self._lock:
            rebalance = Rebalance(frozenset(self._given), frozenset(self._taken))
            self._given.clear()
            self._taken.clear()
            return rebalance

    def pause(self) -> None:
        with self._lock:
            self._paused = True
            self._each(self._client.pause, self._owned)

    def resume(self) -> None:
        with self._lock:
            self._paused = False
            self._each(self._client.resume, self._owned - self._held)

    def release(self, partition: int, *, committed: int) -> None:
        """Its records may come; `committed` is where they start."""
        with self._lock:
            if partition not in self._held:
                return
            self._held.discard(partition)
            self._committed[partition] = committed
            if not self._paused:
                self._each(self._client.resume, {partition})

    def start_over(self) -> None:
        """Every partition at hand is taken and given anew, and held."""
        with self._lock:
            partitions = set(self._owned)
            self._take(partitions)
            self._give(partitions)
            self._each(self._client.pause, partitions)

    def polled(self, records: Iterable[Record]) -> None:
        with self._lock:
            for record in records:
                self._first.setdefault(record.partition, record.offset)
                self._last[record.partition] = record.offset

    def committable(self, records: Sequence[Record]) -> dict[int, int]:
        """For each partition the offset to commit: one after its newest record, if that moves it forwards.

        Records of a partition that is no longer ours are left out, and those from before it was taken and given again.
        """
        offsets: dict[int, int] = {}
        with self._lock:
            for record in records:
                if self._at_hand(record):
                    offsets[record.partition] = max(record.offset + 1, offsets.get(record.partition, 0))
            return {
                partition: offset
                for partition, offset in offsets.items()
                if offset > self._committed.get(partition, -1)
            }

    def strangers(self, records: Iterable[Record]) -> set[int]:
        """Partitions of those records that are no longer ours, or were polled before theirs was taken and given."""
        with self._lock:
            return {record.partition for record in records if not self._at_hand(record)}

    def committed(self, offsets: Mapping[int, int]) -> None:
        with self._lock:
            self._committed |= {partition: offset for partition, offset in offsets.items() if partition in self._owned}

    def last_committed(self, partition: int) -> int | None:
        with self._lock:
            return self._committed.get(partition)

    def forget(self) -> None:
        """Nothing is at hand any more: the consumer is closed."""
        with self._lock:
            self._take(set(self._owned))

    # With the lock

    def _at_hand(self, record: Record) -> bool:
        first, last = self._first.get(record.partition), self._last.get(record.partition)
        return first is not None and last is not None and first <= record.offset <= last

    def _give(self, partitions: set[int]) -> None:
        self._owned |= partitions
        self._given |= partitions
        if self._holds_given:
            self._held |= partitions

    def _take(self, partitions: set[int]) -> None:
        # Given and taken between two looks: nobody has seen it, so nobody has to drop it.
        seen = partitions - self._given
        self._given -= partitions
        self._taken |= seen
        self._owned -= partitions
        self._held -= partitions
        for partition in partitions:
            self._first.pop(partition, None)
            self._last.pop(partition, None)
            self._committed.pop(partition, None)
            with suppress(KeyError):
                metrics.lag.remove(self._topic, str(partition))

    def _each(self, change: Any, partitions: Iterable[int]) -> None:
        for place in self._places(set(partitions)):
            # The client knows first when a partition is taken, and no longer knows its state then.
            with suppress(KeyError):
                change(place)

    def _places(self, partitions: Collection[int]) -> list[Any]:
        return [TopicPartition(self._topic, partition) for partition in partitions]
