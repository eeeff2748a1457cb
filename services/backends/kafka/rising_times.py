"""Timestamps that never go back within a partition, whatever the brokers' clocks do.

The order of an asset's uploads rests on them (`services.contracts.generations`). A broker's clock can be set back, and
after a fail-over another broker's clock counts. So a record gets the time of an earlier record of its partition if that
is later. A consumer's commit carries the time on, as the metadata of the offset, to whoever owns the partition next.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kafka import TopicPartition

from services.backends.kafka.connection import milliseconds
from services.backends.kafka.errors import KafkaError, translate
from services.contracts.ports import Record


class RisingTimes:
    """The latest time of the records that a client has read of each partition, in milliseconds since the epoch."""

    def __init__(self, client: Any, topic: str, timeout_s: float) -> None:
        self._client = client
        self._topic = topic
        self._timeout_s = timeout_s
        self._latest_ms: dict[int, int] = {}

    def raise_times(self, records: list[Record], assigned: Collection[int]) -> list[Record]:
        """The records, in order, with times that rise; `assigned` are the partitions that were not read before.

        Records of a partition whose committed time cannot be read are left out; they come again with the next poll.
        """
        for partition in assigned:
            place = TopicPartition(self._topic, partition)
            try:
                committed = self._client.committed(place, metadata=True, timeout_ms=milliseconds(self._timeout_s))
            except KafkaError as error:
                translate(error, f"reading {self._topic}")
                first = next(record.offset for record in records if record.partition == partition)
                records = [record for record in records if record.partition != partition]
                with suppress(KafkaError, ValueError, AssertionError):  # revoked meanwhile
                    self._client.seek(place, first)
            else:
                text = committed.metadata if committed is not None else ""
                # Commits of other releases, and of tools that move offsets, have no time or another text.
                self._latest_ms[partition] = int(text) if text and text.isdecimal() else 0
        return [self._raise_time(record) for record in records]

    def _raise_time(self, record: Record) -> Record:
        if record.timestamp_ms is None:
            return record
        latest_ms = max(record.timestamp_ms, self._latest_ms[record.partition])
        self._latest_ms[record.partition] = latest_ms
        return record if latest_ms == record.timestamp_ms else replace(record, timestamp_ms=latest_ms)
