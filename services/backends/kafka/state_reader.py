"""Reads states from their topic."""

import time
from typing import Any

from kafka import KafkaConsumer as Client
from kafka import TopicPartition

from services.backends.kafka.connection import KafkaConnection, milliseconds, open_client
from services.backends.kafka.consumer import text
from services.contracts.errors import DependencyDown

_ROUND_S = 0.5


class StateReader:
    """Reads the committed states of a partition of a state topic."""

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self._topic = topic
        self._arguments = connection.consumer_arguments() | {"group_id": None}
        self._committed: Any = None
        self._uncommitted: Any = None

    def read(self, partition: int, deadline: float) -> dict[str, bytes]:
        """The latest value of each key, after the end of every transaction that was open at the start.

        `deadline` is a time of time.monotonic(); each batch of records extends it. Raises DependencyDown after it.
        """
        patience_s = deadline - time.monotonic()
        self._open()
        place = TopicPartition(self._topic, partition)
        # For a read_committed reader the end is where the oldest open transaction begins, which is not far enough.
        end = self._uncommitted.end_offsets([place], timeout_ms=remaining_ms(deadline))[place]
        self._committed.assign([place])
        self._committed.seek_to_beginning(place)
        states: dict[str, bytes] = {}
        while (self._committed.position(place, timeout_ms=remaining_ms(deadline)) or 0) < end:
            if time.monotonic() > deadline:
                raise DependencyDown(f"Kafka: a transaction in {self._topic}, partition {partition}, does not end")
            for records in self._committed.poll(milliseconds(_ROUND_S)).values():
                deadline = time.monotonic() + patience_s  # only a standstill runs into the deadline
                for record in records:
                    if record.value is None:
                        states.pop(text(record.key), None)
                    else:
                        states[text(record.key)] = bytes(record.value)
        return states

    def close(self) -> None:
        for client in (self._committed, self._uncommitted):
            if client is not None:
                client.close()

    def _open(self) -> None:
        if self._committed is None:
            self._committed = open_client(Client, self._arguments)
        if self._uncommitted is None:
            self._uncommitted = open_client(Client, self._arguments | {"isolation_level": "read_uncommitted"})


def remaining_ms(deadline: float) -> int:
    return max(1, milliseconds(deadline - time.monotonic()))
