"""The bus of one process: `copydetect scan` on a laptop, and tests."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from services.contracts.ports import Message, Rebalance, Record, States

_PARTITION = 0


class MemoryBus:
    """A Bus whose topics are lists with one partition each, kept in this process. For one thread.

    Groups remember what they committed. Two consumers of one group both read everything: use one at a time.
    """

    def __init__(self) -> None:
        self._topics: defaultdict[str, list[Record]] = defaultdict(list)
        self._committed: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._states: defaultdict[str, dict[str, bytes]] = defaultdict(dict)

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            records = self._topics[message.topic]
            published_ms = max(time.time_ns() // 10**6, records[-1].timestamp_ms or 0 if records else 0)
            records.append(Record(message, _PARTITION, offset=len(records), timestamp_ms=published_ms))

    def open_consumer(self, topic: str, group: str) -> "MemoryConsumer":
        return MemoryConsumer(self._topics[topic], self._committed, (topic, group))

    def open_state_consumer(self, topic: str, group: str, state_topic: str) -> "MemoryStateConsumer":
        return MemoryStateConsumer(self, topic, group, self._states[state_topic])

    def read(self, topics: Sequence[str], *, starts: Mapping[int, int] | None = None) -> Iterator[Record]:
        """The records of the topics up to now, without a group. `starts`: the offset to begin at, by partition."""
        for topic in topics:
            if starts is None or _PARTITION in starts:
                yield from self._topics[topic][(starts or {}).get(_PARTITION, 0) :]

    def records(self, topic: str) -> list[Record]:
        """All published records of the topic, in order."""
        return list(self._topics[topic])

    def close(self) -> None:
        """Nothing is open."""


class MemoryConsumer:
    """Made by MemoryBus.consumer. Polls never wait: nobody could publish while the only thread waits."""

    def __init__(
        self, records: list[Record], committed: defaultdict[tuple[str, str], int], group: tuple[str, str]
    ) -> None:
        self._records = records
        self._committed = committed
        self._group = group
        self._position = committed[group]
        self._rebalance = Rebalance(assigned=frozenset({_PARTITION}), revoked=frozenset())
        self._paused = False

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:  # noqa: ARG002 - part of the port
        if self._paused:
            return []
        polled = self._records[self._position : self._position + max_records]
        self._position += len(polled)
        return polled

    def take_rebalance(self) -> Rebalance:
        rebalance, self._rebalance = self._rebalance, Rebalance(frozenset(), frozenset())
        return rebalance

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def lag(self) -> dict[int, int]:
        return {_PARTITION: len(self._records) - self._position}

    def commit(self, records: Sequence[Record]) -> None:
        done = [record.offset + 1 for record in records]
        self._committed[self._group] = max([self._committed[self._group], *done])

    def close(self) -> None:
        """Nothing is open."""


class MemoryStateConsumer(MemoryConsumer):
    """Made by MemoryBus.state_consumer. With one thread every commit is atomic."""

    def __init__(self, bus: MemoryBus, topic: str, group: str, states: dict[str, bytes]) -> None:
        super().__init__(bus._topics[topic], bus._committed, (topic, group))
        self._bus = bus
        self._states = states

    def restore(self, partition: int) -> dict[str, bytes]:  # noqa: ARG002 - there is only one
        return dict(self._states)

    def commit_all(self, records: Sequence[Record], messages: Sequence[Message], states: States) -> None:
        self._bus.publish(messages)
        self.commit(records)
        for changed in states.values():
            for key, state in changed.items():
                if state is None:
                    self._states.pop(key, None)
                else:
                    self._states[key] = state
