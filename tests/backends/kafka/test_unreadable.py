"""Records that other clients write: in every codec, and such as no consumer of this library can read."""

import time
from collections.abc import Sequence

import pytest
from confluent_kafka import Producer
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import CorruptRecordError

from services.backends.kafka import consumer as consumer_module
from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.topics import Topic, create
from services.contracts.envelope import read_event, to_dead_letter
from services.contracts.errors import InvalidMessage
from services.contracts.ports import Record
from tests.backends.kafka.cases import connect, join, make_topic, take, unique_name
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class NotUtf8(str):
    """A header name whose bytes are not UTF-8, as `kcat -H $'bad\\xff=1'` sends it."""

    def encode(self, *_: object) -> bytes:
        return b"bad\xff"


def publish_compressed(address: str, topic: str, codec: str, values: Sequence[str]) -> None:
    """Publish a batch by librdkafka."""
    producer = Producer({"bootstrap.servers": address, "compression.type": codec, "linger.ms": 100})
    for value in values:
        producer.produce(topic, value.encode() * 100, key=b"k")
    assert producer.flush(10) == 0


def publish_with_broken_header(address: str, topic: str, values: Sequence[str]) -> None:
    """Publish a batch in whose last record a header has a name that is not UTF-8."""
    producer = KafkaProducer(bootstrap_servers=address, linger_ms=100)
    *first, last = [value.encode() for value in values]
    for value in first:
        producer.send(topic, value)
    producer.send(topic, last, headers=[(NotUtf8(), b"1")])
    producer.close()


def read_all(bus: KafkaBus, topic: str, group: str, count: int) -> list[Record]:
    """Read and commit records as one consumer."""
    consumer = bus.open_consumer(topic, group)
    try:
        join(consumer)
        records = take(consumer, count)
        consumer.commit(records)
        return records
    finally:
        consumer.close()


def test_records_in_every_codec_are_read(kafka: Backend) -> None:
    connection = connect(kafka.address)
    bus, topic = KafkaBus(connection), make_topic(connection, "codecs")
    for codec in CODECS:
        publish_compressed(kafka.address, topic, codec, [codec] * 2)
    records = read_all(bus, topic, unique_name("group"), 2 * len(CODECS))
    assert [record.message.value.decode() for record in records] == [codec * 100 for codec in CODECS for _ in range(2)]
    assert all(record.fault is None for record in records)


def test_header_names_that_are_not_utf8_cost_no_record(kafka: Backend) -> None:
    connection = connect(kafka.address)
    bus, topic = KafkaBus(connection), make_topic(connection, "names")
    publish_with_broken_header(kafka.address, topic, ["a", "b", "c"])
    publish_compressed(kafka.address, topic, "none", ["behind"])
    records = read_all(bus, topic, unique_name("group"), 4)
    assert [record.message.value for record in records] == [b"a", b"b", b"c", b"behind" * 100]
    assert records[2].message.headers == {"bad\ufffd": "1"}
    assert all(record.fault is None for record in records)


def test_the_stream_goes_on_behind_an_unreadable_batch(kafka: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect(kafka.address)
    bus, topic, group = KafkaBus(connection), make_topic(connection, "unreadable"), unique_name("group")
    monkeypatch.setattr("kafka.codec.has_zstd", lambda: False)
    publish_compressed(kafka.address, topic, "none", ["before"])
    publish_compressed(kafka.address, topic, "zstd", ["a", "b", "c"])
    publish_compressed(kafka.address, topic, "none", ["behind"])

    records = read_all(bus, topic, group, 3)
    assert [record.offset for record in records] == [0, 3, 4]
    before, unreadable, behind = records
    assert (before.message.value, behind.message.value) == (b"before" * 100, b"behind" * 100)
    with pytest.raises(InvalidMessage, match=r"offsets 1 to 3 cannot be read") as raised:
        read_event(unreadable)
    assert "zstd" in raised.value.reason
    assert unreadable.message.key == ""
    assert unreadable.message.value

    publish_compressed(kafka.address, topic, "none", ["later"])
    assert [record.offset for record in read_all(bus, topic, group, 1)] == [5]
    assert [(record.offset, record.fault is not None) for record in bus.read([topic])] == [
        (0, False),
        (3, True),
        (4, False),
        (5, False),
    ]
    assert [record.offset for record in bus.read([topic], starts={0: 2})] == [3, 4, 5]
    assert [record.offset for record in bus.read([topic], starts={0: 6})] == []
    assert [record.offset for record in bus.read([topic], starts={1: 0})] == []
    assert all(abs((record.timestamp_ms or 0) / 1000 - time.time()) < 60 for record in bus.read([topic]))


def test_an_unreadable_batch_at_the_end_is_passed_once(kafka: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect(kafka.address)
    bus, topic, group = KafkaBus(connection), make_topic(connection, "end"), unique_name("group")
    monkeypatch.setattr("kafka.codec.has_zstd", lambda: False)
    publish_compressed(kafka.address, topic, "zstd", ["a"])
    [record] = read_all(bus, topic, group, 1)
    assert (record.offset, record.fault is None) == (0, False)
    consumer = bus.open_consumer(topic, group)
    join(consumer)
    assert consumer.poll(10, 1.0) == []
    assert consumer.lag() == {0: 0}
    consumer.close()


@pytest.mark.parametrize("key", [None, b"\xff\x00\x01"])
@pytest.mark.parametrize("value", [None, b"\xff no JSON"])
def test_a_dead_letter_is_byte_for_byte_what_came(kafka: Backend, key: bytes | None, value: bytes | None) -> None:
    connection = connect(kafka.address)
    bus, topic = KafkaBus(connection), make_topic(connection, "odd")
    create(connection, [Topic(topic + ".dlq", 1, 1)])
    headers: list[tuple[str, str | bytes | None]] = [
        ("same", b"one"),
        ("same", b"\xfe"),
        ("none", None),
        ("dlq_reason", b"of an earlier time"),
    ]
    producer = Producer({"bootstrap.servers": kafka.address})
    producer.produce(topic, value, key=key, headers=headers)
    producer.flush(10)
    [record] = bus.read([topic])
    with pytest.raises(InvalidMessage) as raised:
        read_event(record)
    bus.publish([to_dead_letter(record, raised.value)])

    reader = KafkaConsumer(topic + ".dlq", bootstrap_servers=kafka.address, auto_offset_reset="earliest")
    dead = next(reader)
    reader.close()
    # The client publishes no header without a value, and no record without both key and value.
    assert (dead.key, dead.value) == (key, value if key or value else b"")
    assert list(dead.headers[: len(headers)]) == [(name, held or b"") for name, held in headers]
    assert dict(dead.headers)["dlq_reason"] == raised.value.reason.encode()
    assert next(iter(bus.read([topic + ".dlq"]))).message.headers["dlq_reason"] == raised.value.reason


def test_the_client_alone_stops_at_such_a_batch(kafka: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a newer client passes it by itself, `pass_unreadable` can go."""
    monkeypatch.setattr(consumer_module, "pass_unreadable", lambda *_: None)
    connection = connect(kafka.address)
    topic = make_topic(connection, "stops")
    publish_with_broken_header(kafka.address, topic, ["a"])
    consumer = KafkaBus(connection).open_consumer(topic, unique_name("group"))
    join(consumer)
    with pytest.raises(CorruptRecordError):
        consumer._client.poll(5000)
