"""The ingest loop during rebalances, when it is full, and when it drains."""

from pathlib import Path
from typing import Any

from services.contracts import topics
from services.contracts.events import UploadEnded
from services.ingest.deletions import MAX_DELETIONS
from services.ingest.worker import MAX_ACCEPTED, IngestWorker
from services.runtime.group_lag import INGEST_GROUP
from tests.ingest.fakes import End, Pause, Shot
from tests.ingest.rebalancing import REASSIGNED, REVOKED, RebalancingConsumer
from tests.ingest.service import Service, upload


def open_worker(service: Service) -> tuple[IngestWorker, RebalancingConsumer]:
    consumer = RebalancingConsumer(service.bus.open_consumer(topics.VIDEO_SEGMENTS, INGEST_GROUP))
    service.bus.open_consumer = lambda topic, group: consumer  # type: ignore[method-assign, assignment, return-value]  # noqa: ARG005
    return IngestWorker(service.bus, service.pipeline), consumer


def run(worker: IngestWorker) -> None:
    while worker.run_once(0):
        pass


def test_the_work_of_a_revoked_partition_is_dropped(tmp_path: Path) -> None:
    service = Service(tmp_path)
    worker, consumer = open_worker(service)
    service.publish(upload(service.write_film("a", Shot(0, 3), *[Pause()] * 3, End(3))))
    worker.run_once(0)
    assert service.pipeline.in_flight_records == 1
    consumer.rebalances = [REVOKED]
    run(worker)
    assert service.pipeline.in_flight_records == 0
    assert consumer.commits == []
    assert service.events() == []


def test_a_record_that_was_polled_while_its_partition_was_revoked_is_not_begun(tmp_path: Path) -> None:
    service = Service(tmp_path)
    worker, consumer = open_worker(service)
    service.publish(upload(service.write_film("a", Shot(0, 3), End(3))))
    consumer.rebalances = [REVOKED]
    run(worker)
    assert service.pool.decoded == []
    assert consumer.commits == []


def test_a_partition_that_is_assigned_again_continues_at_its_committed_offset(tmp_path: Path) -> None:
    service = Service(tmp_path)
    worker, consumer = open_worker(service)
    service.publish(upload(service.write_film("a", Shot(0, 3), *[Pause()] * 2, End(3))))
    worker.run_once(0)
    consumer.rebalances = [REASSIGNED]
    consumer.seek(0)
    run(worker)
    assert service.pool.decoded == ["a", "a"]
    assert consumer.commits == [0]
    assert [event.segment_index for event in service.segments()] == [0]


def test_a_record_that_is_delivered_twice_is_in_progress_once(tmp_path: Path) -> None:
    service = Service(tmp_path)
    worker, consumer = open_worker(service)
    service.publish(upload(service.write_film("a", Shot(0, 3), *[Pause()] * 2, End(3))))
    worker.run_once(0)
    consumer.seek(0)
    run(worker)
    assert service.pool.decoded == ["a"]
    assert consumer.commits == [0]


def test_a_full_worker_pauses_and_resumes_when_there_is_room(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=1)
    worker, consumer = open_worker(service)
    for name in "ab":
        service.publish(upload(service.write_film(name, Shot(0, 3), Pause(), End(3)), name))
    worker.run_once(0)
    was_paused = consumer.paused
    run(worker)
    assert (was_paused, consumer.paused) == (True, False)
    assert consumer.commits == [0, 1]


def test_a_drain_finishes_the_work_that_has_begun_and_accepts_no_more(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=1)
    worker, consumer = open_worker(service)
    for name in "ab":
        service.publish(upload(service.write_film(name, Shot(0, 3), Pause(), End(3)), name))
    worker.run_once(0)
    while worker.drain(0):
        pass
    worker.close()
    assert service.pool.decoded == ["a"]
    assert consumer.commits == [0]


def test_every_call_to_the_bus_is_made_by_the_caller_that_was_passed(tmp_path: Path) -> None:
    service = Service(tmp_path)
    calls: list[str] = []

    def call(stage: str, make: Any, /, *arguments: Any) -> Any:
        calls.append(stage)
        return make(*arguments)

    service.publish(upload(service.write_film("a", Shot(0, 3), End(3))))
    worker = IngestWorker(service.bus, service.pipeline, call=call)
    run(worker)
    assert calls == ["publish", "offsets"]
    assert service.committed_offset() == 1


def test_records_without_work_do_not_keep_a_step_from_ending(tmp_path: Path) -> None:
    service = Service(tmp_path)
    worker, consumer = open_worker(service)
    service.publish(*(UploadEnded(asset_id=f"a{n}", segment_count=1) for n in range(2 * MAX_ACCEPTED + 1)))
    assert worker.run_once(0)
    assert len(service.endings()) == MAX_ACCEPTED
    assert consumer.commits[-1] == MAX_DELETIONS - 1
    run(worker)
    assert consumer.commits[-1] == 2 * MAX_ACCEPTED
