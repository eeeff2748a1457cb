"""What the brokers tell about groups: lag, age and owners, also of groups without a living member."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.group_lag import GroupLagReader
from services.contracts.errors import DependencyDown, UsageError
from services.runtime.group_lag import GroupLag, GroupTopic
from services.runtime.watermark import Watermark
from tests.backends.kafka.cases import SHORT, connect, join, make_topic, message, take, unique_name
from tests.servers.fixtures import StartServer
from tests.servers.kafka_server import KafkaServer
from tests.servers.process import Backend, free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


class Place:
    """A topic of two partitions, a group, and its lag."""

    def __init__(self, address: str) -> None:
        self.connection = connect(address)
        self.bus = KafkaBus(self.connection)
        self.topic = make_topic(self.connection, "input", 2)
        self.group = unique_name("group")
        self.reader = GroupLagReader(self.connection, [GroupTopic(self.topic, self.group)])

    def read(self) -> GroupLag:
        [lag] = self.reader()
        return lag

    def publish(self, count: int) -> None:
        self.bus.publish([message(self.topic, str(number), key=f"k{number}") for number in range(count)])

    def close(self) -> None:
        self.reader.close()
        self.bus.close()


@pytest.fixture
def place(kafka: Backend) -> Iterator[Place]:
    opened = Place(kafka.address)
    yield opened
    opened.close()


def test_a_group_that_never_lived_has_all_records_before_it_and_owns_nothing(place: Place) -> None:
    before_s = time.time()
    assert place.read().lag == 0
    place.publish(10)
    lag = place.read()
    assert (lag.topic, lag.group, lag.lag) == (place.topic, place.group, 10)
    assert lag.unowned_partitions == [0, 1]
    now_s = time.time()
    assert 0 < lag.oldest_age_s(now_s) <= now_s - before_s + 0.001  # timestamps are in milliseconds
    assert lag.oldest_age_s(now_s + 3) > 3


def test_a_living_group_owns_its_partitions_and_only_commits_count(place: Place) -> None:
    place.publish(10)
    consumer = place.bus.open_consumer(place.topic, place.group)
    join(consumer, 2)
    records = take(consumer, 10)
    lag = place.read()
    assert (lag.lag, lag.unowned_partitions) == (10, [])
    consumer.commit([record for record in records if record.partition == 0])
    lag = place.read()
    assert [one.lag for one in lag.partitions] == [0, sum(record.partition for record in records)]
    consumer.commit(records)
    assert (place.read().lag, place.read().oldest_age_s(time.time() + 9)) == (0, 0)
    consumer.close()
    assert place.read().unowned_partitions == [0, 1]


def test_the_age_is_that_of_the_first_record_that_is_not_committed(place: Place) -> None:
    producer = KafkaProducer(**place.connection.producer_arguments())
    for time_ms in (1_000_000, 2_000_000, 3_000_000):
        producer.send(place.topic, key=b"k", value=b"v", partition=0, timestamp_ms=time_ms)
    producer.close()
    assert place.read().oldest_age_s(5000) == 4000
    consumer = place.bus.open_consumer(place.topic, place.group)
    consumer.commit(take(consumer, 1))
    assert place.read().oldest_age_s(5000) == 3000
    consumer.close()


def test_ends_of_transactions_and_aborted_records_are_no_lag(place: Place) -> None:
    producer = KafkaProducer(**place.connection.producer_arguments(), transactional_id=unique_name())
    producer.init_transactions()
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.send(place.topic, key=b"k", value=b"v", partition=0)
        producer.flush(5)
        end()
    consumer = place.bus.open_consumer(place.topic, place.group)
    consumer.commit(take(consumer, 1))
    consumer.close()
    lag = place.read()
    assert (lag.partitions[0].done, lag.partitions[0].end, lag.lag) == (4, 4, 0)

    # What may still be committed is none of them: the watermark has to wait for it.
    producer.begin_transaction()
    producer.send(place.topic, key=b"k", value=b"v", partition=0)
    producer.flush(5)
    assert place.read().partitions[0].lag > 0
    producer.abort_transaction()
    producer.close()


def test_records_that_retention_took_are_no_lag(place: Place, kafka: Backend) -> None:
    place.publish(10)
    admin = KafkaAdminClient(bootstrap_servers=kafka.address)
    ends = {one.partition: one.end for one in place.read().partitions}
    admin.delete_records({TopicPartition(place.topic, 0): ends[0]})
    admin.close()
    assert [one.lag for one in place.read().partitions] == [0, ends[1]]


def test_a_watermark_follows_the_group(place: Place) -> None:
    mark = Watermark(place.topic, place.group)
    place.publish(10)
    published_s = time.time()
    mark.observe(place.read())
    assert not mark.has_passed(published_s)
    consumer = place.bus.open_consumer(place.topic, place.group)
    records = take(consumer, 10)
    mark.observe(place.read())
    assert not mark.has_passed(published_s)
    consumer.commit(records)
    consumer.close()
    mark.observe(place.read())
    assert mark.has_passed(published_s)


def test_a_missing_topic_is_named(kafka: Backend) -> None:
    name = unique_name("missing")
    with pytest.raises(UsageError, match=f"{name}.*copydetect topics"):
        GroupLagReader(connect(kafka.address), [GroupTopic(name, "g")])()


def test_without_a_broker_there_is_no_lag() -> None:
    connection = KafkaConnection(f"127.0.0.1:{free_ports(1)[0]}", timeouts=replace(SHORT, call_s=0.5))
    reader = GroupLagReader(connection, [GroupTopic("t", "g")])
    with pytest.raises(DependencyDown):
        reader()


def test_a_reader_survives_a_restart_of_the_broker(tmp_path, start_server: StartServer) -> None:  # type: ignore[no-untyped-def]
    server = start_server(KafkaServer(tmp_path))
    place = Place(server.address)
    place.publish(10)
    assert place.read().lag == 10
    server.kill()
    with pytest.raises(DependencyDown):
        place.read()
    server.start()
    assert place.read().lag == 10
    place.close()
