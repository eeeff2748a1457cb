"""The topics that the services need, and their creation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kafka import errors as kafka_errors

from services.backends.kafka.admin import describe_topics, open_admin
from services.backends.kafka.connection import MAX_MESSAGE_BYTES, KafkaConnection
from services.contracts.errors import UsageError
from services.contracts.topics import (
    ALERTER_STATE,
    ASSET_VERDICTS,
    DEAD_LETTER_SUFFIX,
    DUPLICATE_ALERTS,
    ENCODED_SEGMENTS,
    MATCH_EVIDENCE,
    VIDEO_SEGMENTS,
)

DAY_MS: Final = 24 * 3600 * 1000
REPLICATION: Final = 3
PARTITIONS: Final = 12  # divisible by many numbers of workers; generous, because a later change moves keys


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    partitions: int
    replication: int
    config: dict[str, str] = field(default_factory=dict)


def plan(partitions: int = PARTITIONS, replication: int = REPLICATION) -> list[Topic]:
    """Every topic of the services. Raises UsageError for fewer than 1 partition or replica.

    Work is kept for a week, so that an outage over a weekend loses nothing; results and dead letters for a month.
    """
    if partitions < 1 or replication < 1:
        raise UsageError(f"topics need at least 1 partition and 1 replica, not {partitions} and {replication}")
    # With all but one replica in sync a write is safe, and one broker may be down.
    safe = {"min.insync.replicas": str(max(1, replication - 1))}
    week, month = ({"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)} for days in (7, 30))
    # A copy of the newest value of each key is the table of the current alerts and verdicts.
    table = month | {"cleanup.policy": "compact,delete"}
    # Brokers store whatever clients send in a codec that every client can read.
    shared = safe | {"compression.type": "gzip"}
    # The order of an asset's uploads (services.contracts.generations): a clock of the uploaders could go back.
    timed = {"message.timestamp.type": "LogAppendTime"}
    # What is published about a record may be as large as the record.
    large = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    state = large | {
        # Not "delete": the alerter needs a state until it writes a tombstone. Retention would remove the states of
        # uploads that are still open, and their alerts would start again.
        "cleanup.policy": "compact",
        # A restart reads the whole topic. Compaction skips the newest segment, so segments are small; and it starts
        # before half of the topic is outdated, which is the default.
        "segment.bytes": str(64 * 2**20),
        "segment.ms": str(DAY_MS // 4),
        "min.cleanable.dirty.ratio": "0.2",
        # Longer than any restore: a reader that has seen a state must see its tombstone too.
        "delete.retention.ms": str(DAY_MS),
    }
    return [
        Topic(VIDEO_SEGMENTS, partitions, replication, shared | week | timed),
        Topic(ENCODED_SEGMENTS, partitions, replication, shared | week),
        Topic(MATCH_EVIDENCE, partitions, replication, shared | week | large),
        Topic(ALERTER_STATE, partitions, replication, safe | state),
        Topic(DUPLICATE_ALERTS, partitions, replication, shared | table | large),
        Topic(ASSET_VERDICTS, partitions, replication, shared | table | large),
        *(
            Topic(name + DEAD_LETTER_SUFFIX, 1, replication, shared | month | large)
            for name in (VIDEO_SEGMENTS, ENCODED_SEGMENTS, MATCH_EVIDENCE)
        ),
    ]


def create(connection: KafkaConnection, topics: Sequence[Topic] | None = None) -> list[str]:
    """Create the missing topics, and return their names; existing ones are left as they are.

    Raises UsageError if there are fewer brokers than replicas, or a policy of the cluster forbids a topic.
    """
    created = []
    with open_admin(connection, "creating topics") as client:
        existing = describe_topics(client, [topic.name for topic in topics or plan()])
        for topic in topics or plan():
            if topic.name in existing:
                continue
            wanted = {
                "num_partitions": topic.partitions,
                "replication_factor": topic.replication,
                "configs": topic.config,
            }
            try:
                client.create_topics({topic.name: wanted}, wait_for_metadata=True)
            except kafka_errors.TopicAlreadyExistsError:
                continue  # another process was faster
            except (kafka_errors.InvalidReplicationFactorError, kafka_errors.PolicyViolationError) as error:
                raise UsageError(
                    f"cannot create {topic.name} with {topic.replication} replicas: {error}; use at most as "
                    "many as there are brokers"
                ) from error
            created.append(topic.name)
    return created
