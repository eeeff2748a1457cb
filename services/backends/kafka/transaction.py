"""Transactions that are whole or not at all, with a client that does not see to it.

kafka-python 3.0.12 commits a transaction in which it gave records up, and waits for ever for a coordinator that refuses
connections. So every record's acknowledgement is asked for before the commit, every wait has a deadline, and a producer
that failed in any way is never used again: its successor, of the same name, aborts what it left behind.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from kafka import KafkaProducer, OffsetAndMetadata
from kafka import errors as kafka_errors

from services.backends.kafka.connection import KafkaConnection, made, milliseconds
from services.backends.kafka.errors import KafkaError, note_up, translated, within
from services.contracts.errors import CopydetectError, Fenced, TransientError
from services.runtime import metrics


class Outgoing(NamedTuple):
    """A record to publish; no value is a tombstone, no partition lets the key choose."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


class Transactions:
    """The transactions of one name. Made lazily: a producer starts with the first need, and anew after each failure."""

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
        self._make = producer
        self._producer: Any = None

    def ready(self) -> None:
        """Return when no transaction of this name is open, whoever left it. Raises DependencyDown, Fenced."""
        if self._producer is not None:
            return
        arguments = self._connection.producer_arguments() | {
            "transactional_id": self._name,
            "transaction_timeout_ms": milliseconds(self._timeouts.transaction_s),
            # Beside the deadline of the flush, for sends that wait for metadata or memory.
            "max_block_ms": milliseconds(self._timeouts.flush_s),
        }
        producer = None
        try:
            producer = made(self._make, arguments)
            within(self._timeouts.call_s, producer.init_transactions, "opening transactions")
        except (KafkaError, TransientError) as error:
            if producer is not None:
                self._close(producer)
            raise _ours(error, "opening transactions") from error
        self._producer = producer

    def commit(self, outgoing: Sequence[Outgoing], offsets: Mapping[Any, int], group: Any) -> None:
        """Publish the records and commit the offsets of the group, all or nothing.

        Raises TransientError when it is not certain, or certain that nothing happened, and Fenced.
        """
        if not outgoing and not offsets:
            return
        self.ready()
        producer = self._producer
        try:
            self._publish(producer, outgoing)
            commits = {place: OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}

            def finish() -> None:
                if commits:
                    producer.send_offsets_to_transaction(commits, group)
                producer.commit_transaction()

            within(self._timeouts.commit_s, finish, "committing a transaction")
        except (KafkaError, CopydetectError, ValueError, AssertionError) as error:
            failure = _ours(error, "in a transaction")
            self._give_up(producer, renew=not isinstance(failure, Fenced))
            metrics.transactions.labels("fenced" if isinstance(failure, Fenced) else "failed").inc()
            raise failure from error
        metrics.transactions.labels("committed").inc()
        note_up(True)

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
                raise kafka_errors.KafkaTimeoutError("records were not taken in time")
        producer.flush(timeout=max(0.001, deadline - time.monotonic()))
        # A record that was given up fails its future and nothing else.
        for future in futures:
            if not future.succeeded():
                raise future.exception or kafka_errors.KafkaTimeoutError("a record was not acknowledged in time")

    def _give_up(self, producer: Any, *, renew: bool) -> None:
        """Leave the producer, and make its successor at once: until then readers stop at the open transaction.

        Not after fencing: a successor would fence the process that took this one's place.
        """
        self._producer = None
        self._close(producer)
        if renew:
            with suppress(TransientError):  # the next need tries again
                self.ready()

    def _close(self, producer: Any) -> None:
        with suppress(KafkaError, TransientError):
            within(self._timeouts.close_s, lambda: producer.close(timeout=1), "closing a producer")


def _ours(error: Exception, doing: str) -> CopydetectError:
    return error if isinstance(error, CopydetectError) else translated(error, doing)
