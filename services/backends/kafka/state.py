"""A consumer that commits records, messages and states in one Kafka transaction."""

import time
from collections.abc import Sequence
from typing import Any

from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.consumer import KafkaConsumer
from services.backends.kafka.errors import KafkaError, translate
from services.backends.kafka.parked import drop_parked_records
from services.backends.kafka.refusal import Refusal
from services.backends.kafka.state_reader import StateReader, remaining_ms
from services.backends.kafka.transaction import Outgoing, Transactions, to_outgoing
from services.contracts.errors import CopydetectError, TransientError
from services.contracts.ports import Message, Rebalance, Record, States


class KafkaStateConsumer(KafkaConsumer):
    """Made by KafkaBus.open_state_consumer.

    A newly assigned partition gives no records until `restore`, so no record comes before its state. A partition that
    the state topic does not have, since the other topic was enlarged, is not reported as assigned: see `Refusal`.
    """

    _holds_assigned = True

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        group: str,
        transactions: Transactions,
        *,
        state_topic: str,
        state_partitions: int,
    ) -> None:
        super().__init__(connection, topic, group)
        self._state_topic = state_topic
        self._transactions = transactions
        self._reader = StateReader(connection, state_topic)
        self._refusal = Refusal(connection, topic, state_topic, state_partitions)
        self._member_id = ""  # as of the last poll

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        records = super().poll(max_records, timeout_s)
        self._member_id = self._client.group_metadata().member_id
        return records

    def take_rebalance(self) -> Rebalance:
        return self._refusal.apply(super().take_rebalance())

    @property
    def hindrance(self) -> str | None:
        return self._refusal.reason

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
            committed = self._client.committed(place, timeout_ms=remaining_ms(deadline))
            if committed is None:
                committed = self._client.beginning_offsets([place], timeout_ms=remaining_ms(deadline))[place]
            states = self._reader.read(partition, deadline)
            if partition in self._assignment.owned_partitions:
                self._client.seek(place, committed)
                drop_parked_records(self._client, [place])
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
        self._refusal.forget()
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
