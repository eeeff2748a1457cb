"""The defects of kafka-python's transactions on a real broker, and that `Transactions` avoids them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.transaction import Outgoing, Transactions
from services.contracts.errors import Fenced, TransientError
from tests.backends.kafka.cases import SHORT, connect, join, make_topic, message, take, unique_name
from tests.metric_values import metric_value
from tests.servers.fixtures import start_or_skip
from tests.servers.kafka_server import KafkaServer
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

# Publishing, committing, closing the broken producer, and the attempt to open a new one.
WORST_S = 2 * SHORT.flush_s + SHORT.commit_s + SHORT.close_s + 2 * SHORT.call_s + SHORT.close_s


# So that the client drops records early.
HASTY = {"delivery_timeout_ms": 800, "request_timeout_ms": 500}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker that tests may break; each leaves it running."""
    started = start_or_skip(KafkaServer(tmp_path_factory.mktemp("kafka")))
    yield started
    started.stop()


class Flow:
    """A record on an input topic, and transactions that answer it on an output topic."""

    def __init__(self, connection: KafkaConnection, producer: Any = KafkaProducer) -> None:
        self.connection = connection
        self.bus = KafkaBus(connection)
        self.input = make_topic(connection, "input")
        self.output = make_topic(connection, "output")
        self.bus.publish([message(self.input, "in")])
        self.consumer = self.bus.open_consumer(self.input, unique_name("group"))
        join(self.consumer)
        (self.record,) = take(self.consumer, 1)
        self.place = TopicPartition(self.input, 0)
        self.name = unique_name("matcher")
        self.transactions = Transactions(connection, self.name, producer=producer)

    def answer(self, *values: bytes, transactions: Transactions | None = None) -> None:
        outgoing = [Outgoing(self.output, b"k", value) for value in values or [b"out"]]
        group = self.consumer._client.group_metadata()
        (transactions or self.transactions).commit(outgoing, {self.place: 1}, group)

    def answers(self) -> list[bytes]:
        return [record.message.value for record in self.bus.read([self.output])]

    def committed_offset(self) -> int | None:
        offset: int | None = self.consumer._client.committed(self.place, timeout_ms=10_000)
        return offset

    def close(self) -> None:
        self.transactions.close()
        self.consumer.close()
        self.bus.close()


def outcomes() -> dict[str, float]:
    """The number of transactions so far, by outcome."""
    names = ("committed", "failed", "fenced")
    return {name: metric_value("copydetect_transactions_total", outcome=name) for name in names}


def answer_at_last(flow: Flow, *values: bytes) -> None:
    """Retry until it succeeds, as a worker does."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return flow.answer(*values)
        except TransientError:
            assert time.monotonic() < deadline, "does not recover"
            flow.consumer.poll(1, 0.2)


def test_a_transaction_publishes_and_commits(kafka: Backend) -> None:
    before = outcomes()
    flow = Flow(connect(kafka.address))
    flow.answer()
    flow.transactions.commit([], {}, None)
    assert (flow.answers(), flow.committed_offset()) == ([b"out"], 1)
    assert outcomes()["committed"] - before["committed"] == 1
    flow.close()


def test_one_bad_record_aborts_the_transaction_and_the_next_one_works(kafka: Backend) -> None:
    before = outcomes()
    flow = Flow(connect(kafka.address))
    group = flow.consumer._client.group_metadata()
    good = Outgoing(flow.output, b"k", b"out")
    with pytest.raises(TransientError):
        flow.transactions.commit([good, Outgoing(flow.output, b"k", b"x", partition=9)], {flow.place: 1}, group)
    assert flow.committed_offset() is None
    flow.answer()
    assert (flow.answers(), flow.committed_offset()) == ([b"out"], 1)
    assert outcomes() == before | {"failed": before["failed"] + 1, "committed": before["committed"] + 1}
    flow.close()


def test_a_second_process_of_the_same_name_fences_the_first(kafka: Backend) -> None:
    before = outcomes()
    flow = Flow(connect(kafka.address))
    flow.answer()
    second = Transactions(flow.connection, flow.name)
    second.prepare()
    with pytest.raises(Fenced):
        flow.answer()
    flow.answer(transactions=second)  # the first opened no new producer, which would have fenced the second
    assert outcomes()["fenced"] - before["fenced"] == 1
    assert flow.answers() == [b"out", b"out"]
    second.close()
    flow.close()


def make_dying_producer(server: KafkaServer) -> type:
    """A producer class whose broker dies once, after a transaction's first record, and is back after losing the second.

    Only the second record's own future shows the loss. (A frozen broker would still find the record in its socket.)
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


def test_a_lost_record_aborts_its_transaction(server: KafkaServer) -> None:
    """Defect A: the client drops a record, but the transaction can still be committed without it."""
    flow = Flow(connect(server.address), producer=make_dying_producer(server))
    with pytest.raises(TransientError, match="Expiring"):
        flow.answer(b"first", b"second")
    assert (flow.answers(), flow.committed_offset()) == ([], None)
    answer_at_last(flow, b"first", b"second")
    assert (flow.answers(), flow.committed_offset()) == ([b"first", b"second"], 1)
    flow.close()


def test_the_client_alone_loses_the_record(server: KafkaServer) -> None:
    """The control of the test above: if it fails, the client was fixed and the guard can be removed."""
    flow = Flow(connect(server.address))
    producer = make_dying_producer(server)(**flow.connection.producer_arguments(), transactional_id=unique_name())
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(flow.output, key=b"k", value=b"first")
    lost = producer.send(flow.output, key=b"k", value=b"second")
    producer.flush(5)
    assert lost.failed()
    group = unique_name("group")  # without members, which would lose their membership when the broker restarts
    producer.send_offsets_to_transaction({flow.place: OffsetAndMetadata(1, "", -1)}, group)
    producer.commit_transaction()
    assert flow.answers() == [b"first"]
    reader = flow.bus.open_consumer(flow.input, group)
    join(reader)
    assert reader.poll(1, 1.0) == []
    reader.close()
    producer.close(timeout=1)
    flow.close()


def test_a_frozen_broker_does_not_block_for_long(server: KafkaServer) -> None:
    flow = Flow(connect(server.address))
    flow.answer()
    server.pause()
    started = time.monotonic()
    with pytest.raises(TransientError):
        flow.answer()
    assert time.monotonic() - started < WORST_S
    server.resume()
    answer_at_last(flow)
    assert flow.answers() == [b"out", b"out"]
    flow.close()


def test_a_coordinator_that_dies_during_a_commit_does_not_block(server: KafkaServer) -> None:
    """Defect C: the client's commit never returns, even after the coordinator is back."""
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
    assert (flow.answers(), flow.committed_offset()) == ([b"out"], 1)
    flow.close()
