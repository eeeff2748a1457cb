"""A commit that fails for now stays pending; a poll that retries it does not fail with it."""

from typing import Any

import pytest
from kafka import TopicPartition
from kafka import errors as kafka_errors

from services.backends.kafka import consumer as kafka_consumer
from services.backends.kafka.connection import KafkaConnection
from services.contracts.ports import Message, Record
from services.runtime.probes import Health
from services.runtime.retry import Retrier


class Client:
    """A client whose coordinator is away for the first `failures` commits."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.committed: list[int] = []

    def commit(self, offsets: dict[Any, Any], timeout_ms: int) -> None:  # noqa: ARG002 - of the client
        if self.failures:
            self.failures -= 1
            raise kafka_errors.KafkaTimeoutError("no coordinator")
        self.committed += [offset.offset for offset in offsets.values()]

    def poll(self, *arguments: Any, **options: Any) -> dict[Any, Any]:  # noqa: ARG002
        return {}

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **options: 1  # noqa: ARG005


def test_a_commit_waits_for_the_end_of_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(failures=4)
    monkeypatch.setattr(kafka_consumer, "open_client", lambda *arguments, **options: client)  # noqa: ARG005
    for fix in ("keep_join_results", "report_lost_partitions", "return_parked_records", "pass_unreadable"):
        monkeypatch.setattr(kafka_consumer, fix, lambda *_: None)
    consumer = kafka_consumer.KafkaConsumer(KafkaConnection("nowhere:1"), "video-segments", "ingest")
    consumer._assignment.on_partitions_assigned([TopicPartition("video-segments", 0)])
    record = Record(Message("video-segments", "k", b""), 0, 5)
    consumer._assignment.note_polled([record])

    def keep_alive() -> None:
        consumer.poll(1, 0.0)

    retrier = Retrier(Health(loop_timeout_s=60), keep_alive=keep_alive, is_over=lambda: False)
    retrier("offsets", consumer.commit, [record])
    assert client.committed[0] == 6
