"""Slow servers delay no upload from elsewhere: theirs are parked in memory, within bounds, and in order."""

import threading
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.events import AssetErased, AssetRemoved
from services.contracts.ports import Record
from services.ingest.fetch.places import FetchLimits
from services.ingest.worker import MAX_UNCOMMITTED
from services.runtime.settings import Settings
from tests.ingest.downloading import Downloads
from tests.ingest.fakes import End, Shot
from tests.ingest.fetch.downloads import HOSTS
from tests.ingest.fetch.web import Web, drip, serve_web
from tests.ingest.rebalancing import REVOKED
from tests.ingest.service import upload
from tests.ingest.test_worker import open_worker
from tests.metric_values import metric_value

FAST, *SLOW = HOSTS
LIMITS = FetchLimits(threads=32, files=8, per_host=8, per_tenant=24)  # as by default on four cores


@pytest.fixture
def web() -> Iterator[Web]:
    with serve_web(address="") as server:
        yield server


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Slow servers send the rest when it is set."""
    opened = threading.Event()
    yield opened
    opened.set()


class Slow(Downloads):
    """Ingest from servers of which some drip bytes until the gate opens, and then refuse the rest."""

    def __init__(
        self, folder: Path, web: Web, gate: threading.Event, *, limits: FetchLimits = LIMITS, max_parked: int = 500
    ) -> None:
        super().__init__(folder, web, limits=limits, max_parked=max_parked)
        self._dripping = web.serve("/drip", drip(gate))
        self._numbers = iter(range(10**6))

    def publish_slow(self, count: int, *hosts: str, tenants: tuple[str, ...] = ("slow",)) -> None:
        named = zip(range(count), cycle(hosts or SLOW[:1]), cycle(tenants), strict=False)
        for _, host, tenant in named:
            uri = self._dripping.replace("127.0.0.1", host)
            self.publish(upload(uri, f"slow{next(self._numbers)}", tenant=tenant))

    def publish_local(self, name: str) -> None:
        film = self.write_film(name, Shot(0, 3), End(3), content=f"{self.folder / name}\n")
        self.publish(upload(film, name, tenant="other"))

    def step_until_ended(self, *assets: str) -> None:
        self.step_until(lambda: {event.asset_id for event in self.endings()} >= set(assets))

    @property
    def downloading(self) -> int:
        return len(self.downloads.unfetched) - self.downloads.parked_count


@pytest.fixture
def service(tmp_path: Path, web: Web, gate: threading.Event) -> Iterator[Slow]:
    made = Slow(tmp_path, web, gate)
    yield made
    made.downloads.close()


def make_service(tmp_path: Path, web: Web, gate: threading.Event, max_parked: int) -> Slow:
    limits = FetchLimits(threads=32, files=8, per_host=2, per_tenant=24)
    return Slow(tmp_path, web, gate, limits=limits, max_parked=max_parked)


def test_eight_slow_hosts_do_not_delay_a_ninth(service: Slow) -> None:
    service.publish_slow(8, *SLOW[:8])
    service.publish_upload("fast")
    service.step_until_ended("fast")
    assert service.downloading == 8, "the slow ones are still in work"
    assert service.committed_offset() == 0


def test_a_hundred_files_of_a_slow_host_do_not_delay_another_tenant(service: Slow) -> None:
    service.publish_slow(100)
    service.publish_upload("fast", tenant="other")
    service.step_until_ended("fast")
    assert (service.downloading, service.pipeline.parked_records) == (LIMITS.per_host, 100 - LIMITS.per_host)
    assert metric_value("copydetect_parked_records") == 100 - LIMITS.per_host
    assert metric_value("copydetect_consumption_paused") == 0


def test_a_tenant_with_files_on_many_slow_hosts_does_not_delay_another(service: Slow) -> None:
    service.publish_slow(100, *SLOW)
    service.publish_upload("fast", tenant="other")
    service.step_until_ended("fast")
    assert service.downloading == LIMITS.per_tenant


def test_a_local_file_does_not_wait_while_all_downloads_are_slow(service: Slow) -> None:
    service.publish_slow(50, *SLOW, tenants=("one", "two"))
    service.publish_local("local")
    service.step_until_ended("local")
    assert service.downloading == LIMITS.threads


def test_many_uploads_of_one_asset_do_not_delay_another(service: Slow) -> None:
    service.publish(*[upload(f"http://{SLOW[0]}:{service.web.port}/drip", "same") for _ in range(100)])
    service.publish_upload("fast", tenant="other")
    service.step_until_ended("fast")
    assert (service.downloading, service.pipeline.parked_records) == (1, 99)


def test_a_parked_upload_is_done_before_the_later_removal_of_its_asset(service: Slow, gate: threading.Event) -> None:
    service.publish_slow(LIMITS.per_host, HOSTS[0])
    service.publish_upload("a", tenant="slow")
    service.publish(AssetRemoved(asset_id="a", tenant="slow", reason="asked for"))
    service.publish_local("local")
    service.step_until_ended("local")
    assert not [event for event in service.events() if isinstance(event, AssetErased)]
    gate.set()
    service.run()
    *_, stored, ended, erased = [event for event in service.events() if event.key == "slow/a"]
    assert [type(event).__name__ for event in (stored, ended, erased)] == [
        "SegmentEncoded",
        "AssetEnded",
        "AssetErased",
    ]
    assert service.index.read_rows("slow", ["a"]) == []


def test_at_the_bound_of_parked_records_none_is_accepted_until_one_starts(
    tmp_path: Path, web: Web, gate: threading.Event
) -> None:
    service = make_service(tmp_path, web, gate, max_parked=5)
    service.publish_slow(20)
    service.step_until(lambda: service.downloading == 2 and not service.pipeline.has_room)
    for _ in range(20):
        service.step()
    assert (service.pipeline.in_flight_records, service.pipeline.parked_records) == (7, 5)
    assert metric_value("copydetect_consumption_paused") == 1
    service.publish_upload("fast", tenant="other")
    gate.set()
    service.run()
    assert metric_value("copydetect_consumption_paused") == 0
    assert service.committed_offset() == 21
    assert service.pipeline.parked_records == metric_value("copydetect_parked_records") == 0
    service.downloads.close()


def test_a_thousand_files_of_a_slow_host_leave_memory_bounded_and_room_for_uncommitted_records(service: Slow) -> None:
    service.publish_slow(1000)
    for _ in range(40):
        service.step()
    most = Settings().max_parked + LIMITS.threads + LIMITS.files
    assert 500 < service.pipeline.in_flight_records <= most
    assert len(service.downloads._tasks) == service.pipeline.in_flight_records
    [upper] = [limit.le for limit in Settings.model_fields["max_parked"].metadata if hasattr(limit, "le")]
    assert upper + LIMITS.threads + LIMITS.files < MAX_UNCOMMITTED


def test_a_drain_ends_without_the_parked_records_and_downloads_and_leaves_them_uncommitted(
    tmp_path: Path, web: Web, gate: threading.Event
) -> None:
    service = make_service(tmp_path, web, gate, max_parked=50)
    service.publish_local("local")
    service.publish_slow(20)
    service.worker.run_once(0)
    service.step_until(lambda: service.pool.decoded == ["local"])
    assert (service.downloading, service.pipeline.parked_records) == (2, 18)
    for _ in range(10):
        if not service.worker.drain(0):
            break
    assert service.pipeline.is_idle
    assert not gate.is_set()
    assert service.dead_letters() == []
    assert service.committed_offset() == 1, "what was fetched is done"
    service.downloads.close()


def test_a_rebalance_drops_the_parked_records_of_its_partition(tmp_path: Path, web: Web, gate: threading.Event) -> None:
    service = make_service(tmp_path, web, gate, max_parked=50)
    worker, consumer = open_worker(service)
    service.worker = worker
    service.publish_slow(10)
    service.step_until(lambda: service.downloading == 2)
    [other] = [
        Record(to_message(topics.VIDEO_SEGMENTS, upload(f"http://{SLOW[0]}:{web.port}/drip", "b"), source="t"), 1, 0)
    ]
    service.pipeline.accept(other)
    assert service.pipeline.parked_records == 9
    consumer.rebalances = [REVOKED]
    worker.run_once(0)
    assert (service.downloading, service.pipeline.parked_records) == (1, 0), "only the other partition's is left"
    assert service.pipeline.in_flight_records == 1
    assert consumer.commits == []
    service.downloads.close()
