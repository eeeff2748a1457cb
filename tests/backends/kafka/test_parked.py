"""Records that the client fetched before a partition was paused come after the pause."""

import pytest
from kafka import KafkaProducer, TopicPartition

from services.backends.kafka.bus import KafkaBus
from tests.backends.kafka.cases import connect, join, make_topic, take, unique_name
from tests.servers.process import Backend

pytestmark = pytest.mark.integration


def test_a_partition_goes_on_after_a_pause_that_others_did_not_have(kafka: Backend) -> None:
    connection = connect(kafka.address)
    topic = make_topic(connection, "input", 2)
    producer = KafkaProducer(**connection.producer_arguments())
    for number in range(6):
        producer.send(topic, key=b"k", value=b"%d" % number, partition=number % 2)
    producer.close()
    consumer = KafkaBus(connection).open_consumer(topic, unique_name("group"))
    join(consumer, 2)
    [first] = take(consumer, 1)
    paused = TopicPartition(topic, first.partition)
    consumer._client.pause(paused)
    others = take(consumer, 3)
    assert {record.partition for record in others} == {1 - first.partition}
    consumer._client.resume(paused)
    rest = take(consumer, 2, patience_s=10)
    assert [record.offset for record in rest] == [1, 2]
    assert {record.partition for record in rest} == {first.partition}
    consumer.close()
