"""The Bus of a cluster, over Kafka."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from kafka import KafkaConsumer as Client
from kafka import KafkaProducer, TopicPartition

from services.backends.kafka.admin import count_partitions
from services.backends.kafka.connection import KafkaConnection, milliseconds, open_client
from services.backends.kafka.consumer import KafkaConsumer, to_record
from services.backends.kafka.errors import KafkaError, report_up, run_within, translate
from services.backends.kafka.state import KafkaStateConsumer
from services.backends.kafka.transaction import Transactions, to_outgoing
from services.backends.kafka.unreadable import UnreadableBatch, pass_unreadable
from services.contracts.errors import CopydetectError, TransientError, UsageError
from services.contracts.ports import Message, Record

_ROUND_S = 0.5


class KafkaBus:
    """A Bus over Kafka. `instance` names this process within its group, and stays the same over restarts."""

    def __init__(self, connection: KafkaConnection, instance: str = "") -> None:
        self.connection = connection
        self._timeouts = connection.timeouts
        self._instance = instance
        self._lock = threading.Lock()
        self._producer: Any = None
        self._partitions: dict[str, int] = {}  # of topics used so far
        self._consumers: WeakSet[KafkaConsumer] = WeakSet()

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is acknowledged. After a DependencyDown some may have been written."""
        for topic in {message.topic for message in messages}:
            self._partition_count(topic)
        if not messages:
            return
        producer = self._open()
        try:
            futures = [
                producer.send(record.topic, key=record.key, value=record.value, headers=list(record.headers))
                for record in map(to_outgoing, messages)
            ]
            producer.flush(timeout=self._timeouts.publish_s)
            for future in futures:
                future.get(timeout=0)
        except KafkaError as error:
            # An idempotent producer that gave up a record may hold back the following ones for ever.
            self._drop(producer)
            raise translate(error, "publishing") from error
        report_up()

    def open_consumer(self, topic: str, group: str) -> KafkaConsumer:
        self._partition_count(topic)
        consumer = KafkaConsumer(self.connection, topic, group)
        self._consumers.add(consumer)
        return consumer

    def open_state_consumer(self, topic: str, group: str, state_topic: str) -> KafkaStateConsumer:
        if not self._instance:
            raise UsageError("a consumer with states needs a name that is kept over restarts: set COPYDETECT_INSTANCE")
        inputs, states = self._partition_count(topic), self._partition_count(state_topic)
        # More partitions of the input are no reason to stand still: it was enlarged, and the old ones can go on.
        if inputs < states:
            raise UsageError(
                f"{topic} has {inputs} partitions and {state_topic} {states}: a state is kept in the partition of its "
                "records; create both topics with the same number (`copydetect topics`)"
            )
        transactions = Transactions(self.connection, f"{group}-{self._instance}")
        consumer = KafkaStateConsumer(
            self.connection, topic, group, transactions, state_topic=state_topic, state_partitions=states
        )
        self._consumers.add(consumer)
        return consumer

    def owned_partitions(self, topic: str) -> frozenset[int]:
        """The partitions of the topic that are assigned to consumers of this bus now. For any thread."""
        mine = [one.owned_partitions for one in list(self._consumers) if one.topic == topic]
        return frozenset[int]().union(*mine)

    def why_held(self, topic: str) -> str | None:
        """Why some of these partitions give no records, if that is so. For any thread."""
        return next((one.hindrance for one in list(self._consumers) if one.topic == topic and one.hindrance), None)

    def read(
        self,
        topics: Sequence[str],
        *,
        from_start: bool = True,
        follow: bool = False,
        starts: Mapping[int, int] | None = None,
    ) -> Iterator[Record]:
        """The committed records of the topics up to now, without a group; with `follow` also all later ones.

        Waits during outages while it follows. Without `from_start` it begins at the end, so without `follow` as well it
        yields nothing. `starts`: read only these partitions, beginning at these offsets; an offset that is gone means
        the oldest one.
        """
        counts = {topic: self._partition_count(topic) for topic in topics}
        places = [
            TopicPartition(topic, number)
            for topic, count in counts.items()
            for number in range(count)
            if starts is None or number in starts
        ]
        try:
            client = open_client(Client, self.connection.consumer_arguments() | {"group_id": None})
        except KafkaError as error:
            raise translate(error, "reading") from error
        try:
            if places:
                yield from self._read(client, places, starts or {}, from_start=from_start, follow=follow)
        finally:
            client.close()

    def _read(
        self, client: Any, places: list[Any], starts: Mapping[int, int], *, from_start: bool, follow: bool
    ) -> Iterator[Record]:
        try:
            ends = client.end_offsets(places, timeout_ms=milliseconds(self._timeouts.call_s))
            client.assign(places)
            if from_start:
                client.seek_to_beginning(*places)
                for place in places:
                    if place.partition in starts:
                        client.seek(place, min(starts[place.partition], ends[place]))
            else:
                for place, end in ends.items():
                    client.seek(place, end)
        except KafkaError as error:
            raise translate(error, "reading") from error
        unreadable: list[UnreadableBatch] = []
        pass_unreadable(client, unreadable.append)
        last_progress = time.monotonic()
        unread = {place for place, end in ends.items() if end}
        while follow or unread:
            try:
                polled = client.poll(milliseconds(_ROUND_S))
                passed = {place for place in unread if (client.position(place, timeout_ms=100) or 0) >= ends[place]}
            except KafkaError as error:
                failure = translate(error, "reading")
                if not (follow and isinstance(failure, TransientError)):
                    raise failure from error
                continue
            found = [to_record(record) for records in polled.values() for record in records]
            found += [batch.to_record() for batch in unreadable]
            unreadable.clear()
            yield from sorted(found, key=lambda record: (record.message.topic, record.partition, record.offset))
            if polled or passed:
                last_progress = time.monotonic()
                unread -= passed
            elif not follow and time.monotonic() - last_progress > self._timeouts.call_s:
                raise translate(TimeoutError("no further records arrived"), "reading")

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._close(producer)

    def _open(self) -> Any:
        with self._lock:
            if self._producer is None:
                try:
                    self._producer = open_client(KafkaProducer, self.connection.producer_arguments())
                except KafkaError as error:
                    raise translate(error, "opening a producer") from error
            return self._producer

    def _drop(self, producer: Any) -> None:
        with self._lock:
            if self._producer is producer:
                self._producer = None
        self._close(producer)

    def _close(self, producer: Any) -> None:
        with suppress(KafkaError, CopydetectError):
            run_within(self._timeouts.close_s, lambda: producer.close(timeout=1), "closing a producer")

    def _partition_count(self, topic: str) -> int:
        if topic not in self._partitions:
            self._partitions[topic] = count_partitions(self.connection, topic)
        return self._partitions[topic]
