"""An admin client, and what it reports about topics and brokers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from services.backends.kafka.connection import KafkaConnection, open_client
from services.backends.kafka.errors import KafkaError, report_up, translate
from services.contracts.errors import UsageError


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


def count_partitions(connection: KafkaConnection, name: str) -> int:
    """The number of partitions of a topic. Raises UsageError if there is no such topic."""
    with open_admin(connection, f"looking up {name}") as client:
        found = describe_topics(client, [name])
    if name not in found:
        raise UsageError(f"no topic {name} in Kafka at {connection.brokers}: create it with `copydetect topics`")
    return len(found[name]["partitions"])


def count_brokers(connection: KafkaConnection) -> int:
    """The number of brokers. Raises DependencyDown if none answers."""
    with open_admin(connection, "counting the brokers") as client:
        return len(client.describe_cluster()["brokers"])


def describe_topics(client: Any, names: Sequence[str]) -> dict[str, dict[str, Any]]:
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


def read_topic_configs(client: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = client.describe_configs(resources, config_filter="all")["topic"]
    return {name: {key: entry["value"] for key, entry in answer[name].items()} for name in names}


def read_broker_config(client: Any, broker: int) -> dict[str, str]:
    resource = ConfigResource(ConfigResourceType.BROKER, str(broker))
    answer = client.describe_configs([resource], config_filter="all")["broker"][str(broker)]
    return {key: entry["value"] for key, entry in answer.items()}
