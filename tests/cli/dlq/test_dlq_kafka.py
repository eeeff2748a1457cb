"""Dead letters of odd records over real Kafka: they are replayed byte for byte, once, and not for ever."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer
from typer.testing import Result

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import MAX_MESSAGE_BYTES
from services.backends.kafka.topics import Topic, create
from services.contracts.envelope import read_event, to_dead_letter, to_message
from services.contracts.errors import InvalidMessage, UsageError
from services.contracts.events import SegmentUploaded, now
from services.contracts.ports import Message, Raw, Record
from services.ingest.fetch.local import fetch
from services.ingest.fetch.media import FetchPolicy
from tests.backends.kafka.cases import connect, make_topic
from tests.backends.kafka.test_unreadable import publish_compressed
from tests.cli.dlq.conftest import Run
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

ODD: list[tuple[bytes | None, bytes | None, list[tuple[str, str | bytes | None]]]] = [
    (None, b"\xff\x00 no JSON", []),
    (b"\xfe\x00", b"{}", [("same", b"one"), ("same", b"\xff"), ("empty", b"")]),
    (b"k", b"text", [("ce_type", b"copydetect.SegmentUploaded.v1"), ("dlq_reason", b"of an earlier time")]),
    (b"tombstone", None, [("dlq_topic", b"elsewhere")]),
]


class Site:
    """A topic of uploads with its dead letters, and a service that can use none of them."""

    def __init__(self, address: str, run: Run) -> None:
        self.address = address
        self.bus = KafkaBus(connect(address))
        self.topic = make_topic(connect(address), "uploads")
        create(connect(address), [Topic(self.topic + ".dlq", 1, 1, {"max.message.bytes": str(MAX_MESSAGE_BYTES)})])
        self._run = run
        self._read = 0

    def run(self, *words: str) -> Result:
        """`copydetect dlq` for this topic."""
        environment = {"COPYDETECT_KAFKA_BROKERS": self.address, "COPYDETECT_INSTANCE": "test"}
        return self._run(*words, "--topic", self.topic, env=environment)

    def publish(self, *messages: Message) -> None:
        self.bus.publish(list(messages))

    def publish_odd(self) -> None:
        producer = Producer({"bootstrap.servers": self.address})
        for key, value, headers in ODD:
            producer.produce(self.topic, value, key=key, headers=headers)
        assert producer.flush(10) == 0

    def records(self) -> list[Record]:
        return list(self.bus.read([self.topic]))

    def fail(self) -> list[Record]:
        """Make dead letters of what came since the last time, as ingest does. Returns those records."""
        came = self.records()[self._read :]
        self._read += len(came)
        self.bus.publish([to_dead_letter(record, find_error(record)) for record in came])
        return came

    def list_letters(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.run("list", "--json").stdout.splitlines()]


def find_error(record: Record) -> InvalidMessage:
    """What ingest finds wrong with a record."""
    try:
        event = read_event(record)
        assert isinstance(event, SegmentUploaded)
        fetch(event.uri, FetchPolicy(roots=None, max_bytes=1))
    except InvalidMessage as error:
        return error
    pytest.fail("ingest would accept it")


def upload(topic: str, uri: str, asset_id: str = "a") -> Message:
    return to_message(topic, SegmentUploaded(asset_id=asset_id, uri=uri, uploaded_at=now()), source="test")


def raws(records: Sequence[Record]) -> list[Raw]:
    return [record.message.raw for record in records if record.message.raw]


def replayed(original: Raw, number: int, letter: str) -> Raw:
    """The record as a replay publishes it."""
    added = (("dlq_replays", str(number).encode()), ("dlq_replay_of", letter.encode()))
    return original._replace(headers=(*original.headers, *added))


@pytest.fixture
def site(kafka: Backend, run: Run) -> Site:
    return Site(kafka.address, run)


def test_odd_records_are_replayed_byte_for_byte_once_and_at_most_three_times(site: Site, tmp_path: Path) -> None:
    site.publish_odd()
    site.publish(upload(site.topic, str(tmp_path / "missing.mp4")))
    originals = raws(site.fail())
    assert [letter["stage"] for letter in site.list_letters()] == ["parse"] * 4 + ["fetch"]
    assert all(letter["written_at"] for letter in site.list_letters())
    for number in range(1, 4):
        ended = site.run("replay", "--yes", "--rate", "1000/s")
        assert (ended.exit_code, ended.stdout) == (0, "5 of 5 dead letters replayed\n")
        first = len(originals) * (number - 1)  # of the letters that this round replays
        assert raws(site.fail()) == [
            replayed(original, number, f"0/{first + place}") for place, original in enumerate(originals)
        ]
    refused = site.run("replay", "--yes")
    assert refused.exit_code == 1
    assert "5 dead letters cannot be replayed" in refused.stderr
    assert refused.stderr.count("was replayed 3 times and failed each time") == 6  # each letter, and their number
    assert site.fail() == []
    forced = site.run("replay", "--yes", "--force", "0/19")
    assert forced.exit_code == 0
    assert site.records()[-1].message.headers["dlq_replays"] == "4"


def test_filters_a_dry_run_and_what_cannot_be_replayed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka.codec.has_zstd", lambda: False)
    publish_compressed(site.address, site.topic, "zstd", ["a", "b"])
    site.publish(*(upload(site.topic, str(tmp_path / f"{asset}.mp4"), asset) for asset in "ab"))
    assert len(site.fail()) == 3
    dry = site.run("replay", "--dry-run", "--asset", "b")
    assert dry.exit_code == 0
    assert "default/b  cannot open" in dry.stdout
    assert site.fail() == []
    ended = site.run("replay", "--yes", "--limit", "1")
    assert ended.exit_code == 1
    assert f"not replayed: {site.topic}.dlq 0/0 holds a batch of records that cannot be read" in ended.stderr
    [again] = site.fail()
    assert (again.message.key, again.message.headers["dlq_replay_of"]) == ("default/a", "0/1")


def test_a_letter_is_found_by_its_place_and_its_value_is_written(site: Site, tmp_path: Path) -> None:
    site.publish_odd()
    site.fail()
    shown = site.run("show", "0/1", "--output", str(tmp_path / "value"))
    assert "key        hex fe00" in shown.stdout
    assert "header     same = hex ff" in shown.stdout
    assert (tmp_path / "value").read_bytes() == b"{}"
    for place in ("0/4", "7/0"):
        ended = site.run("show", place)
        assert ended.exit_code
        assert f"no dead letter {place}" in str(ended.exception)


def test_a_letter_that_its_topic_does_not_take_does_not_stop_the_others(site: Site) -> None:
    # The topic takes no record of 2 MiB, unless the client compresses it.
    options = {"bootstrap.servers": site.address, "compression.type": "gzip", "message.max.bytes": 2**23}
    producer = Producer(options)
    producer.produce(site.topic, b"x" * 2**21)
    assert producer.flush(10) == 0
    site.publish(Message(site.topic, "t/a", b"{}"))
    site.fail()
    ended = site.run("replay", "--yes")
    assert (ended.exit_code, ended.stdout) == (1, "1 of 2 dead letters replayed\n")
    assert f"not replayed: {site.topic}.dlq 0/0 is too large for {site.topic}" in ended.stderr
    assert [record.message.key for record in site.records()[2:]] == ["t/a"]


def test_a_topic_that_is_not_there_is_wrong_usage(kafka: Backend, run: Run) -> None:
    ended = run("list", "--topic", "no-such", env={"COPYDETECT_KAFKA_BROKERS": kafka.address})
    assert isinstance(ended.exception, UsageError)
    assert "no topic no-such.dlq" in str(ended.exception)
