"""The times of records never go back within a partition, though a clock does: later uploads stay later."""

import pytest
from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.rising_times import RisingTimes
from services.contracts.generations import generation_of
from services.contracts.ports import Message, Record
from tests.backends.kafka.cases import connect, make_topic, take, unique_name
from tests.servers.process import Backend

NOON_MS = 1_700_000_000_000


class FakeClient:
    """Holds what was committed of partition 0; `is_down`: answers no question."""

    def __init__(self, metadata: str | None = None) -> None:
        self.metadata = metadata
        self.is_down = False
        self.sought: list[int] = []

    def committed(self, _place: object, *, metadata: bool, timeout_ms: int) -> OffsetAndMetadata | None:
        assert metadata
        assert timeout_ms > 0
        if self.is_down:
            raise kafka_errors.KafkaTimeoutError
        return None if self.metadata is None else OffsetAndMetadata(7, self.metadata, -1)

    def seek(self, _place: object, offset: int) -> None:
        self.sought.append(offset)


def record(offset: int, timestamp_ms: int | None) -> Record:
    return Record(Message("uploads", "a", b""), 0, offset, timestamp_ms=timestamp_ms)


def raise_times(client: FakeClient, *times_ms: int | None) -> list[int | None]:
    times = RisingTimes(client, "uploads", 1)
    records = [record(offset, one) for offset, one in enumerate(times_ms)]
    return [one.timestamp_ms for one in times.raise_times(records, {0})]


def test_a_time_is_at_least_that_of_the_record_before() -> None:
    assert raise_times(FakeClient(), 10, 8, 12, None, 11) == [10, 10, 12, None, 12]


def test_it_is_at_least_the_committed_time() -> None:
    assert raise_times(FakeClient("20"), 10, 21) == [20, 21]


@pytest.mark.parametrize("metadata", ["", "moved by hand", "-5"])
def test_what_others_commit_is_no_time(metadata: str) -> None:
    assert raise_times(FakeClient(metadata), 10) == [10]


def test_records_come_again_if_the_committed_time_cannot_be_read() -> None:
    client = FakeClient("20")
    client.is_down = True
    times = RisingTimes(client, "uploads", 1)
    assert times.raise_times([record(7, 10), record(8, 11)], {0}) == []
    assert client.sought == [7]
    client.is_down = False
    assert [one.timestamp_ms for one in times.raise_times([record(7, 10)], {0})] == [20]


@pytest.mark.integration
@pytest.mark.timeout(90)
def test_times_rise_from_one_consumer_of_a_group_to_the_next(kafka: Backend) -> None:
    connection = connect(kafka.address)
    topic, group = make_topic(connection, "clock"), unique_name("group")
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    for number, time_ms in enumerate([NOON_MS, NOON_MS - 5000, NOON_MS - 4000]):
        producer.send(topic, str(number).encode(), partition=0, timestamp_ms=time_ms).get(10)
    producer.close()
    bus = KafkaBus(connection)
    consumer = bus.open_consumer(topic, group)
    first, second, third = take(consumer, 3)
    consumer.commit([first])
    consumer.close()
    consumer = bus.open_consumer(topic, group)
    again = take(consumer, 2)
    consumer.close()
    assert [one.timestamp_ms for one in (first, second, third, *again)] == [NOON_MS] * 5
    assert generation_of(first) < generation_of(again[0]) < generation_of(again[1])
    assert list(map(generation_of, again)) == [generation_of(second), generation_of(third)]
