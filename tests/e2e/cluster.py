"""The three services as processes over real Kafka, Redis and Milvus, for the end-to-end tests."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kafka import KafkaConsumer, TopicPartition

from services.backends.kafka import topics as kafka_topics
from services.backends.kafka.admin import open_admin
from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.contracts import topics
from services.contracts.envelope import to_event, to_message
from services.contracts.events import AssetVerdict, DuplicateAlert, Event, Role, SegmentUploaded, now
from services.contracts.ports import Message
from services.runtime.group_lag import name_matcher_group
from tca_model.bundle import load_bundle
from tests.servers.process import Backend

PARTITIONS = 4
MATCHERS = name_matcher_group(load_bundle().model_version)
COMMAND = [sys.executable, "-m", "services.cli.main"]
ROOT = Path(__file__).parents[2]

T = TypeVar("T")


class Service:
    """One `copydetect ingest`, `matcher` or `alerter`; its log goes to a file."""

    def __init__(self, name: str, log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._start = output.tell()
            self._process = subprocess.Popen(
                [*COMMAND, name], stdout=output, stderr=output, cwd=ROOT, env={**os.environ, **environment}
            )

    def lines(self) -> list[dict[str, object]]:
        """The log of this process so far."""
        text = self.log.read_bytes()[self._start :].decode()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    @property
    def port(self) -> int:
        started = wait_for(
            lambda: [line for line in self.lines() if line["event"] == "starting"], f"{self.name} starts"
        )
        return int(str(started[0]["http_port"]))

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a probe."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def is_ready(self) -> bool:
        assert self._process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-3000:]}"
        with suppress(OSError):
            return self.get("/readyz")[0] == 200
        return False

    def kill(self) -> None:
        """Send SIGKILL: nothing is drained, committed or closed."""
        self._process.kill()
        self._process.wait()

    def stop(self, timeout_s: float = 60) -> int:
        """Send SIGTERM. Returns the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@dataclass
