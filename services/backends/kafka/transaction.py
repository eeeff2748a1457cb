"""All-or-nothing transactions with a client that does not guarantee them.

kafka-python 3.0.12 commits a transaction after dropping records of it, and waits for ever for a coordinator that
refuses connections. So every record's acknowledgement is checked before the commit, every wait has a deadline, and a
producer that failed in any way is never used again: its successor, with the same name, aborts what it left open.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from kafka import KafkaProducer, OffsetAndMetadata
from kafka import errors as kafka_errors

from services.backends.kafka.connection import KafkaConnection, open_client
from services.backends.kafka.errors import KafkaError, report_up, run_within, translate
from services.contracts.errors import CopydetectError, Fenced, TransientError
from services.contracts.ports import Message
from services.runtime import metrics


class Outgoing(NamedTuple):
    """A record to publish. A value of None is a tombstone; without a partition the key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


def to_outgoing(message: Message) -> Outgoing:
    headers = [(name, value.encode()) for name, value in message.headers.items()]
    if message.raw is None:
        return Outgoing(message.topic, message.key.encode(), message.value, headers)
    key, value, own = message.raw
    # The client publishes neither a record without both key and value nor a header without a value.
    value = b"" if key is None and value is None else value
    return Outgoing(message.topic, key, value, [*((name, held or b"") for name, held in own), *headers])


class Transactions:
    """The transactions of one name. A producer is opened when it is first needed, and again after each failure."""

    def __init__(
        self,
        connection: KafkaConnection,
        transactional_id: str,
        *,
        producer: Callable[..., Any] = KafkaProducer,
    ) -> None:
        self._connection = connection
        self._timeouts = connection.timeouts
        self._name = transactional_id
        self._producer_class = producer
        self._producer: Any = None

    def prepare(self) -> None:
        """Open a producer if there is none, which aborts any open transaction of this name.

        Raises DependencyDown and Fenced.
        """
        if self._producer is not None:
            return
        arguments = self._connection.transaction_arguments(self._name)
        producer = None
        try:
            producer = open_client(self._producer_class, arguments)
            run_within(self._timeouts.call_s, producer.init_transactions, "opening transactions")
        except (KafkaError, TransientError) as error:
            if producer is not None:
                self._close(producer)
            raise _translate(error, "opening transactions") from error
        self._producer = producer

    def commit(self, outgoing: Sequence[Outgoing], offsets: Mapping[Any, int], group: Any) -> None:
        """Publish the records and commit the offsets of the group, all or nothing.

        `offsets` by TopicPartition; `group` is the consumer's group metadata, or a group's name.
        Raises TransientError if nothing happened or the outcome is unknown, and Fenced.
        """
        if not outgoing and not offsets:
            return
        self.prepare()
        producer = self._producer
        try:
            self._publish(producer, outgoing)
            commits = {place: OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}

            def finish() -> None:
                if commits:
                    producer.send_offsets_to_transaction(commits, group)
                producer.commit_transaction()

            run_within(self._timeouts.commit_s, finish, "committing a transaction")
        except (KafkaError, CopydetectError, ValueError, AssertionError) as error:
            failure = _translate(error, "in a transaction")
            self._give_up(producer, renew=not isinstance(failure, Fenced))
            metrics.transactions.labels("fenced" if isinstance(failure, Fenced) else "failed").inc()
            raise failure from error
        metrics.transactions.labels("committed").inc()
        report_up()

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._close(producer)

    def _publish(self, producer: Any, outgoing: Sequence[Outgoing]) -> None:
        deadline = time.monotonic() + self._timeouts.flush_s
        producer.begin_transaction()
        futures = []
        for record in outgoing:
            futures.append(
                producer.send(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                    partition=record.partition,
                )
            )
            if time.monotonic() > deadline:
                raise kafka_errors.KafkaTimeoutError("records were not accepted in time")
        producer.flush(timeout=max(0.001, deadline - time.monotonic()))
        # A dropped record fails only its own future.
        for future in futures:
            if not future.succeeded():
                raise future.exception or kafka_errors.KafkaTimeoutError("a record was not acknowledged in time")

    def _give_up(self, producer: Any, *, renew: bool) -> None:
        """Close the producer and open its successor at once: until then readers stop at the open transaction.

        No successor (`renew`) after fencing: it would fence the process that replaced this one.
        """
        self._producer = None
        self._close(producer)
        if renew:
            with suppress(TransientError):  # the next transaction tries again
                self.prepare()

    def _close(self, producer: Any) -> None:
        with suppress(KafkaError, TransientError):
            run_within(self._timeouts.close_s, lambda: producer.close(timeout=1), "closing a producer")


def _translate(error: Exception, doing: str) -> CopydetectError:
    return error if isinstance(error, CopydetectError) else translate(error, doing)
