"""Asks the brokers how far consumer groups are."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka import KafkaConsumer as Client
from kafka import errors as kafka_errors
from kafka.admin import OffsetSpec

from services.backends.kafka.admin import describe_topics
from services.backends.kafka.connection import KafkaConnection, milliseconds, open_client
from services.backends.kafka.errors import KafkaError, report_up, run_within, translate
from services.backends.kafka.unreadable import UnreadableBatch, pass_unreadable
from services.contracts.errors import UsageError
from services.runtime.group_lag import GroupLag, GroupTopic, PartitionLag

_STABLE = "Stable"
_FIRST_RECORD_S = 2.0  # to find the first record of a partition that is not committed
_FIRST_RECORDS_S = 15.0  # the same for all partitions together; the others' are not known then
_FETCH_BYTES = 2**16  # one record is enough; a larger one comes all the same
_ATTEMPTS = 5  # in a new cluster the first question about a group makes the topic that answers it
_PAUSE_S = 0.5


class GroupLagReader:
    """Reads the lag of groups, with clients that stay open between two readings. For one thread."""

    def __init__(
        self, connection: KafkaConnection, groups: Sequence[GroupTopic], clock: Callable[[], float] = time.time
    ) -> None:
        self._connection = connection
        self._timeouts = connection.timeouts
        self._groups = list(groups)
        self._clock = clock
        self._admin: Any = None
        self._consumer: Any = None
        self._unreadable: list[UnreadableBatch] = []

    def __call__(self) -> list[GroupLag]:
        """The lag of each group. Raises DependencyDown, and UsageError if a topic does not exist."""
        try:
            return run_within(6 * self._timeouts.call_s, self._read, "reading the lag")
        except KafkaError as error:
            self.close()
            raise translate(error, "reading the lag") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for client in (self._admin, self._consumer):
            if client is not None:
                with suppress(KafkaError):
                    client.close()
        self._admin = self._consumer = None

    def _read(self) -> list[GroupLag]:
        self._open()
        topics = describe_topics(self._admin, sorted({one.topic for one in self._groups}))
        if missing := {one.topic for one in self._groups} - set(topics):
            raise UsageError(f"no topics {', '.join(sorted(missing))}: create them with `copydetect topics`")
        places = [
            TopicPartition(name, partition["partition_index"])
            for name, topic in topics.items()
            for partition in topic["partitions"]
        ]
        asked_s = self._clock()
        beginnings = self._list_offsets(places, OffsetSpec.EARLIEST)
        # The end for everybody, not that of committed transactions: what is published but not yet committed counts.
        ends = self._list_offsets(places, OffsetSpec.LATEST)
        committed, owned = self._read_groups()
        report_up()
        deadline = time.monotonic() + _FIRST_RECORDS_S
        lags = []
        for topic, group in self._groups:
            partitions = []
            for place in sorted(one for one in places if one.topic == topic):
                offset = max(committed[group].get(place, 0), beginnings[place])
                done, oldest_s = self._find_first(place, offset, ends[place], deadline)
                partitions.append(
                    PartitionLag(place.partition, done, ends[place], oldest_s, is_owned=place in owned[group])
                )
            lags.append(GroupLag(topic, group, asked_s, tuple(partitions)))
        return lags

    def _open(self) -> None:
        if self._admin is None:
            self._admin = open_client(KafkaAdminClient, self._connection.arguments())
        if self._consumer is None:
            arguments = {"group_id": None, "max_partition_fetch_bytes": _FETCH_BYTES}
            self._consumer = open_client(Client, self._connection.consumer_arguments() | arguments)
            pass_unreadable(self._consumer, self._unreadable.append)

    def _list_offsets(self, places: Iterable[Any], which: Any) -> dict[Any, int]:
        found = self._admin.list_partition_offsets(dict.fromkeys(places, which))
        return {place: answer.offset for place, answer in found.items()}

    def _read_groups(self) -> tuple[dict[str, dict[Any, int]], dict[str, set[Any]]]:
        """For each group the committed offsets, and the partitions that its members own."""
        groups = sorted({one.group for one in self._groups})
        for attempt in range(_ATTEMPTS):
            try:
                offsets = self._admin.list_group_offsets(dict.fromkeys(groups))
                described = self._admin.describe_groups(groups)
                break
            except kafka_errors.CoordinatorNotAvailableError:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(_PAUSE_S)
        committed = {
            group: {place: found.offset for place, found in offsets.get(group, {}).items() if found.offset >= 0}
            for group in groups
        }
        return committed, {group: set(_list_owned(described.get(group, {}))) for group in groups}

    def _find_first(self, place: Any, offset: int, end: int, deadline: float) -> tuple[int, float | None]:
        """From the committed offset, where the first record may be, and when that was published.

        Offsets without records at the end (of transactions that ended, or what compaction took) are done.
        """
        if offset >= end:
            return end, None
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        self._unreadable.clear()
        deadline = min(deadline, time.monotonic() + _FIRST_RECORD_S)
        while time.monotonic() < deadline:
            records = self._consumer.poll(milliseconds(_FIRST_RECORD_S / 4), max_records=1).get(place, [])
            times_ms = [record.timestamp for record in records] + [one.timestamp_ms for one in self._unreadable]
            if times_ms:
                first_ms = min((time_ms for time_ms in times_ms if time_ms is not None), default=None)
                return offset, None if first_ms is None else first_ms / 1000
            if (self._consumer.position(place, timeout_ms=100) or 0) >= end:
                return end, None
        return offset, None


def _list_owned(group: Mapping[str, Any]) -> Iterable[Any]:
    """The partitions that members of a described group have. None during a rebalance: it is not known then."""
    if group.get("group_state") != _STABLE:
        return
    for member in group["members"]:
        assignment = member["member_assignment"]
        if isinstance(assignment, Mapping):
            for topic in assignment["assigned_partitions"]:
                yield from (TopicPartition(topic["topic"], number) for number in topic["partitions"])
