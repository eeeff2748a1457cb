"""Reads topics with a client that is not the services' own, through the brokers' direct listeners.

Every question gets a new client: one that lives through the death of brokers sometimes ends the process in librdkafka.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from tests.chaos.observed import OpenTransaction, Unread

_PATIENCE_S: Final = 30.0
_OFFSETS_TOPIC: Final = "__consumer_offsets"


class TopicReader:
    """Reads what is on the topics now."""

    def __init__(self, brokers: str) -> None:
        self._brokers = brokers

    def list_topics(self) -> list[str]:
        """All topics but Kafka's own."""
        with self._open() as consumer:
            found = consumer.list_topics(timeout=_PATIENCE_S).topics
        return sorted(name for name in found if not name.startswith("__"))

    def read(self, topic: str) -> list[Any]:
        """All committed records of a topic, as confluent-kafka's messages, in order within each partition."""
        with self._open() as consumer:
            return list(_read(consumer, {place: 0 for place in _list_places(consumer, [topic])}))

    def find_ends(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """Where the records of each partition end, those of open transactions included."""
        with self._open(isolation="read_uncommitted") as consumer:
            return _find_ends(consumer, topics)

    def find_open_transactions(self, topics: Sequence[str]) -> list[OpenTransaction]:
        """The partitions where a transaction is open."""
        with self._open() as consumer:
            committed = _find_ends(consumer, topics)
        return [
            OpenTransaction(*place, committed[place], end)
            for place, end in self.find_ends(topics).items()
            if committed[place] < end
        ]

    def find_unread(self, group: str, topic: str) -> list[Unread]:
        """How many records of each partition the group has not committed. Marks of transactions are no records."""
        with self._open(group=group) as consumer:
            places = _list_places(consumer, [topic])
            committed = consumer.committed([TopicPartition(*place) for place in places], timeout=_PATIENCE_S)
            starts = {(one.topic, one.partition): max(0, one.offset) for one in committed}
            counts = dict.fromkeys(places, 0)
            for message in _read(consumer, starts):
                counts[message.topic(), message.partition()] += 1
        return [Unread(group, *place, count) for place, count in counts.items() if count]

    def find_coordinator(self, group: str) -> int | None:
        """The node id of the broker that coordinates a group; None while it moves.

        It leads the partition where the group's offsets are.
        """
        with self._open() as consumer:
            partitions = consumer.list_topics(_OFFSETS_TOPIC, timeout=_PATIENCE_S).topics[_OFFSETS_TOPIC].partitions
        leader = int(partitions[hash_like_java(group) % len(partitions)].leader)
        return leader if leader > 0 else None

    @contextmanager
    def _open(self, group: str = "chaos-checker", isolation: str = "read_committed") -> Iterator[Any]:
        """A consumer that never joins a group and commits nothing."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._brokers,
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": isolation,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "log_level": 0,  # brokers are killed on purpose
            }
        )
        try:
            yield consumer
        finally:
            consumer.close()


def hash_like_java(text: str) -> int:
    """The absolute value of String.hashCode, by which Kafka finds the partition of a group."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    signed = value - (1 << 32) if value >> 31 else value
    return 0 if signed == -(1 << 31) else abs(signed)


def _list_places(consumer: Any, topics: Sequence[str]) -> list[tuple[str, int]]:
    found = consumer.list_topics(timeout=_PATIENCE_S).topics
    return [(topic, number) for topic in topics for number in found[topic].partitions]


def _find_ends(consumer: Any, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    ends = {}
    for place in _list_places(consumer, topics):
        _, ends[place] = consumer.get_watermark_offsets(TopicPartition(*place), timeout=_PATIENCE_S)
    return ends


def _read(consumer: Any, starts: Mapping[tuple[str, int], int]) -> Iterator[Any]:
    """The records from these offsets to the ends of the partitions. Raises RuntimeError if no broker answers."""
    consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
    unfinished = set(starts)
    while unfinished:
        message = consumer.poll(_PATIENCE_S)
        if message is None:
            raise RuntimeError(f"no answer from Kafka within {_PATIENCE_S:g} s")
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            unfinished.discard((message.topic(), message.partition()))
        elif error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise RuntimeError(f"reading failed: {error}")
