"""Reads topics with a client that is not the services' own, through the brokers' direct listeners."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # exported, but not by name

from tests.chaos.observed import OpenTransaction, Unread

_PATIENCE_S: Final = 30.0
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_QUIET: Final[Mapping[str, Any]] = {"log_level": 0}


class TopicReader:
    """Reads what is on the topics now. Use as a context manager."""

    def __init__(self, brokers: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": brokers, **_QUIET})
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "chaos-checker",  # never committed
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                **_QUIET,
            }
        )

    def __enter__(self) -> "TopicReader":
        return self

    def __exit__(self, *error: object) -> None:
        self._consumer.close()

    def list_topics(self) -> list[str]:
        """All topics but Kafka's own."""
        found = self._admin.list_topics(timeout=_PATIENCE_S).topics
        return sorted(name for name in found if not name.startswith("__"))

    def read(self, topic: str) -> list[Any]:
        """All committed records of a topic, as confluent-kafka's messages, in order within each partition."""
        return list(self._read({place: 0 for place in self._places([topic])}))

    def find_ends(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """Where the records of each partition end, those of open transactions included."""
        return self._list_offsets(topics, IsolationLevel.READ_UNCOMMITTED)

    def find_open_transactions(self, topics: Sequence[str]) -> list[OpenTransaction]:
        """The partitions where a transaction is open."""
        committed = self._list_offsets(topics, IsolationLevel.READ_COMMITTED)
        return [
            OpenTransaction(*place, committed[place], end)
            for place, end in self.find_ends(topics).items()
            if committed[place] < end
        ]

    def find_unread(self, group: str, topic: str) -> list[Unread]:
        """How many records of each partition the group has not committed. Marks of transactions are no records."""
        places = self._places([topic])
        asked = [TopicPartition(*place) for place in places]
        answer = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, asked)])[group]
        committed = {
            (one.topic, one.partition): max(0, one.offset) for one in answer.result(_PATIENCE_S).topic_partitions
        }
        counts = dict.fromkeys(places, 0)
        for message in self._read({place: committed.get(place, 0) for place in places}):
            counts[message.topic(), message.partition()] += 1
        return [Unread(group, *place, count) for place, count in counts.items() if count]

    def find_coordinator(self, group: str) -> int | None:
        """The node id of the broker that coordinates a group; None while it moves."""
        try:
            described = self._admin.describe_consumer_groups([group])[group].result(_PATIENCE_S)
        except KafkaException:
            return None
        return int(described.coordinator.id)

    def _places(self, topics: Sequence[str]) -> list[tuple[str, int]]:
        found = self._admin.list_topics(timeout=_PATIENCE_S).topics
        return [(topic, number) for topic in topics for number in found[topic].partitions]

    def _list_offsets(self, topics: Sequence[str], isolation: IsolationLevel) -> dict[tuple[str, int], int]:
        asked = {TopicPartition(*place): _LATEST for place in self._places(topics)}
        answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=_PATIENCE_S)
        return {(place.topic, place.partition): answer.result().offset for place, answer in answers.items()}

    def _read(self, starts: Mapping[tuple[str, int], int]) -> Iterator[Any]:
        """The records from these offsets to the ends of the partitions. Raises RuntimeError if the brokers do not."""
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        unfinished = set(starts)
        while unfinished:
            message = self._consumer.poll(_PATIENCE_S)
            if message is None:
                raise RuntimeError(f"no answer from Kafka within {_PATIENCE_S:g} s")
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard((message.topic(), message.partition()))
            elif error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise RuntimeError(f"reading failed: {error}")
        self._consumer.unassign()
