"""Topics on a real broker."""

import threading
from dataclasses import replace

import pytest

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection, Timeouts
from services.backends.kafka.consumer import KafkaConsumer
from services.backends.kafka.topics import Topic, check, count_partitions, create, plan
from services.backends.kafka.transaction import Transactions
from services.contracts.errors import DependencyDown, UsageError
from services.contracts.topics import ENCODED_SEGMENTS, MATCHER_STATE
from tests.backends.kafka.cases import SHORT, connect, make_topic, message, unique_name
from tests.servers.fixtures import StartServer
from tests.servers.kafka_server import KafkaServer
from tests.servers.process import Backend, free_ports

pytestmark = pytest.mark.integration

UNHURRIED = Timeouts()  # a busy broker takes seconds to create a topic


def test_topics_are_created_correctly_and_once(kafka: Backend) -> None:
    connection = connect(kafka.address, UNHURRIED)
    topics = [Topic(unique_name(topic.name), topic.partitions, 1, topic.config) for topic in plan(2, 1)]
    assert check(connection, topics) == [
        f"no topic {topic.name}: create it with `copydetect topics`" for topic in topics
    ]
    assert create(connection, topics) == [topic.name for topic in topics]
    assert create(connection, topics) == []
    assert check(connection, topics) == []
    assert count_partitions(connection, topics[0].name) == 2


def test_wrong_topics_are_reported(tmp_path, start_server: StartServer) -> None:  # type: ignore[no-untyped-def]
    server = start_server(KafkaServer(tmp_path))
    connection = connect(server.address, UNHURRIED)
    create(connection, [Topic(ENCODED_SEGMENTS, 3, 1), Topic(MATCHER_STATE, 2, 1)])
    problems = "\n".join(check(connection, plan(3, 1)))
    assert f"{ENCODED_SEGMENTS} has 3 partitions and {MATCHER_STATE} 2" in problems
    assert f"{MATCHER_STATE} has cleanup.policy=delete, but needs compact" in problems
    assert f"{MATCHER_STATE} has max.message.bytes=" in problems
    assert f"{ENCODED_SEGMENTS} has compression.type=producer, but should have gzip" in problems
    assert "no topic video-segments:" in problems
    with pytest.raises(UsageError, match="at most as many as there are brokers"):
        create(connection, [Topic("three", 1, 3)])


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
        check(connection)
    with pytest.raises(DependencyDown):
        KafkaConsumer(connection, "t", "g")
    with pytest.raises(DependencyDown):
        Transactions(connection, "name").prepare()
    assert threading.active_count() <= before
