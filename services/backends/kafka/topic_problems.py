"""What is wrong with the topics in a cluster, in words, and the command that changes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.backends.kafka.admin import describe_topics, open_admin, read_broker_config, read_topic_configs
from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.topics import Topic, plan
from services.contracts.topics import ALERTER_STATE, MATCH_EVIDENCE

# Topics that were made before the broker's clock was asked for have the default.
_CLIENTS_CLOCK: Final = "CreateTime"


def find_problems(connection: KafkaConnection, topics: Sequence[Topic] | None = None) -> list[str]:
    """What is wrong with the topics, one sentence per problem; a wrong setting with the command that changes it."""
    wanted = list(topics or plan())
    problems = []
    with open_admin(connection, "checking the topics") as client:
        existing = describe_topics(client, [topic.name for topic in wanted])
        present = [topic for topic in wanted if topic.name in existing]
        configs = read_topic_configs(client, [topic.name for topic in present])
        brokers = [broker["broker_id"] for broker in client.describe_cluster()["brokers"]]
        if brokers and read_broker_config(client, brokers[0]).get("auto.create.topics.enable") == "true":
            problems.append(
                "the brokers create topics by themselves (auto.create.topics.enable): a wrong name gets a topic with "
                "a wrong number of partitions; set it to false"
            )
    problems += [
        f"no topic {topic.name}: create it with `copydetect topics`" for topic in wanted if topic.name not in existing
    ]
    for topic in present:
        config = configs[topic.name]
        for setting, value, words in _find_wrong_settings(topic, config):
            command = _make_command(connection, topic, setting, value)
            problems.append(f"{topic.name} has {setting}={config.get(setting)}, {words}: {command}")
        problems += _find_wrong_replicas(connection, topic, existing[topic.name], config)
    inputs, states = (existing.get(name) for name in (MATCH_EVIDENCE, ALERTER_STATE))
    if inputs and states and len(inputs["partitions"]) != len(states["partitions"]):
        problems.append(
            f"{MATCH_EVIDENCE} has {len(inputs['partitions'])} partitions and {ALERTER_STATE} "
            f"{len(states['partitions'])}: each partition of one belongs to one of the other, so make the numbers equal"
        )
    return problems


def _make_command(connection: KafkaConnection, topic: Topic, setting: str, value: str) -> str:
    # kafka-configs takes a list in brackets only.
    listed = f"[{value}]" if "," in value else value
    return (
        f"kafka-configs.sh --bootstrap-server {connection.brokers} --alter --entity-type topics "
        f"--entity-name {topic.name} --add-config {setting}={listed}"
    )


def _find_wrong_settings(topic: Topic, config: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Settings of the topic that are not as planned: name, value to set, and what is wrong with the one it has."""
    policy, wanted = config.get("cleanup.policy", ""), topic.config.get("cleanup.policy", "delete")
    if set(policy.split(",")) != set(wanted.split(",")):
        yield "cleanup.policy", wanted, f"but needs {wanted}"
    largest = topic.config.get("max.message.bytes")
    if largest and int(config.get("max.message.bytes", 0)) < int(largest):
        yield "max.message.bytes", largest, f"but needs {largest}"
    codec = topic.config.get("compression.type")
    if codec and config.get("compression.type") != codec:
        yield "compression.type", codec, f"but should have {codec}, which every client can read"
    clock = topic.config.get("message.timestamp.type")
    if clock and config.get("message.timestamp.type", _CLIENTS_CLOCK) != clock:
        yield (
            "message.timestamp.type",
            clock,
            f"but needs {clock}: by the clocks of uploaders, what replaced an upload could count as older than it",
        )


def _find_wrong_replicas(
    connection: KafkaConnection, topic: Topic, found: Mapping[str, Any], config: Mapping[str, str]
) -> Iterator[str]:
    replicas = min((len(partition["replica_nodes"]) for partition in found["partitions"]), default=0)
    in_sync = int(config.get("min.insync.replicas", 1))
    # With all but one in sync a broker may be down; of two replicas that is one, and nothing to change.
    safe = max(1, replicas - 1)
    fix = f": {_make_command(connection, topic, 'min.insync.replicas', str(safe))}" if safe != in_sync else ""
    if replicas < topic.replication:
        yield f"{topic.name} has {replicas} replicas instead of {topic.replication}"
    if in_sync > replicas:
        yield f"{topic.name} has min.insync.replicas={in_sync} but {replicas} replicas, nothing can be written{fix}"
    elif in_sync == replicas > 1:
        yield f"{topic.name} has min.insync.replicas={in_sync} and {replicas} replicas, no broker may be down{fix}"
    elif in_sync == 1 < replicas:
        yield (
            f"{topic.name} has min.insync.replicas=1, a write that only one broker has is lost with that broker{fix}"
        )
    leaderless = sum(partition["leader_id"] < 0 for partition in found["partitions"])
    if leaderless:
        yield f"{topic.name}: {leaderless} partitions have no leader, is a broker down?"
