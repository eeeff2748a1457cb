"""What tests of Kafka share: short deadlines, topics of their own, and waiting."""

import time
import uuid
from collections.abc import Callable

from services.backends.kafka.connection import MAX_MESSAGE_BYTES, KafkaConnection, Timeouts
from services.backends.kafka.topics import Topic, create
from services.contracts.ports import Consumer, Message, Record, StateConsumer

SHORT = Timeouts(
    flush_s=2,
    commit_s=1.5,
    transaction_request_s=2,
    transaction_delivery_s=4,
    transaction_s=6,
    session_s=8,
    restore_s=30,
    max_poll_s=60,
    request_s=2,
    delivery_s=4,
    publish_s=5,
    call_s=5,
    close_s=2,
    liveness_check_s=1,
)
PATIENCE_S = 20.0


def connect(address: str, timeouts: Timeouts = SHORT) -> KafkaConnection:
    return KafkaConnection(address, timeouts=timeouts)


def unique_name(name: str = "test") -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


def make_topic(connection: KafkaConnection, name: str, partitions: int = 1, *, compact: bool = False) -> str:
    """Create a topic for one test alone, and return its name."""
    topic = unique_name(name)
    config = {"cleanup.policy": "compact", "max.message.bytes": str(MAX_MESSAGE_BYTES)} if compact else {}
    create(connection, [Topic(topic, partitions, 1, config)])
    return topic


def message(topic: str, value: str, key: str = "k") -> Message:
    return Message(topic, key, value.encode(), {"ce_type": "test"})


def values(records: list[Record]) -> list[str]:
    return [record.message.value.decode() for record in records]


def take(consumer: Consumer, count: int, patience_s: float = PATIENCE_S) -> list[Record]:
    """The next `count` records, or fewer if they do not come in time; takes no rebalance."""
    records: list[Record] = []
    deadline = time.monotonic() + patience_s
    while len(records) < count and time.monotonic() < deadline:
        records += consumer.poll(count - len(records), 0.2)
    return records


def join(consumer: Consumer, count: int = 1) -> set[int]:
    """Wait until a consumer owns so many partitions, and return them; it reads no record meanwhile."""
    owned: set[int] = set()
    consumer.pause()

    def has_joined() -> bool:
        consumer.poll(1, 0.1)
        rebalance = consumer.take_rebalance()
        owned.difference_update(rebalance.revoked)
        owned.update(rebalance.assigned)
        return len(owned) >= count

    wait_until(has_joined)
    consumer.resume()
    return owned


def join_and_restore(consumer: StateConsumer, count: int = 1) -> dict[int, dict[str, bytes]]:
    return {partition: consumer.restore(partition) for partition in sorted(join(consumer, count))}


def wait_until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
