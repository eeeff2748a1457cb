"""Topics on a real broker."""

import re
import threading
import time
from dataclasses import replace

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from services.backends.kafka.admin import count_partitions
from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection, Timeouts
from services.backends.kafka.consumer import KafkaConsumer
from services.backends.kafka.topic_problems import find_problems
from services.backends.kafka.topics import Topic, create, plan
from services.backends.kafka.transaction import Transactions
from services.contracts.errors import DependencyDown, UsageError
from services.contracts.generations import generation_of
from services.contracts.topics import ALERTER_STATE, ASSET_VERDICTS, MATCH_EVIDENCE, VIDEO_SEGMENTS
from tests.backends.kafka.cases import SHORT, connect, make_topic, message, unique_name
from tests.servers.fixtures import StartServer
from tests.servers.kafka_server import KafkaServer
from tests.servers.process import Backend, free_ports

pytestmark = pytest.mark.integration

UNHURRIED = Timeouts()  # a busy broker takes seconds to create a topic


def test_topics_are_created_correctly_and_once(kafka: Backend) -> None:
    connection = connect(kafka.address, UNHURRIED)
    topics = [Topic(unique_name(topic.name), topic.partitions, 1, topic.config) for topic in plan(2, 1)]
    assert find_problems(connection, topics) == [
        f"no topic {topic.name}: create it with `copydetect topics`" for topic in topics
    ]
    assert create(connection, topics) == [topic.name for topic in topics]
    assert create(connection, topics) == []
    assert find_problems(connection, topics) == []
    assert count_partitions(connection, topics[0].name) == 2


def test_wrong_topics_are_reported(tmp_path, start_server: StartServer) -> None:  # type: ignore[no-untyped-def]
    server = start_server(KafkaServer(tmp_path))
    connection = connect(server.address, UNHURRIED)
    create(connection, [Topic(name, 3, 1) for name in (VIDEO_SEGMENTS, MATCH_EVIDENCE, ASSET_VERDICTS)])
    create(connection, [Topic(ALERTER_STATE, 2, 1)])
    problems = find_problems(connection, plan(3, 1))
    told = "\n".join(problems)
    assert f"{MATCH_EVIDENCE} has 3 partitions and {ALERTER_STATE} 2" in told
    assert f"{ALERTER_STATE} has cleanup.policy=delete, but needs compact" in told
    assert f"{ALERTER_STATE} has max.message.bytes=" in told
    assert f"{MATCH_EVIDENCE} has compression.type=producer, but should have gzip" in told
    assert "no topic encoded-segments:" in told
    [clock] = [problem for problem in problems if "timestamp" in problem]
    assert clock.startswith(f"{VIDEO_SEGMENTS} has message.timestamp.type=CreateTime, but needs LogAppendTime: by the")

    commands = [problem.partition("kafka-configs.sh ")[2] for problem in problems if "kafka-configs.sh" in problem]
    assert len(commands) > 5
    change_settings(server.address, commands)
    assert "kafka-configs.sh" not in "\n".join(find_problems(connection, plan(3, 1)))
    with pytest.raises(UsageError, match="at most as many as there are brokers"):
        create(connection, [Topic("three", 1, 3)])


def test_the_time_of_an_upload_is_the_brokers_whatever_its_uploader_says(kafka: Backend) -> None:
    connection = connect(kafka.address)
    config = next(topic.config for topic in plan(1, 1) if topic.name == VIDEO_SEGMENTS)
    topic = unique_name(VIDEO_SEGMENTS)
    create(connection, [Topic(topic, 1, 1, config)])
    before_ms = time.time_ns() // 10**6
    producer = KafkaProducer(**connection.producer_arguments(), linger_ms=200)
    for claim in (2**41, 1, 1000):  # of the year 2039, and of 1970
        producer.send(topic, key=b"k", value=b"v", timestamp_ms=claim)
    producer.close()
    records = list(KafkaBus(connection).read([topic]))
    assert len(records) == 3
    assert all(before_ms <= (record.timestamp_ms or 0) <= time.time_ns() // 10**6 for record in records)
    generations = [generation_of(record) for record in records]
    assert generations == sorted(set(generations))


def change_settings(address: str, commands: list[str]) -> None:
    """What these commands of kafka-configs.sh do; starting Java for each of them takes seconds."""
    wanted: dict[str, dict[str, str]] = {}
    for command in commands:
        found = re.fullmatch(
            rf"--bootstrap-server {address} --alter --entity-type topics --entity-name (\S+) --add-config (\S+)=(\S+)",
            command,
        )
        assert found, command
        topic, setting, value = found.groups()
        assert ("," in value) == value.startswith("["), command
        wanted.setdefault(topic, {})[setting] = value.strip("[]")
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs) for topic, configs in wanted.items()])
    admin.close()


def test_missing_and_mismatched_topics_are_usage_errors(kafka: Backend) -> None:
    connection = connect(kafka.address)
    bus = KafkaBus(connection, "me")
    one, two = make_topic(connection, "one", 1), make_topic(connection, "two", 2)
    with pytest.raises(UsageError, match="copydetect topics"):
        bus.publish([message(unique_name("missing"), "x")])
    with pytest.raises(UsageError, match="copydetect topics"):
        bus.open_consumer(unique_name("missing"), "g")
    with pytest.raises(UsageError, match=r"1 partitions and .* 2"):
        bus.open_state_consumer(one, "g", two)
    with pytest.raises(UsageError, match="COPYDETECT_INSTANCE"):
        KafkaBus(connection).open_state_consumer(one, "g", one)


def test_a_missing_broker_is_down_and_leaks_no_thread() -> None:
    timeouts = replace(SHORT, call_s=0.5)
    connection = KafkaConnection(f"127.0.0.1:{free_ports(1)[0]}", timeouts=timeouts)
    before = threading.active_count()
    with pytest.raises(DependencyDown):
        KafkaBus(connection).publish([message("t", "x")])
    with pytest.raises(DependencyDown):
        find_problems(connection)
    with pytest.raises(DependencyDown):
        KafkaConsumer(connection, "t", "g")
    with pytest.raises(DependencyDown):
        Transactions(connection, "name").prepare()
    assert threading.active_count() <= before
