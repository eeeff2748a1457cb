"""A Consumer of one topic in a Kafka group."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer as Client
from kafka import OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import (
    CooperativeStickyAssignor,
)
from kafka.structs import MemberState

from services.backends.kafka.assignment import Assignment
from services.backends.kafka.connection import KafkaConnection, made, milliseconds
from services.backends.kafka.errors import KafkaError, note_up, translated
from services.backends.kafka.rejoin import keep_join_results
from services.contracts.errors import DependencyDown, TransientError
from services.contracts.ports import Message, Rebalance, Record
from services.runtime import metrics

# Of these the client recovers by itself, with the next poll.
_HARMLESS = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
)


class KafkaConsumer:
    """Made by KafkaBus.consumer. An outage shows in `dependency_up` and in `lag`; polls return nothing meanwhile."""

    _restores = False  # whether partitions that are given stay silent until their states were restored

    def __init__(self, connection: KafkaConnection, topic: str, group: str) -> None:
        self._connection = connection
        self._timeouts = connection.timeouts
        self._topic = topic
        membership = {
            "group_id": group,
            "partition_assignment_strategy": [CooperativeStickyAssignor],
            "session_timeout_ms": milliseconds(self._timeouts.session_s),
            "heartbeat_interval_ms": milliseconds(self._timeouts.session_s / 15),
            "max_poll_interval_ms": milliseconds(self._timeouts.max_poll_s),
        }
        try:
            self._client = made(Client, connection.consumer_arguments() | membership)
        except KafkaError as error:
            raise translated(error, f"reading {topic}") from error
        keep_join_results(self._client)
        self._assignment = Assignment(topic, self._client, holds_given=self._restores)
        self._client.subscribe([topic], listener=self._assignment)
        self._pending: dict[int, int] = {}  # commits that a rebalance kept from being made
        self._ends: dict[int, int] = {}
        self._last_sign = time.monotonic()
        self._next_question = self._last_sign + self._timeouts.sign_of_life_s

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        try:
            polled = self._client.poll(milliseconds(timeout_s), max_records=max_records)
        except KafkaError as error:
            failure = translated(error, f"reading {self._topic}")
            if not isinstance(failure, TransientError):
                raise failure from error
            polled = {}
        records = [to_record(record) for partition in polled.values() for record in partition]
        self._assignment.polled(records)
        if records:
            self._lives()
        else:
            self._ask_for_a_sign()
        if self._pending:
            # What cannot be committed now stays pending: for the commit that is made again, or for the next poll.
            with suppress(TransientError):
                self._commit_pending()
        for partition, behind in self.lag().items():
            metrics.lag.labels(self._topic, str(partition)).set(behind)
        return records

    def take_rebalance(self) -> Rebalance:
        return self._assignment.take_rebalance()

    def pause(self) -> None:
        self._assignment.pause()

    def resume(self) -> None:
        self._assignment.resume()

    def lag(self) -> dict[int, int]:
        """Counted in offsets, so markers of transactions count too while records lie behind them.

        At least 1 where the end is not known: nobody may take an outage for having read everything.
        """
        known = time.monotonic() - self._last_sign < 2 * self._timeouts.sign_of_life_s
        return {partition: self._lag_of(partition, known) for partition in sorted(self._assignment.owned())}

    def commit(self, records: Sequence[Record]) -> None:
        for partition, offset in self._assignment.committable(records).items():
            self._pending[partition] = max(offset, self._pending.get(partition, 0))
        self._commit_pending()

    def close(self) -> None:
        with suppress(KafkaError, DependencyDown):
            self._finish_joining()
            self._commit_pending()
        with suppress(KafkaError):  # the group finds out by itself when the session ends
            self._client.close(autocommit=False, timeout_ms=milliseconds(self._timeouts.close_s))
        self._assignment.forget()

    def _finish_joining(self) -> None:
        """Wait a while for a rebalance to end: commits are refused meanwhile, and no farewell overtakes a greeting."""
        deadline = time.monotonic() + self._timeouts.close_s / 2
        while self._client.group_metadata().state == MemberState.REBALANCING and time.monotonic() < deadline:
            self._client.poll(100, max_records=1)

    def _commit_pending(self) -> None:
        owned = self._assignment.owned()
        offsets = {
            self._place(partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in self._pending.items()
            if partition in owned
        }
        if offsets:
            try:
                self._client.commit(offsets, timeout_ms=milliseconds(self._timeouts.call_s))
            except kafka_errors.RebalanceInProgressError:
                return  # again with the next poll: partitions that stay ours would otherwise be read again
            except _HARMLESS:
                pass  # others have the partitions: the next poll says so
            except KafkaError as error:
                raise translated(error, f"committing {self._topic}") from error
            else:
                self._lives()
                self._assignment.committed({place.partition: offset.offset for place, offset in offsets.items()})
        self._pending.clear()

    def _place(self, partition: int) -> Any:
        return TopicPartition(self._topic, partition)

    def _lives(self) -> None:
        note_up(True)
        self._last_sign = time.monotonic()
        self._next_question = self._last_sign + self._timeouts.sign_of_life_s

    def _ask_for_a_sign(self) -> None:
        """After a while without records, asks for the ends: an outage and a quiet topic look the same to a poll.

        It also keeps the lag true while paused, when no records come and with them no ends.
        """
        if time.monotonic() < self._next_question:
            return
        places = [self._place(partition) for partition in self._assignment.owned() or {0}]
        try:
            ends = self._client.end_offsets(places, timeout_ms=milliseconds(self._timeouts.sign_of_life_s / 4))
        except KafkaError as error:
            self._next_question = time.monotonic() + self._timeouts.sign_of_life_s / 2
            failure = translated(error, f"reading {self._topic}")
            if not isinstance(failure, TransientError):
                raise failure from error
        else:
            self._ends = {place.partition: end for place, end in ends.items()}
            self._lives()

    def _lag_of(self, partition: int, known: bool) -> int:
        # Positions and ends come from what was fetched last. Both raise when the partition was just taken.
        try:
            position = self._client.position(self._place(partition), timeout_ms=0)
            highwater = self._client.highwater(self._place(partition))
        except (KafkaError, KeyError):
            return 1
        ends = [end for end in (highwater, self._ends.get(partition)) if end is not None]
        if position is None or not ends:
            return 1
        behind: int = max(ends) - position
        return max(behind, 0 if known else 1)


def to_record(record: Any) -> Record:
    """The record as services see it. Whoever wrote it: bytes that are no text do not stop a partition."""
    message = Message(
        topic=record.topic,
        key=text(record.key),
        value=record.value or b"",
        headers=to_headers(record.headers),
    )
    return Record(message, record.partition, record.offset)


def to_headers(headers: Iterable[tuple[Any, bytes | None]] | None) -> dict[str, str]:
    return {name if isinstance(name, str) else text(name): text(value) for name, value in headers or ()}


def text(value: bytes | None) -> str:
    return bytes(value or b"").decode(errors="replace")
