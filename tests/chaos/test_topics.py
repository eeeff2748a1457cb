"""What the checker reads off a real broker: committed records, what a group has not read, and open transactions."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.backends.kafka.cases import connect, make_topic, unique_name
from tests.chaos.observed import OpenTransaction, Unread
from tests.chaos.topics import TopicReader, hash_like_java
from tests.servers.process import Backend

pytestmark = pytest.mark.integration


@pytest.fixture
def topics(kafka: Backend) -> TopicReader:
    return TopicReader(kafka.address)


@pytest.fixture
def topic(kafka: Backend) -> str:
    return make_topic(connect(kafka.address), "chaos")


@pytest.fixture
def producer(kafka: Backend) -> Producer:
    """A producer with a transaction that has begun."""
    begun = Producer({"bootstrap.servers": kafka.address, "transactional.id": unique_name()})
    begun.init_transactions(20)
    begun.begin_transaction()
    return begun


def publish(producer: Producer, topic: str, *values: str) -> None:
    for value in values:
        producer.produce(topic, value.encode(), partition=0)
    producer.flush(20)


def read(topics: TopicReader, topic: str) -> list[str]:
    return [message.value().decode() for message in topics.read(topic)]


def test_committed_records_are_read_and_others_are_not(topics: TopicReader, topic: str, producer: Producer) -> None:
    assert read(topics, topic) == []
    publish(producer, topic, "a", "b")
    producer.commit_transaction(20)
    producer.begin_transaction()
    publish(producer, topic, "c")
    producer.abort_transaction(20)
    assert read(topics, topic) == ["a", "b"]
    assert topic in topics.list_topics()


def test_a_transaction_that_does_not_end_is_found(topics: TopicReader, topic: str, producer: Producer) -> None:
    publish(producer, topic, "a")
    producer.commit_transaction(20)
    assert topics.find_open_transactions([topic]) == []
    producer.begin_transaction()
    publish(producer, topic, "b", "c")
    # After a record and the mark of its commit.
    assert topics.find_open_transactions([topic]) == [OpenTransaction(topic, 0, 2, 4)]
    assert topics.find_ends([topic]) == {(topic, 0): 4}
    producer.abort_transaction(20)
    assert topics.find_open_transactions([topic]) == []


def test_marks_of_transactions_are_not_left_to_read(
    topics: TopicReader, topic: str, producer: Producer, kafka: Backend
) -> None:
    group = unique_name()
    publish(producer, topic, "a", "b")
    producer.commit_transaction(20)
    assert topics.find_unread(group, topic) == [Unread(group, topic, 0, 2)]
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": group})
    for offset, left in ((1, [Unread(group, topic, 0, 1)]), (2, [])):
        consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        assert topics.find_unread(group, topic) == left
    consumer.close()
    assert topics.find_coordinator(group) == 1


@pytest.mark.parametrize(("text", "value"), [("", 0), ("a", 97), ("alerter", 917721335), ("polygenelubricants", 0)])
def test_groups_are_hashed_as_by_kafka(text: str, value: int) -> None:
    assert hash_like_java(text) == value
