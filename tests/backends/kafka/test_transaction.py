"""The defects of kafka-python's transactions on a real broker, and that the guard is not caught by them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.transaction import Outgoing, Transactions
from services.contracts.errors import Fenced, TransientError
from services.runtime import metrics
from tests.backends.kafka.cases import SHORT, connect, join, make_topic, message, own_name, take
from tests.servers.fixtures import start_or_skip
from tests.servers.kafka_server import KafkaServer
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

# Publishing, committing, closing the broken producer, and the attempt at a new one.
WORST_S = 2 * SHORT.flush_s + SHORT.commit_s + SHORT.close_s + 2 * SHORT.call_s + SHORT.close_s


# So that records are given up early.
HASTY = {"delivery_timeout_ms": 800, "request_timeout_ms": 500}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker to break; every test leaves it running."""
    made = start_or_skip(KafkaServer(tmp_path_factory.mktemp("kafka")))
    yield made
    made.stop()


class Flow:
    """A record on an input topic, and a way to answer it on an output topic in a transaction."""

    def __init__(self, connection: KafkaConnection, producer: Any = KafkaProducer) -> None:
        self.connection = connection
        self.bus = KafkaBus(connection)
        self.input = make_topic(connection, "input")
        self.output = make_topic(connection, "output")
        self.bus.publish([message(self.input, "in")])
        self.consumer = self.bus.consumer(self.input, own_name("group"))
        join(self.consumer)
        (self.record,) = take(self.consumer, 1)
        self.place = TopicPartition(self.input, 0)
        self.name = own_name("matcher")
        self.transactions = Transactions(connection, self.name, producer=producer)

    def answer(self, *values: bytes, transactions: Transactions | None = None) -> None:
        outgoing = [Outgoing(self.output, b"k", value) for value in values or [b"out"]]
        group = self.consumer._client.group_metadata()
        (transactions or self.transactions).commit(outgoing, {self.place: 1}, group)

    def answered(self) -> list[bytes]:
        return [record.message.value for record in self.bus.read([self.output])]

    def committed(self) -> int | None:
        offset: int | None = self.consumer._client.committed(self.place, timeout_ms=10_000)
        return offset

    def close(self) -> None:
        self.transactions.close()
        self.consumer.close()
        self.bus.close()


def outcomes() -> dict[str, float]:
    return {name: metrics.transactions.labels(name)._value.get() for name in ("committed", "failed", "fenced")}


def answer_at_last(flow: Flow, *values: bytes) -> None:
    """As a worker does: again and again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return flow.answer(*values)
        except TransientError:
            assert time.monotonic() < deadline, "the guard does not recover"
            flow.consumer.poll(1, 0.2)


def test_a_transaction_is_whole(kafka: Backend) -> None:
    before = outcomes()
    flow = Flow(connect(kafka.address))
    flow.answer()
    flow.transactions.commit([], {}, None)
    assert (flow.answered(), flow.committed()) == ([b"out"], 1)
    assert outcomes()["committed"] - before["committed"] == 1
    flow.close()


def test_one_bad_record_takes_everything_with_it_and_the_next_transaction_works(kafka: Backend) -> None:
    before = outcomes()
    flow = Flow(connect(kafka.address))
    group = flow.consumer._client.group_metadata()
    good = Outgoing(flow.output, b"k", b"out")
    with pytest.raises(TransientError):
        flow.transactions.commit([good, Outgoing(flow.output, b"k", b"x", partition=9)], {flow.place: 1}, group)
    assert flow.committed() is None
    flow.answer()
    assert (flow.answered(), flow.committed()) == ([b"out"], 1)
    assert outcomes() == before | {"failed": before["failed"] + 1, "committed": before["committed"] + 1}
    flow.close()


def test_a_second_process_of_the_same_name_fences_the_first(kafka: Backend) -> None:
    before = outcomes()
    flow = Flow(connect(kafka.address))
    flow.answer()
    second = Transactions(flow.connection, flow.name)
    second.ready()
    with pytest.raises(Fenced):
        flow.answer()
    flow.answer(transactions=second)  # the first was not made anew, which would have fenced the second
    assert outcomes()["fenced"] - before["fenced"] == 1
    assert flow.answered() == [b"out", b"out"]
    second.close()
    flow.close()


def dying(server: KafkaServer) -> type:
    """A producer whose broker dies, once, after the first record of a transaction, and is back when the second is lost.

    Nothing but the second record's own future tells of it. (A frozen broker still finds the record in its socket.)
    """
    armed = [True]

    class Dying(KafkaProducer):  # type: ignore[misc]  # of an untyped library
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments | HASTY)

        def send(self, topic: str, **record: Any) -> Any:
            if armed and record["value"] == b"second":
                super().flush(5)
                server.kill()
            return super().send(topic, **record)

        def flush(self, timeout: float | None = None) -> None:
            super().flush(timeout)
            if armed:
                armed.clear()
                server.start()

    return Dying


def test_a_lost_record_is_noticed_and_undoes_its_transaction(server: KafkaServer) -> None:
    """Defect A: a record that is given up leaves the transaction as it was, and it can be committed without it."""
    flow = Flow(connect(server.address), producer=dying(server))
    with pytest.raises(TransientError, match="Expiring"):
        flow.answer(b"first", b"second")
    assert (flow.answered(), flow.committed()) == ([], None)
    answer_at_last(flow, b"first", b"second")
    assert (flow.answered(), flow.committed()) == ([b"first", b"second"], 1)
    flow.close()


def test_without_the_guard_the_record_is_lost(server: KafkaServer) -> None:
    """The control of the test before: when it fails, the client was mended and the guard may go."""
    flow = Flow(connect(server.address))
    producer = dying(server)(**flow.connection.producer_arguments(), transactional_id=own_name())
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(flow.output, key=b"k", value=b"first")
    lost = producer.send(flow.output, key=b"k", value=b"second")
    producer.flush(5)
    assert lost.failed()
    group = own_name("group")  # without members: the broker's restart would have cost them their membership
    producer.send_offsets_to_transaction({flow.place: OffsetAndMetadata(1, "", -1)}, group)
    producer.commit_transaction()
    assert flow.answered() == [b"first"]
    reader = flow.bus.consumer(flow.input, group)
    join(reader)
    assert reader.poll(1, 1.0) == []
    reader.close()
    producer.close(timeout=1)
    flow.close()


def test_a_broker_that_is_frozen_for_long_is_not_waited_for(server: KafkaServer) -> None:
    flow = Flow(connect(server.address))
    flow.answer()
    server.pause()
    started = time.monotonic()
    with pytest.raises(TransientError):
        flow.answer()
    assert time.monotonic() - started < WORST_S
    server.resume()
    answer_at_last(flow)
    assert flow.answered() == [b"out", b"out"]
    flow.close()


def test_a_coordinator_that_dies_while_committing_is_not_waited_for(server: KafkaServer) -> None:
    """Defect C: the client's commit never returns, not even when the coordinator is back."""
    armed = [True]

    class DiesCommitting(KafkaProducer):  # type: ignore[misc]  # of an untyped library
        def commit_transaction(self) -> None:
            if armed.pop() if armed else False:
                server.kill()
            super().commit_transaction()

    flow = Flow(connect(server.address), producer=DiesCommitting)
    started = time.monotonic()
    with pytest.raises(TransientError):
        flow.answer()
    assert time.monotonic() - started < WORST_S
    server.start()
    answer_at_last(flow)
    assert (flow.answered(), flow.committed()) == ([b"out"], 1)
    flow.close()
