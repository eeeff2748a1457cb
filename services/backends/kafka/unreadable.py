"""Lets a consumer pass batches of records that it cannot read.

kafka-python 3.0.12 raises an error for such a batch once, and never returns from the next poll. A batch is unreadable
if it is damaged or its codec is unknown: here its records are left out, and the batch is reported. If only the names
of headers are not UTF-8, the records are read with these bytes replaced.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kafka.errors import CorruptRecordError

from services.contracts.ports import Message, Record


class UnreadableBatch(NamedTuple):
    """A batch of records as the broker stores it, and why it cannot be read."""

    topic: str
    partition: int
    last_offset: int
    data: bytes
    reason: str
    timestamp_ms: int | None = None  # of its latest record

    def to_record(self) -> Record:
        """The record that stands for the whole batch."""
        return Record(
            Message(self.topic, "", self.data), self.partition, self.last_offset, self.reason, self.timestamp_ms
        )


def pass_unreadable(client: Any, report: Callable[[UnreadableBatch], None]) -> None:
    """Make the polls of a KafkaConsumer of kafka-python report unreadable batches and go on behind them."""
    fetcher = client._fetcher
    parsed = fetcher.PartitionRecords

    def parse(fetch_offset: int, place: Any, batches: Any, **options: Any) -> Any:
        return parsed(fetch_offset, place, _Batches(batches, place, report), **options)

    fetcher.PartitionRecords = parse


class _Batches:
    """The batches of a fetched partition."""

    def __init__(self, batches: Any, place: Any, report: Callable[[UnreadableBatch], None]) -> None:
        self._batches, self._place, self._report = batches, place, report

    def next_batch(self) -> "_Batch | None":
        batch = self._batches.next_batch()
        return None if batch is None else _Batch(batch, self._place, self._report)


class _Batch:
    """A batch that has no records if any of them cannot be read. All else is as in the client's batch."""

    def __init__(self, batch: Any, place: Any, report: Callable[[UnreadableBatch], None]) -> None:
        self._batch, self._place, self._report = batch, place, report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        batch = self._batch
        stored = batch._buffer  # which decompression replaces
        try:
            if not batch.validate_crc():
                raise ValueError("wrong checksum")
            try:
                return iter(list(batch))
            except CorruptRecordError:
                return iter(_read_leniently(type(batch)(stored)))
        except Exception as error:  # noqa: BLE001 - each codec has errors of its own
            reason = f"the records at offsets {batch.base_offset} to {batch.last_offset} cannot be read: {error!r}"
            place, time_ms = self._place, batch.max_timestamp
            self._report(
                UnreadableBatch(place.topic, place.partition, batch.last_offset, bytes(stored), reason, time_ms)
            )
            return iter(())

    def validate_crc(self) -> bool:
        """True: iteration checks it, so that a damaged batch is reported, and no error raised."""
        return True


def _read_leniently(batch: Any) -> list[Any]:
    """The records of a batch of the client, with bytes that are not UTF-8 replaced in the names of headers."""
    batch._maybe_uncompress()
    batch._buffer = _LenientArray(batch._buffer)
    return list(batch)


class _LenientArray(bytearray):
    """Bytes whose slices decode with replacements."""

    def __getitem__(self, place: Any) -> Any:
        part = super().__getitem__(place)
        return _LenientBytes(part) if isinstance(place, slice) else part


class _LenientBytes(bytes):
    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)
