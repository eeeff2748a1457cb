"""A consumer whose commits carry messages and states, all in one Kafka transaction."""

import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer as Client
from kafka import TopicPartition

from services.backends.kafka.connection import KafkaConnection, made, milliseconds
from services.backends.kafka.consumer import KafkaConsumer, text
from services.backends.kafka.errors import KafkaError, translated
from services.backends.kafka.transaction import Outgoing, Transactions
from services.contracts.errors import CopydetectError, DependencyDown, TransientError
from services.contracts.ports import Message, Record, States

_ROUND_S = 0.5


class KafkaStateConsumer(KafkaConsumer):
    """Made by KafkaBus.state_consumer; `state_topic` has as many partitions as `topic`.

    A partition that was given stays silent until `restore`, so no record meets a state that is not there yet.
    """

    _restores = True

    def __init__(
        self, connection: KafkaConnection, topic: str, group: str, state_topic: str, transactions: Transactions
    ) -> None:
        super().__init__(connection, topic, group)
        self._state_topic = state_topic
        self._transactions = transactions
        self._reader = StateReader(connection, state_topic)

    def restore(self, partition: int) -> dict[str, bytes]:
        if partition not in self._assignment.owned():
            return {}  # taken meanwhile; `moves` says so
        # Own transactions first: one that this process left open before it was restarted is aborted by this.
        self._transactions.ready()
        deadline = time.monotonic() + self._timeouts.restore_s
        place = self._place(partition)
        try:
            # Asked with read_committed, the broker answers only when no transaction that commits it is open. States
            # are read after it: they then hold all that belongs to the records before this offset.
            committed = self._client.committed(place, timeout_ms=_remaining_ms(deadline))
            if committed is None:
                committed = self._client.beginning_offsets([place], timeout_ms=_remaining_ms(deadline))[place]
            states = self._reader.read(partition, deadline)
            if partition in self._assignment.owned():
                self._client.seek(place, committed)
        except KafkaError as error:
            raise translated(error, f"restoring the states of partition {partition}") from error
        except ValueError:
            return {}  # taken between the look and the seek
        self._assignment.release(partition, committed=committed)
        return states

    def commit(self, records: Sequence[Record]) -> None:
        """The records, without states or messages."""
        self.commit_all(records, [], {})

    def commit_all(self, records: Sequence[Record], messages: Sequence[Message], states: States) -> None:
        # The membership comes first: if a partition is taken after the look at what is ours, the broker sees that
        # the membership is an old one, and refuses.
        group = self._client.group_metadata()
        try:
            offsets = self._offsets(records, states, always=bool(messages))
            outgoing = [to_outgoing(message) for message in messages]
            outgoing += [
                Outgoing(self._state_topic, key.encode(), state, partition=partition)
                for partition, changed in states.items()
                for key, state in changed.items()
            ]
            if not offsets and not outgoing:
                return
            places = {self._place(partition): offset for partition, offset in offsets.items()}
            self._transactions.commit(outgoing, places, group)
        except CopydetectError:
            self._assignment.start_over()
            raise
        self._assignment.committed(offsets)
        self._lives()

    def close(self) -> None:
        super().close()
        self._transactions.close()
        self._reader.close()

    def _offsets(self, records: Sequence[Record], states: States, *, always: bool) -> dict[int, int]:
        """The offset to commit for each partition that is touched; where no record is, what was committed last.

        The broker compares memberships only where offsets are committed. Without one, a process whose partition
        was taken could still write states over the new owner's.
        """
        ready = self._assignment.owned() - self._assignment.held()
        touched = {record.partition for record in records} | {part for part, changed in states.items() if changed}
        strangers = (touched - ready) | self._assignment.strangers(records)
        if strangers:
            raise TransientError(f"partitions {sorted(strangers)} of {self._topic} were taken")
        if always and not touched:
            touched = set(ready)
        offsets = {}
        for partition in touched:
            last = self._assignment.last_committed(partition)
            if last is not None:
                offsets[partition] = last
        return offsets | self._assignment.committable(records)


class StateReader:
    """Reads what was committed to a partition of a state topic."""

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self._topic = topic
        self._arguments = connection.consumer_arguments() | {"group_id": None}
        self._committed: Any = None
        self._uncommitted: Any = None

    def read(self, partition: int, deadline: float) -> dict[str, bytes]:
        """The latest value of each key, once every transaction that was open at the start is over."""
        patience_s = deadline - time.monotonic()
        self._open()
        place = TopicPartition(self._topic, partition)
        # To a read_committed reader the end is where the oldest open transaction begins: not far enough.
        end = self._uncommitted.end_offsets([place], timeout_ms=_remaining_ms(deadline))[place]
        self._committed.assign([place])
        self._committed.seek_to_beginning(place)
        states: dict[str, bytes] = {}
        while (self._committed.position(place, timeout_ms=_remaining_ms(deadline)) or 0) < end:
            if time.monotonic() > deadline:
                raise DependencyDown(f"Kafka: a transaction in {self._topic}, partition {partition}, does not end")
            for records in self._committed.poll(milliseconds(_ROUND_S)).values():
                deadline = time.monotonic() + patience_s  # for standing still, not for much to read
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
            self._committed = made(Client, self._arguments)
        if self._uncommitted is None:
            self._uncommitted = made(Client, self._arguments | {"isolation_level": "read_uncommitted"})


def to_outgoing(message: Message) -> Outgoing:
    headers = [(name, value.encode()) for name, value in message.headers.items()]
    return Outgoing(message.topic, message.key.encode(), message.value, headers)


def _remaining_ms(deadline: float) -> int:
    return max(1, milliseconds(deadline - time.monotonic()))
