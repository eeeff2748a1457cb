"""A Consumer of one topic in a Kafka group."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from kafka import KafkaConsumer as Client
from kafka import OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState

from services.backends.kafka.assignment import Assignment
from services.backends.kafka.connection import KafkaConnection, milliseconds, open_client
from services.backends.kafka.errors import KafkaError, report_up, translate
from services.backends.kafka.parked import return_parked_records
from services.backends.kafka.records import to_record
from services.backends.kafka.rejoin import keep_join_results, report_lost_partitions, watch_fencing
from services.backends.kafka.rising_times import RisingTimes
from services.backends.kafka.unreadable import UnreadableBatch, pass_unreadable
from services.contracts.errors import DependencyDown, TransientError
from services.contracts.ports import Rebalance, Record
from services.runtime import metrics

log = structlog.get_logger(__name__)

# The client recovers from these by itself, with the next poll.
_HARMLESS = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
)


class KafkaConsumer:
    """Made by KafkaBus.open_consumer. During an outage polls return nothing; `dependency_up` and `lag` show it."""

    _holds_assigned = False  # whether newly assigned partitions give no records until their states are restored

    def __init__(self, connection: KafkaConnection, topic: str, group: str, *, instance: str | None = None) -> None:
        """`instance`: a name for the group to recognise this member by when its process starts again."""
        self._connection = connection
        self._timeouts = connection.timeouts
        self._topic = topic
        membership = {
            "group_id": group,
            "group_instance_id": instance,
            "partition_assignment_strategy": [CooperativeStickyAssignor],
            "session_timeout_ms": milliseconds(self._timeouts.session_s),
            "heartbeat_interval_ms": milliseconds(self._timeouts.session_s / 15),
            "max_poll_interval_ms": milliseconds(self._timeouts.max_poll_s),
            "auto_offset_reset": "none",  # a reset would pass expired records silently
        }
        try:
            self._client = open_client(Client, connection.consumer_arguments() | membership)
        except KafkaError as error:
            raise translate(error, f"reading {topic}") from error
        keep_join_results(self._client)
        report_lost_partitions(self._client)
        return_parked_records(self._client)
        self._is_fenced = watch_fencing(self._client)
        self._unreadable: list[UnreadableBatch] = []  # found by the current poll
        pass_unreadable(self._client, self._unreadable.append)
        self._assignment = Assignment(topic, self._client, holds_assigned=self._holds_assigned)
        self._client.subscribe([topic], listener=self._assignment)
        metrics.expired_records.labels(topic).inc(0)  # a series that begins with its first increase shows none
        self._times = RisingTimes(self._client, topic, self._timeouts.call_s)
        self._pending: dict[int, tuple[int, str]] = {}  # offsets and metadata whose commit a rebalance prevented
        self._ends: dict[int, int] = {}
        self._last_alive = time.monotonic()
        self._next_check = self._last_alive + self._timeouts.liveness_check_s

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        polled: dict[Any, list[Any]] = {}
        try:
            polled = self._client.poll(milliseconds(timeout_s), max_records=max_records)
        except kafka_errors.NoOffsetForPartitionError as error:  # nothing was ever committed
            self._start_from_beginning(dict.fromkeys(error.args[0]))
        except kafka_errors.OffsetOutOfRangeError as error:
            self._start_from_beginning(error.args[0])
        except KafkaError as error:
            failure = translate(error, f"reading {self._topic}")
            if not isinstance(failure, TransientError):
                raise failure from error
        if self._is_fenced():
            raise translate(kafka_errors.FencedInstanceIdError(), f"reading {self._topic}")
        records = [to_record(record) for partition in polled.values() for record in partition]
        records = self._add_unreadable(records)
        records = self._times.raise_times(records, self._assignment.find_unread({one.partition for one in records}))
        self._assignment.note_polled(records)
        if records:
            self._note_alive()
        else:
            self._check_liveness()
        if self._pending:
            # What cannot be committed now stays pending, for the next attempt or the next poll.
            with suppress(TransientError):
                self._commit_pending()
        for partition, behind in self.lag().items():
            metrics.lag.labels(self._topic, str(partition)).set(behind)
        return records

    def take_rebalance(self) -> Rebalance:
        return self._assignment.take_rebalance()

    @property
    def topic(self) -> str:
        return self._topic

    @property
    def owned_partitions(self) -> frozenset[int]:
        """The partitions that are assigned to it now. For any thread."""
        return self._assignment.owned_partitions

    @property
    def hindrance(self) -> str | None:
        """Why some of its partitions give no records, if that is so. For any thread."""
        return None

    def pause(self) -> None:
        self._assignment.pause()

    def resume(self) -> None:
        self._assignment.resume()

    def lag(self) -> dict[int, int]:
        """As in the port. Transaction markers count as well while records follow them.

        At least 1 where the end is unknown, so that an outage never looks as if everything had been read.
        """
        known = time.monotonic() - self._last_alive < 2 * self._timeouts.liveness_check_s
        return {partition: self._lag_of(partition, known) for partition in sorted(self._assignment.owned_partitions)}

    def commit(self, records: Sequence[Record]) -> None:
        times_ms = {(record.partition, record.offset + 1): record.timestamp_ms for record in records}
        for partition, offset in self._assignment.offsets_to_commit(records).items():
            commit = offset, str(times_ms[partition, offset] or "")
            self._pending[partition] = max(commit, self._pending.get(partition, commit))
        self._commit_pending()

    def close(self) -> None:
        with suppress(KafkaError, DependencyDown):
            self._finish_joining()
            self._commit_pending()
        with suppress(KafkaError):  # otherwise the group notices when the session ends
            self._client.close(autocommit=False, timeout_ms=milliseconds(self._timeouts.close_s))
        self._assignment.forget()

    def _start_from_beginning(self, places: Mapping[Any, int | None]) -> None:
        """Continue partitions with the oldest record that there is. Reports how many were removed behind a position."""
        try:
            beginnings = self._client.beginning_offsets(list(places), timeout_ms=milliseconds(self._timeouts.call_s))
        except KafkaError as error:
            translate(error, f"reading {self._topic}")
            return  # the next poll fails in the same way
        for place, beginning in beginnings.items():
            position = places[place]
            if position is not None:
                expired = max(0, beginning - position)
                metrics.expired_records.labels(self._topic).inc(expired)
                log.error(
                    "records are gone: retention removed them before they were read",
                    topic=self._topic,
                    partition=place.partition,
                    position=position,
                    continued_at=beginning,
                    records=expired,
                )
            with suppress(KafkaError, ValueError, AssertionError):  # revoked meanwhile
                self._client.seek(place, beginning)

    def _add_unreadable(self, records: list[Record]) -> list[Record]:
        """The records with one for each unreadable batch, in the order of their offsets."""
        if not self._unreadable:
            return records
        for batch in self._unreadable:
            log.error("unreadable records", topic=self._topic, partition=batch.partition, reason=batch.reason)
            records.append(batch.to_record())
        self._unreadable.clear()
        return sorted(records, key=lambda record: (record.partition, record.offset))

    def _finish_joining(self) -> None:
        """Wait a while for a rebalance to end: it blocks commits, and a LeaveGroup must not overtake a JoinGroup."""
        deadline = time.monotonic() + self._timeouts.close_s / 2
        while self._client.group_metadata().state == MemberState.REBALANCING and time.monotonic() < deadline:
            self._client.poll(100, max_records=1)

    def _commit_pending(self) -> None:
        owned = self._assignment.owned_partitions
        offsets = {
            self._place(partition): OffsetAndMetadata(offset, metadata, -1)
            for partition, (offset, metadata) in self._pending.items()
            if partition in owned
        }
        if offsets:
            try:
                self._client.commit(offsets, timeout_ms=milliseconds(self._timeouts.call_s))
            except kafka_errors.RebalanceInProgressError:
                return  # try again with the next poll: partitions that stay owned would otherwise be read again
            except _HARMLESS:
                pass  # the partitions have other owners: the next poll reports it
            except KafkaError as error:
                raise translate(error, f"committing {self._topic}") from error
            else:
                self._note_alive()
                self._assignment.note_committed({place.partition: offset.offset for place, offset in offsets.items()})
        self._pending.clear()

    def _place(self, partition: int) -> Any:
        return TopicPartition(self._topic, partition)

    def _note_alive(self) -> None:
        report_up()
        self._last_alive = time.monotonic()
        self._next_check = self._last_alive + self._timeouts.liveness_check_s

    def _check_liveness(self) -> None:
        """After a while without records, fetch the end offsets: to a poll, an outage looks like an idle topic.

        This also keeps the lag correct while paused, when no fetched records bring the end offsets along.
        """
        if time.monotonic() < self._next_check:
            return
        places = [self._place(partition) for partition in self._assignment.owned_partitions or {0}]
        try:
            ends = self._client.end_offsets(places, timeout_ms=milliseconds(self._timeouts.liveness_check_s / 4))
        except KafkaError as error:
            self._next_check = time.monotonic() + self._timeouts.liveness_check_s / 2
            failure = translate(error, f"reading {self._topic}")
            if not isinstance(failure, TransientError):
                raise failure from error
        else:
            self._ends = {place.partition: end for place, end in ends.items()}
            self._note_alive()

    def _lag_of(self, partition: int, known: bool) -> int:
        # Positions and ends are those of the last fetch. Both calls raise if the partition was just revoked.
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
