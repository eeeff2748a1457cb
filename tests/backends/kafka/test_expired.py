"""Records that retention removed before they were read: counted, logged, and passed."""

import pytest
from kafka import KafkaAdminClient, TopicPartition
from structlog.testing import capture_logs

from services.backends.kafka.bus import KafkaBus
from tests.backends.kafka.cases import connect, join, make_topic, message, take, unique_name, values, wait_until
from tests.backends.kafka.state_cases import Place
from tests.metric_values import metric_value
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


def expire(kafka: Backend, topic: str, before: int) -> None:
    """Delete the oldest records, as retention does."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.address)
    admin.delete_records({TopicPartition(topic, 0): before})
    admin.close()


def expired(topic: str) -> float:
    return metric_value("copydetect_expired_records_total", topic=topic)


def test_a_new_group_starts_with_the_oldest_record_and_misses_none(kafka: Backend) -> None:
    connection = connect(kafka.address)
    bus, topic = KafkaBus(connection), make_topic(connection, "fresh")
    bus.publish([message(topic, str(number)) for number in range(10)])
    expire(kafka, topic, 4)
    consumer = bus.open_consumer(topic, unique_name("group"))
    assert values(take(consumer, 6)) == [str(number) for number in range(4, 10)]
    assert expired(topic) == 0
    consumer.close()


@pytest.mark.parametrize("is_running", [True, False])
def test_records_that_expire_behind_a_consumer_are_counted(kafka: Backend, is_running: bool) -> None:
    connection = connect(kafka.address)
    bus, topic, group = KafkaBus(connection), make_topic(connection, "late"), unique_name("group")
    bus.publish([message(topic, str(number)) for number in range(3)])
    consumer = bus.open_consumer(topic, group)
    consumer.commit(take(consumer, 3))
    if is_running:
        consumer.pause()
    else:
        consumer.close()
    bus.publish([message(topic, str(number)) for number in range(3, 10)])
    expire(kafka, topic, 8)
    with capture_logs() as logs:
        if is_running:
            consumer.resume()
        else:
            consumer = bus.open_consumer(topic, group)
        assert values(take(consumer, 2)) == ["8", "9"]
    assert expired(topic) == 5
    [gone] = [one for one in logs if one["log_level"] == "error"]
    assert (gone["topic"], gone["partition"], gone["position"], gone["continued_at"]) == (topic, 0, 3, 8)
    consumer.close()


def test_a_matcher_counts_them_too(kafka: Backend) -> None:
    place = Place(kafka.address)
    place.publish(*range(10))
    consumer = place.add_member("a")
    owned = join(consumer, 2)
    for partition in owned:
        consumer.restore(partition)
    first = take(consumer, 10)
    consumer.commit_all(first, [], {})
    consumer.close()
    place.open.clear()
    place.publish(*range(10))
    lost = sum(record.partition == 0 for record in first)
    expire(kafka, place.input, 2 * lost)
    again = place.add_member("a")
    for partition in join(again, 2):
        again.restore(partition)
    assert len(take(again, 10 - lost)) == 10 - lost
    assert lost > 0
    wait_until(lambda: again.poll(1, 0.1) == [] and expired(place.input) == lost)
    place.close()
