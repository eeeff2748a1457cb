"""The topics there should be, and what is wrong with those there are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from services.backends.kafka.connection import MAX_MESSAGE_BYTES, KafkaConnection, made
from services.backends.kafka.errors import KafkaError, note_up, translated
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
PARTITIONS: Final = 12  # what many numbers of workers divide; keys move when it changes, so it is generous at first


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    partitions: int
    replication: int
    config: dict[str, str] = field(default_factory=dict)


def plan(partitions: int = PARTITIONS, replication: int = REPLICATION) -> list[Topic]:
    """Every topic of the services.

    Work is kept for a week, so that an outage over a weekend loses nothing; results and dead letters for a month.
    """
    if partitions < 1 or replication < 1:
        raise UsageError(f"topics need at least 1 partition and 1 replica, not {partitions} and {replication}")
    # With all but one replica in step a write is safe, and one broker may be down.
    safe = {"min.insync.replicas": str(max(1, replication - 1))}
    week, month = ({"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)} for days in (7, 30))
    # What is written about a record must find room wherever the record itself did.
    large = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    state = large | {
        # Not "delete": a state is needed for as long as the matcher wants it, and it writes a tombstone when it does
        # not; a retention here would take the states of uploads that are still open, and their alerts begin anew.
        "cleanup.policy": "compact",
        # A restart reads the whole topic. Compaction leaves the newest segment alone, so segments are small, and it
        # starts before half of the topic is old, as it would by default.
        "segment.bytes": str(64 * 2**20),
        "segment.ms": str(DAY_MS // 4),
        "min.cleanable.dirty.ratio": "0.2",
        # Longer than any restore takes: a reader that saw a state must see its tombstone too.
        "delete.retention.ms": str(DAY_MS),
    }
    return [
        Topic(VIDEO_SEGMENTS, partitions, replication, safe | week),
        Topic(ENCODED_SEGMENTS, partitions, replication, safe | week),
        Topic(MATCHER_STATE, partitions, replication, safe | state),
        Topic(DUPLICATE_ALERTS, partitions, replication, safe | month | large),
        Topic(ASSET_VERDICTS, partitions, replication, safe | month | large),
        Topic(VIDEO_SEGMENTS + DEAD_LETTER_SUFFIX, 1, replication, safe | month | large),
        Topic(ENCODED_SEGMENTS + DEAD_LETTER_SUFFIX, 1, replication, safe | month | large),
    ]


def create(connection: KafkaConnection, topics: Sequence[Topic] | None = None) -> list[str]:
    """The names of the topics that were made, those that are there are left as they are. Raises UsageError."""
    made = []
    with admin(connection, "creating topics") as client:
        there = _described(client, [topic.name for topic in topics or plan()])
        for topic in topics or plan():
            if topic.name in there:
                continue
            wanted = {
                "num_partitions": topic.partitions,
                "replication_factor": topic.replication,
                "configs": topic.config,
            }
            try:
                client.create_topics({topic.name: wanted}, wait_for_metadata=True)
            except kafka_errors.TopicAlreadyExistsError:
                continue  # another process was quicker
            except (kafka_errors.InvalidReplicationFactorError, kafka_errors.PolicyViolationError) as error:
                raise UsageError(
                    f"cannot create {topic.name} with {topic.replication} replicas: {error}; ask for as many as "
                    "there are brokers, or fewer"
                ) from error
            made.append(topic.name)
    return made


def check(connection: KafkaConnection, topics: Sequence[Topic] | None = None) -> list[str]:
    """What is wrong with the topics, a sentence each."""
    wanted = list(topics or plan())
    problems = []
    with admin(connection, "looking at topics") as client:
        there = _described(client, [topic.name for topic in wanted])
        present = [topic for topic in wanted if topic.name in there]
        configs = _configs(client, [topic.name for topic in present])
        brokers = [broker["broker_id"] for broker in client.describe_cluster()["brokers"]]
        if brokers and _broker_config(client, brokers[0]).get("auto.create.topics.enable") == "true":
            problems.append(
                "the brokers create topics that nobody made (auto.create.topics.enable): a wrong name gets a topic "
                "with a wrong number of partitions; set it to false"
            )
    problems += [
        f"no topic {topic.name}: create it with `copydetect topics`" for topic in wanted if topic.name not in there
    ]
    for topic in present:
        problems += _problems_of(topic, there[topic.name], configs[topic.name])
    inputs, states = (there.get(name) for name in (ENCODED_SEGMENTS, MATCHER_STATE))
    if inputs and states and len(inputs["partitions"]) != len(states["partitions"]):
        problems.append(
            f"{ENCODED_SEGMENTS} has {len(inputs['partitions'])} partitions and {MATCHER_STATE} "
            f"{len(states['partitions'])}: a partition of one belongs to that of the other, make them equal"
        )
    return problems


def _problems_of(topic: Topic, found: dict[str, Any], config: dict[str, str]) -> Iterator[str]:
    policy, wanted = config.get("cleanup.policy", ""), topic.config.get("cleanup.policy", "delete")
    if set(policy.split(",")) != set(wanted.split(",")):
        yield f"{topic.name} has cleanup.policy={policy}, and needs {wanted}"
    largest = topic.config.get("max.message.bytes")
    if largest and int(config.get("max.message.bytes", 0)) < int(largest):
        yield f"{topic.name} has max.message.bytes={config.get('max.message.bytes')}, and needs {largest}"
    replicas = min((len(partition["replica_nodes"]) for partition in found["partitions"]), default=0)
    in_step = int(config.get("min.insync.replicas", 1))
    if replicas < topic.replication:
        yield f"{topic.name} has {replicas} replicas instead of {topic.replication}"
    if in_step > replicas:
        yield f"{topic.name} has min.insync.replicas={in_step} and {replicas} replicas: nothing can be written"
    elif in_step == replicas > 1:
        yield f"{topic.name} has min.insync.replicas={in_step} of {replicas}: no broker may be down"
    elif in_step == 1 < replicas:
        yield f"{topic.name} has min.insync.replicas=1: what one broker alone has written can be lost with it"
    leaderless = sum(partition["leader_id"] < 0 for partition in found["partitions"])
    if leaderless:
        yield f"{topic.name}: {leaderless} partitions have no leader, is a broker down?"


def partition_count(connection: KafkaConnection, name: str) -> int:
    """How many partitions a topic has. Raises UsageError when there is none of this name."""
    with admin(connection, f"looking for {name}") as client:
        found = _described(client, [name])
    if name not in found:
        raise UsageError(f"no topic {name} in Kafka at {connection.brokers}: create it with `copydetect topics`")
    return len(found[name]["partitions"])


def broker_count(connection: KafkaConnection) -> int:
    """How many brokers there are. Raises DependencyDown when none answers."""
    with admin(connection, "looking at the brokers") as client:
        return len(client.describe_cluster()["brokers"])


@contextmanager
def admin(connection: KafkaConnection, doing: str) -> Iterator[Any]:
    """An admin client; its errors leave as this project's."""
    try:
        client = made(KafkaAdminClient, connection.arguments())
        try:
            yield client
        finally:
            client.close()
    except KafkaError as error:
        raise translated(error, doing) from error
    note_up(True)


def _described(client: Any, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the brokers say of those topics that are there."""
    described: dict[str, dict[str, Any]] = {}
    for topic in client.describe_topics(names):
        kind = kafka_errors.for_code(topic["error_code"])
        if issubclass(kind, kafka_errors.UnknownTopicOrPartitionError):
            continue
        if kind not in (kafka_errors.NoError, kafka_errors.LeaderNotAvailableError):
            raise kind(f"topic {topic['name']}")
        described[topic["name"]] = topic
    return described


def _configs(client: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = client.describe_configs(resources, config_filter="all")["topic"]
    return {name: {key: entry["value"] for key, entry in answer[name].items()} for name in names}


def _broker_config(client: Any, broker: int) -> dict[str, str]:
    resource = ConfigResource(ConfigResourceType.BROKER, str(broker))
    answer = client.describe_configs([resource], config_filter="all")["broker"][str(broker)]
    return {key: entry["value"] for key, entry in answer.items()}
