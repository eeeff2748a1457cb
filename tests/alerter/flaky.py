"""A clock that tests set, and a bus in memory with partitions, whose commits can fail."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal
from zlib import crc32

from services.contracts.errors import TransientError
from services.contracts.ports import Message, Rebalance, Record, States
from tests.descriptors import UPLOADED_AT

Failure = Literal["before", "after"]  # the failed commit had no effect, or its full effect


class Clock:
    """Seconds since the epoch; each call advances it by a millisecond."""

    def __init__(self) -> None:
        self.at = UPLOADED_AT + 1000

    def __call__(self) -> float:
        self.at += 0.001
        return self.at


class FlakyBus:
    """A Bus whose next commit of states can fail, and that delivers records only after their partition was restored.

    Groups remember what they committed. Two consumers of one group both read everything.
    """

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = range(partitions)
        self.fails: Failure | None = None
        self.error: Exception = TransientError("the bus is down")
        self.commits: list[tuple[Sequence[Record], Sequence[Message], States]] = []
        self.committed: defaultdict[tuple[str, str, int], int] = defaultdict(int)  # by topic, group and partition
        self.stored: defaultdict[tuple[str, int], dict[str, bytes]] = defaultdict(dict)  # by state topic and partition
        self._records: defaultdict[str, list[Record]] = defaultdict(list)
        self._partitions: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            partition = crc32(message.key.encode()) % len(self.partitions)
            of_partition = self.read(message.topic, partition)
            record = Record(message, partition, offset=len(of_partition), timestamp_ms=0)
            of_partition.append(record)
            self._records[message.topic].append(record)

    def open_consumer(self, topic: str, group: str) -> "FlakyConsumer":
        return FlakyConsumer(self, topic, group, None)

    def open_state_consumer(self, topic: str, group: str, state_topic: str) -> "FlakyConsumer":
        return FlakyConsumer(self, topic, group, state_topic)

    def records(self, topic: str) -> list[Record]:
        """All published records of the topic, in order."""
        return list(self._records[topic])

    def read(self, topic: str, partition: int) -> list[Record]:
        return self._partitions[topic, partition]

    def fail_next(self, fails: Failure) -> None:
        self.fails = fails

    def lag(self, topic: str, group: str) -> int:
        """Records that the group has not committed."""
        done = (self.committed[topic, group, partition] for partition in self.partitions)
        return len(self._records[topic]) - sum(done)

    def states(self) -> dict[str, bytes]:
        """All committed states."""
        return {key: state for states in self.stored.values() for key, state in states.items()}

    def close(self) -> None:
        """Nothing is open."""


class FlakyConsumer:
    """Reads one partition per poll, in turn, so that partitions are not in step with each other."""

    def __init__(self, bus: FlakyBus, topic: str, group: str, state_topic: str | None) -> None:
        self._bus, self._topic, self._group, self._state_topic = bus, topic, group, state_topic
        self._paused = False
        self._turn = 0
        self.hidden_lag = 0  # lag that an outage hides, or of a replay
        self.rebalance()
        self._rebalance = Rebalance(assigned=frozenset(bus.partitions), revoked=frozenset())

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:  # noqa: ARG002 - part of the port
        waiting = [] if self._paused else [one for one in self._bus.partitions if self._is_waiting(one)]
        if not waiting:
            return []
        self._turn += 1
        partition = waiting[self._turn % len(waiting)]
        position = self._positions[partition]
        polled = self._bus.read(self._topic, partition)[position : position + max_records]
        self._positions[partition] += len(polled)
        return polled

    def take_rebalance(self) -> Rebalance:
        rebalance, self._rebalance = self._rebalance, Rebalance(frozenset(), frozenset())
        return rebalance

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def lag(self) -> dict[int, int]:
        return {
            partition: len(self._bus.read(self._topic, partition)) - self._positions[partition] + self.hidden_lag
            for partition in self._bus.partitions
        }

    def commit(self, records: Sequence[Record]) -> None:
        for record in records:
            place = self._topic, self._group, record.partition
            self._bus.committed[place] = max(self._bus.committed[place], record.offset + 1)

    def restore(self, partition: int) -> dict[str, bytes]:
        assert self._state_topic is not None
        self._restored.add(partition)
        return dict(self._bus.stored[self._state_topic, partition])

    def commit_all(self, records: Sequence[Record], messages: Sequence[Message], states: States) -> None:
        assert self._state_topic is not None
        fails, self._bus.fails = self._bus.fails, None
        if fails != "before":
            self._bus.publish(messages)
            self.commit(records)
            for partition, changed in states.items():
                stored = self._bus.stored[self._state_topic, partition]
                stored |= {key: state for key, state in changed.items() if state is not None}
                for key in (key for key, state in changed.items() if state is None):
                    stored.pop(key, None)
            self._bus.commits.append((records, messages, states))
        if fails:
            self.rebalance()
            raise self._bus.error

    def rebalance(self) -> None:
        """All partitions are revoked and assigned again."""
        partitions = self._bus.partitions
        self._positions = {one: self._bus.committed[self._topic, self._group, one] for one in partitions}
        self._restored: set[int] = set(partitions if self._state_topic is None else ())
        self._rebalance = Rebalance(assigned=frozenset(partitions), revoked=frozenset(partitions))

    def revoke(self) -> None:
        """All partitions are revoked."""
        self.rebalance()
        self._rebalance = Rebalance(assigned=frozenset(), revoked=frozenset(self._bus.partitions))

    def close(self) -> None:
        """Nothing is open."""

    def _is_waiting(self, partition: int) -> bool:
        return partition in self._restored and self._positions[partition] < len(self._bus.read(self._topic, partition))