class Cluster:
    """The servers that all services use, with topics and a tenant of its own."""

    kafka: Backend
    redis: Backend
    milvus: Backend
    folder: Path
    tenant: str

    def __post_init__(self) -> None:
        self.services: list[Service] = []
        self._connection = KafkaConnection(self.kafka.address)
        kafka_topics.create(self._connection, kafka_topics.plan(PARTITIONS, replication=1))
        self.bus = KafkaBus(self._connection, instance="test")

    def environment(self, **changes: str) -> dict[str, str]:
        return {
            "COPYDETECT_KAFKA_BROKERS": self.kafka.address,
            "COPYDETECT_REDIS_URL": self.redis.address,
            "COPYDETECT_MILVUS_URI": self.milvus.address,
            "COPYDETECT_FETCH_ROOTS": str(self.folder),
            "COPYDETECT_HTTP_HOST": "127.0.0.1",
            "COPYDETECT_HTTP_PORT": "0",
            "COPYDETECT_DECODE_WORKERS": "2",
            "OMP_NUM_THREADS": "1",
            **changes,
        }

    def start(self, name: str, **changes: str) -> Service:
        """Start a service without waiting for it."""
        number = len(self.services)
        environment = self.environment(**{"COPYDETECT_INSTANCE": f"e2e-{name}", **changes})
        service = Service(name, self.folder / f"{name}-{number}.log", environment)
        self.services.append(service)
        return service

    def start_all(self) -> tuple[Service, Service, Service]:
        """Start ingest, a matcher and an alerter, and wait until they are ready."""
        services = self.start("ingest"), self.start("matcher"), self.start("alerter")
        for service in services:
            wait_for(service.is_ready, f"{service.name} is ready", timeout_s=180)
        return services

    def upload(self, name: str, file: Path | str, role: Role = Role.UPLOAD) -> SegmentUploaded:
        return SegmentUploaded(asset_id=name, tenant=self.tenant, uri=str(file), role=role, uploaded_at=now())

    def publish(self, uploads: Iterable[SegmentUploaded]) -> None:
        self.bus.publish([to_message(topics.VIDEO_SEGMENTS, upload, source="e2e") for upload in uploads])

    def messages(self, topic: str) -> list[Message]:
        """All committed messages of a topic, as a read_committed consumer sees them."""
        return [record.message for record in self.bus.read([topic])]

    def events(self, topic: str) -> list[Event]:
        return [event for event in map(to_event, self.messages(topic)) if event.tenant == self.tenant]

    def verdicts(self) -> dict[str, AssetVerdict]:
        """The current verdicts by asset; asserts that their revisions rise."""
        current: dict[str, AssetVerdict] = {}
        for event in self.events(topics.ASSET_VERDICTS):
            assert isinstance(event, AssetVerdict)
            assert event.asset_id not in current or current[event.asset_id].revision < event.revision
            current[event.asset_id] = event
        return current

    def alerts(self) -> list[DuplicateAlert]:
        """The highest revision of each alert; asserts that every revision occurs exactly once."""
        revisions: dict[str, dict[int, DuplicateAlert]] = {}
        for event in self.events(topics.DUPLICATE_ALERTS):
            assert isinstance(event, DuplicateAlert)
            known = revisions.setdefault(event.alert_id, {})
            assert event.revision not in known, f"revision {event.revision} of {event.alert_id} was published twice"
            known[event.revision] = event
        return [known[max(known)] for known in revisions.values()]

    def pairs(self) -> set[frozenset[str]]:
        return {
            frozenset((alert.query.asset_id, alert.reference.asset_id)) for alert in self.alerts() if alert.intervals
        }

    def wait_for_verdicts(self, names: Iterable[str], timeout_s: float = 240) -> dict[str, AssetVerdict]:
        """Wait until all these uploads have verdicts, and no event follows for a while. Returns all verdicts."""
        expected = set(names)

        def come() -> bool:
            for service in self.services:
                assert service._process.poll() in (None, 0, -signal.SIGKILL), service.log.read_text()[-3000:]
            return expected <= self.verdicts().keys()

        wait_for(come, f"verdicts on {len(expected)} uploads", timeout_s, every_s=1)
        wait_for(self._is_settled, "no event follows", timeout_s=60)
        return self.verdicts()

    def _is_settled(self) -> bool:
        """Whether nothing was published for two seconds behind what ingest and the matcher have read."""
        before = self._count_published()
        time.sleep(2)
        lag = self.lag("ingest", topics.VIDEO_SEGMENTS) + self.lag(MATCHERS, topics.ENCODED_SEGMENTS)
        return lag == 0 and self._count_published() == before

    def _count_published(self) -> int:
        published = (topics.ENCODED_SEGMENTS, topics.MATCH_EVIDENCE, topics.DUPLICATE_ALERTS, topics.ASSET_VERDICTS)
        return sum(len(self.messages(topic)) for topic in published)

    def lag(self, group: str, topic: str) -> int:
        """How many records of all partitions the group has not committed, according to the brokers."""
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        with open_admin(self._connection, "reading offsets") as client:
            committed = client.list_group_offsets([group])[group]
        reader = KafkaConsumer(bootstrap_servers=self.kafka.address, isolation_level="read_committed")
        try:
            ends = reader.end_offsets(places)
        finally:
            reader.close()
        return sum(end - (committed[place].offset if place in committed else 0) for place, end in ends.items())

    def close(self) -> None:
        for service in self.services:
            if service._process.poll() is None:
                service.kill()
        self.bus.close()


def wait_for(look: Callable[[], T], what: str, timeout_s: float = 90, every_s: float = 0.2) -> T:
    """Call `look` until its result is true. Returns the result."""
    until = time.monotonic() + timeout_s
    while not (seen := look()):
        assert time.monotonic() < until, f"not within {timeout_s:g} s: {what}"
        time.sleep(every_s)
    return seen
