"""Which partitions a consumer of a group owns.

Partitions are assigned and revoked on the client's own thread, even between two polls: this is where that thread and
the consumer's thread meet.
"""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition

from services.contracts.ports import Rebalance, Record
from services.runtime import metrics


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # of an untyped library
    """The owned partitions of `topic`. With `holds_assigned`, new ones give no records until `release`."""

    def __init__(self, topic: str, client: Any, *, holds_assigned: bool) -> None:
        self._topic = topic
        self._client = client
        self._holds_assigned = holds_assigned
        self._lock = threading.RLock()
        self._owned: set[int] = set()
        self._held: set[int] = set()
        self._paused = False
        # Since the last `take_rebalance`.
        self._assigned: set[int] = set()
        self._revoked: set[int] = set()
        # Offsets since a partition was assigned: the first and the last record polled, and what was committed.
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._committed: dict[int, int] = {}

    # Called on the client's thread.

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        partitions = {place.partition for place in assigned}
        with self._lock:
            self._assign(partitions)
            if self._paused or self._holds_assigned:
                self._client.pause(*self._places(partitions))
        metrics.rebalances.labels("assigned").inc(len(partitions))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        partitions = {place.partition for place in revoked}
        with self._lock:
            self._revoke(partitions)
        metrics.rebalances.labels("revoked").inc(len(partitions))

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        partitions = {place.partition for place in lost}
        with self._lock:
            self._revoke(partitions)
        metrics.rebalances.labels("lost").inc(len(partitions))

    # Called on the consumer's thread.

    @property
    def owned_partitions(self) -> frozenset[int]:
        with self._lock:
            return frozenset(self._owned)

    @property
    def held_partitions(self) -> frozenset[int]:
        """Owned partitions that were not released yet."""
        with self._lock:
            return frozenset(self._held)

    def take_rebalance(self) -> Rebalance:
        with self._lock:
            rebalance = Rebalance(frozenset(self._assigned), frozenset(self._revoked))
            self._assigned.clear()
            self._revoked.clear()
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
        """Let records of the partition come; they start at the offset `committed`."""
        with self._lock:
            if partition not in self._held:
                return
            self._held.discard(partition)
            self._committed[partition] = committed
            if not self._paused:
                self._each(self._client.resume, {partition})

    def start_over(self, touched: Iterable[int]) -> None:
        """Revoke, assign again and hold these partitions, and those with polled records that are not committed.

        The others have nothing to repeat: their states are those of their committed offset.
        """
        with self._lock:
            unfinished = {
                partition for partition, last in self._last.items() if last >= self._committed.get(partition, 0)
            }
            partitions = (set(touched) | unfinished) & self._owned
            self._revoke(partitions)
            self._assign(partitions)
            self._each(self._client.pause, partitions)

    def find_unread(self, partitions: Iterable[int]) -> set[int]:
        """The partitions among these that no record was polled from since they were assigned."""
        with self._lock:
            return {partition for partition in partitions if partition not in self._first}

    def note_polled(self, records: Iterable[Record]) -> None:
        with self._lock:
            for record in records:
                self._first.setdefault(record.partition, record.offset)
                self._last[record.partition] = record.offset

    def offsets_to_commit(self, records: Sequence[Record]) -> dict[int, int]:
        """For each partition the offset to commit: one after its newest record, if that is a step forward.

        Leaves out stale records: of partitions that are not owned any more, or polled before their partition was
        revoked and assigned again.
        """
        offsets: dict[int, int] = {}
        with self._lock:
            for record in records:
                if self._is_current(record):
                    offsets[record.partition] = max(record.offset + 1, offsets.get(record.partition, 0))
            return {
                partition: offset
                for partition, offset in offsets.items()
                if offset > self._committed.get(partition, -1)
            }

    def stale_partitions(self, records: Iterable[Record]) -> set[int]:
        """The partitions of stale records (see `offsets_to_commit`)."""
        with self._lock:
            return {record.partition for record in records if not self._is_current(record)}

    def note_committed(self, offsets: Mapping[int, int]) -> None:
        with self._lock:
            self._committed |= {partition: offset for partition, offset in offsets.items() if partition in self._owned}

    def committed_offset(self, partition: int) -> int | None:
        with self._lock:
            return self._committed.get(partition)

    def forget(self) -> None:
        """Own nothing any more: the consumer is closed."""
        with self._lock:
            self._revoke(set(self._owned))

    # Called with the lock held.

    def _is_current(self, record: Record) -> bool:
        first, last = self._first.get(record.partition), self._last.get(record.partition)
        return first is not None and last is not None and first <= record.offset <= last

    def _assign(self, partitions: set[int]) -> None:
        self._owned |= partitions
        self._assigned |= partitions
        if self._holds_assigned:
            self._held |= partitions

    def _revoke(self, partitions: set[int]) -> None:
        # Assigned and revoked between two calls of `take_rebalance`: nobody has seen it, so nobody has to drop it.
        seen = partitions - self._assigned
        self._assigned -= partitions
        self._revoked |= seen
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
            # The client learns first that a partition is revoked, and then no longer has a state of it.
            with suppress(KeyError):
                change(place)

    def _places(self, partitions: Collection[int]) -> list[Any]:
        return [TopicPartition(self._topic, partition) for partition in partitions]
