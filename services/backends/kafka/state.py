"""A consumer that commits records, messages and states in one Kafka transaction."""

import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer as Client
from kafka import TopicPartition

from services.backends.kafka.connection import KafkaConnection, milliseconds, open_client
from services.backends.kafka.consumer import KafkaConsumer, text
from services.backends.kafka.errors import KafkaError, translate
from services.backends.kafka.transaction import Outgoing, Transactions, to_outgoing
from services.contracts.errors import CopydetectError, DependencyDown, TransientError
from services.contracts.ports import Message, Record, States

_ROUND_S = 0.5


class KafkaStateConsumer(KafkaConsumer):
    """Made by KafkaBus.open_state_consumer; `state_topic` has as many partitions as `topic`.

    A newly assigned partition gives no records until `restore`, so no record comes before its state.
    """

    _holds_assigned = True

    def __init__(
        self, connection: KafkaConnection, topic: str, group: str, state_topic: str, transactions: Transactions
    ) -> None:
        super().__init__(connection, topic, group)
        self._state_topic = state_topic
        self._transactions = transactions
        self._reader = StateReader(connection, state_topic)
        self._member_id = ""  # as of the last poll

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        records = super().poll(max_records, timeout_s)
        self._member_id = self._client.group_metadata().member_id
        return records

    def restore(self, partition: int) -> dict[str, bytes]:
        if partition not in self._assignment.owned_partitions:
            return {}  # revoked meanwhile; `take_rebalance` reports it
        # Own transactions first: this aborts one that the process left open before it was restarted.
        self._transactions.prepare()
        deadline = time.monotonic() + self._timeouts.restore_s
        place = self._place(partition)
        try:
            # With read_committed the broker answers only when no open transaction is about to commit this offset. The
            # states are read after it, so they contain everything that belongs to the records before the offset.
            committed = self._client.committed(place, timeout_ms=_remaining_ms(deadline))
            if committed is None:
                committed = self._client.beginning_offsets([place], timeout_ms=_remaining_ms(deadline))[place]
            states = self._reader.read(partition, deadline)
            if partition in self._assignment.owned_partitions:
                self._client.seek(place, committed)
        except KafkaError as error:
            raise translate(error, f"restoring the states of partition {partition}") from error
        except ValueError:
            return {}  # revoked between the check and the seek
        self._assignment.release(partition, committed=committed)
        return states

    def commit(self, records: Sequence[Record]) -> None:
        """Commit the records, without states or messages."""
        self.commit_all(records, [], {})

    def commit_all(self, records: Sequence[Record], messages: Sequence[Message], states: States) -> None:
        touched = {record.partition for record in records} | {part for part, changed in states.items() if changed}
        try:
            # Read the membership first: if a partition is revoked after the check for ownership below, the broker sees
            # an old membership and refuses.
            group = self._read_membership()
            offsets = self._offsets(records, touched, always=bool(messages))
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
            self._assignment.start_over(touched)
            raise
        self._assignment.note_committed(offsets)
        self._note_alive()

    def close(self) -> None:
        super().close()
        self._transactions.close()
        self._reader.close()

    def _read_membership(self) -> Any:
        """The membership that the broker is to check. Raises TransientError if it is not the one of the last poll.

        The client can lose it between two polls, without a word to the listener: it polled too late, or its process
        stood still. Brokers accept offsets in a transaction from a member without a name, whoever owns the partition.
        """
        group = self._client.group_metadata()
        if group.generation_id < 0 or not group.member_id or group.member_id != self._member_id:
            raise TransientError(f"the membership in group {group.group_id} was lost since the last poll")
        return group

    def _offsets(self, records: Sequence[Record], touched: set[int], *, always: bool) -> dict[int, int]:
        """The offset to commit for each touched partition; without a record, the offset that was committed last.

        The broker checks the membership only where offsets are committed. Without an offset, a process could still
        overwrite the states of a partition that has a new owner. Raises TransientError for partitions that are not
        owned. `always`: if nothing is touched, commit the last offset of every owned partition.
        """
        ready = self._assignment.owned_partitions - self._assignment.held_partitions
        stale = (touched - ready) | self._assignment.stale_partitions(records)
        if stale:
            raise TransientError(f"partitions {sorted(stale)} of {self._topic} were revoked")
        offsets = {}
        for partition in ready if always and not touched else touched:
            last = self._assignment.committed_offset(partition)
            if last is not None:
                offsets[partition] = last
        return offsets | self._assignment.offsets_to_commit(records)


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
        end = self._uncommitted.end_offsets([place], timeout_ms=_remaining_ms(deadline))[place]
        self._committed.assign([place])
        self._committed.seek_to_beginning(place)
        states: dict[str, bytes] = {}
        while (self._committed.position(place, timeout_ms=_remaining_ms(deadline)) or 0) < end:
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


def _remaining_ms(deadline: float) -> int:
    return max(1, milliseconds(deadline - time.monotonic()))
