"""The topics that the services need: their creation, and a check of those that exist."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from services.backends.kafka.connection import MAX_MESSAGE_BYTES, KafkaConnection, open_client
from services.backends.kafka.errors import KafkaError, report_up, translate
from services.contracts.errors import UsageError
from services.contracts.topics import (
    ASSET_VERDICTS,
    DEAD_LETTER_SUFFIX,
    DUPLICATE_ALERTS,
    ENCODED_SEGMENTS,
    MATCHER_STATE,
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
    # Brokers store whatever clients send in a codec that every client can read.
    shared = safe | {"compression.type": "gzip"}
    # What is published about a record may be as large as the record.
    large = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    state = large | {
        # Not "delete": the matcher needs a state until it writes a tombstone. Retention would remove the states of
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
        Topic(VIDEO_SEGMENTS, partitions, replication, shared | week),
        Topic(ENCODED_SEGMENTS, partitions, replication, shared | week),
        Topic(MATCHER_STATE, partitions, replication, safe | state),
        Topic(DUPLICATE_ALERTS, partitions, replication, shared | month | large),
        Topic(ASSET_VERDICTS, partitions, replication, shared | month | large),
        Topic(VIDEO_SEGMENTS + DEAD_LETTER_SUFFIX, 1, replication, shared | month | large),
        Topic(ENCODED_SEGMENTS + DEAD_LETTER_SUFFIX, 1, replication, shared | month | large),
    ]


def create(connection: KafkaConnection, topics: Sequence[Topic] | None = None) -> list[str]:
    """Create the missing topics, and return their names; existing ones are left as they are.

    Raises UsageError if there are fewer brokers than replicas, or a policy of the cluster forbids a topic.
    """
    created = []
    with open_admin(connection, "creating topics") as client:
        existing = _describe_topics(client, [topic.name for topic in topics or plan()])
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


def check(connection: KafkaConnection, topics: Sequence[Topic] | None = None) -> list[str]:
    """What is wrong with the topics, one sentence per problem."""
    wanted = list(topics or plan())
    problems = []
    with open_admin(connection, "checking the topics") as client:
        existing = _describe_topics(client, [topic.name for topic in wanted])
        present = [topic for topic in wanted if topic.name in existing]
        configs = _read_configs(client, [topic.name for topic in present])
        brokers = [broker["broker_id"] for broker in client.describe_cluster()["brokers"]]
        if brokers and _broker_config(client, brokers[0]).get("auto.create.topics.enable") == "true":
            problems.append(
                "the brokers create topics by themselves (auto.create.topics.enable): a wrong name gets a topic with "
                "a wrong number of partitions; set it to false"
            )
    problems += [
        f"no topic {topic.name}: create it with `copydetect topics`" for topic in wanted if topic.name not in existing
    ]
    for topic in present:
        problems += _find_problems(topic, existing[topic.name], configs[topic.name])
    inputs, states = (existing.get(name) for name in (ENCODED_SEGMENTS, MATCHER_STATE))
    if inputs and states and len(inputs["partitions"]) != len(states["partitions"]):
        problems.append(
            f"{ENCODED_SEGMENTS} has {len(inputs['partitions'])} partitions and {MATCHER_STATE} "
            f"{len(states['partitions'])}: each partition of one belongs to one of the other, so make the numbers equal"
        )
    return problems


def _find_problems(topic: Topic, found: dict[str, Any], config: dict[str, str]) -> Iterator[str]:
    policy, wanted = config.get("cleanup.policy", ""), topic.config.get("cleanup.policy", "delete")
    if set(policy.split(",")) != set(wanted.split(",")):
        yield f"{topic.name} has cleanup.policy={policy}, but needs {wanted}"
    largest = topic.config.get("max.message.bytes")
    if largest and int(config.get("max.message.bytes", 0)) < int(largest):
        yield f"{topic.name} has max.message.bytes={config.get('max.message.bytes')}, but needs {largest}"
    codec = topic.config.get("compression.type", config.get("compression.type"))
    if config.get("compression.type") != codec:
        yield f"{topic.name} has compression.type={config.get('compression.type')}, but should have {codec}"
    replicas = min((len(partition["replica_nodes"]) for partition in found["partitions"]), default=0)
    in_sync = int(config.get("min.insync.replicas", 1))
    if replicas < topic.replication:
        yield f"{topic.name} has {replicas} replicas instead of {topic.replication}"
    if in_sync > replicas:
        yield f"{topic.name} has min.insync.replicas={in_sync} but {replicas} replicas: nothing can be written"
    elif in_sync == replicas > 1:
        yield f"{topic.name} has min.insync.replicas={in_sync} and {replicas} replicas: no broker may be down"
    elif in_sync == 1 < replicas:
        yield f"{topic.name} has min.insync.replicas=1: a write that only one broker has is lost with that broker"
    leaderless = sum(partition["leader_id"] < 0 for partition in found["partitions"])
    if leaderless:
        yield f"{topic.name}: {leaderless} partitions have no leader, is a broker down?"


def count_partitions(connection: KafkaConnection, name: str) -> int:
    """The number of partitions of a topic. Raises UsageError if there is no such topic."""
    with open_admin(connection, f"looking up {name}") as client:
        found = _describe_topics(client, [name])
    if name not in found:
        raise UsageError(f"no topic {name} in Kafka at {connection.brokers}: create it with `copydetect topics`")
    return len(found[name]["partitions"])


def count_brokers(connection: KafkaConnection) -> int:
    """The number of brokers. Raises DependencyDown if none answers."""
    with open_admin(connection, "counting the brokers") as client:
        return len(client.describe_cluster()["brokers"])


@contextmanager
def open_admin(connection: KafkaConnection, doing: str) -> Iterator[Any]:
    """An admin client whose errors are raised as this project's."""
    try:
        client = open_client(KafkaAdminClient, connection.arguments())
        try:
            yield client
        finally:
            client.close()
    except KafkaError as error:
        raise translate(error, doing) from error
    report_up()


def _describe_topics(client: Any, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the brokers report about those of the topics that exist."""
    described: dict[str, dict[str, Any]] = {}
    for topic in client.describe_topics(names):
        kind = kafka_errors.for_code(topic["error_code"])
        if issubclass(kind, kafka_errors.UnknownTopicOrPartitionError):
            continue
        if kind not in (kafka_errors.NoError, kafka_errors.LeaderNotAvailableError):
            raise kind(f"topic {topic['name']}")
        described[topic["name"]] = topic
    return described


def _read_configs(client: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = client.describe_configs(resources, config_filter="all")["topic"]
    return {name: {key: entry["value"] for key, entry in answer[name].items()} for name in names}


def _broker_config(client: Any, broker: int) -> dict[str, str]:
    resource = ConfigResource(ConfigResourceType.BROKER, str(broker))
    answer = client.describe_configs([resource], config_filter="all")["broker"][str(broker)]
    return {key: entry["value"] for key, entry in answer.items()}
