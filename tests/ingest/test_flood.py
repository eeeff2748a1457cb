"""Ingest pauses when a broken producer sends nothing but invalid records, and loses none of them."""

import pytest

from services.contracts import topics
from services.contracts.ports import Message, Record
from services.ingest.worker import IngestWorker
from services.runtime.probes import Health
from tests.ingest.fakes import End, Failure, Pause, Shot
from tests.ingest.service import Service, upload
from tests.metric_values import metric_value


def publish_invalid(service: Service, count: int) -> None:
    service.bus.publish([Message(topics.VIDEO_SEGMENTS, "k", b"not JSON", {"ce_type": "wrong"})] * count)


def open_worker(service: Service, limit: int) -> Health:
    """Let a new worker go on that pauses after so many invalid records, and return what its probes report."""
    health = Health(loop_timeout_s=60)
    health.clear("start")
    service.worker = IngestWorker(service.bus, service.pipeline, max_invalid_in_a_row=limit, health=health)
    return health


def test_a_flood_pauses_the_worker_and_a_restart_goes_on_behind_it(service: Service) -> None:
    publish_invalid(service, 25)
    for handled in (10, 20):
        health = open_worker(service, 10)
        assert metric_value("copydetect_flooded") == 0
        service.run()
        service.run()
        assert len(service.dead_letters()) == service.committed_offset() == handled
        assert health.why_not_ready()["flood"].startswith(
            "paused: 10 records in a row were invalid, the last one because: header ce_type is"
        )
        assert "restart" in health.why_not_ready()["flood"]
        assert health.why_not_alive() == {}
        assert metric_value("copydetect_flooded") == metric_value("copydetect_consumption_paused") == 1
    health = open_worker(service, 10)
    service.run()
    assert len(service.dead_letters()) == service.committed_offset() == 25
    assert health.why_not_ready() == {}


def test_a_paused_worker_stays_in_its_group_and_says_it_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_invalid(service, 25)
    open_worker(service, 10)
    service.run()
    waits: list[float] = []

    def poll(max_records: int, timeout_s: float) -> list[Record]:
        assert max_records
        waits.append(timeout_s)
        return []

    monkeypatch.setattr(service.worker._consumer, "poll", poll)
    for _ in range(3):
        assert not service.worker.run_once(0.2)
    assert waits == [0.2] * 3, "it is polled without spinning"
    assert not service.worker.drain(0.2)
    assert capsys.readouterr().out.count("COPYDETECT_MAX_INVALID_IN_A_ROW") == 1


def test_a_valid_record_begins_the_count_again_and_failed_files_do_not_count(service: Service) -> None:
    open_worker(service, 3)
    for number in range(4):
        publish_invalid(service, 2)
        service.publish(upload(service.write_film(f"{number}.mp4", Shot(0, 3), End(3)), f"a{number}"))
        service.run()
    for number in range(5):
        service.publish(upload(service.write_film(f"b{number}.mp4", Failure("broken")), f"b{number}"))
    service.run()
    assert len(service.dead_letters()) == 4 * 2 + 5


def test_work_in_progress_is_finished_before_the_pause(service: Service) -> None:
    """Or its offset, before the flood, would never be committed: the flood would come again after each restart."""
    open_worker(service, 10)
    service.publish(upload(service.write_film("a.mp4", *[Pause()] * 5, Shot(0, 3), End(3))))
    publish_invalid(service, 25)
    service.run()
    assert [segment.segment_id for segment in service.segments()] == ["a:0"]
    assert len(service.dead_letters()) == 10
    assert service.committed_offset() == 11


def test_without_a_limit_nothing_stops(service: Service) -> None:
    publish_invalid(service, 50)
    service.run()
    assert len(service.dead_letters()) == 50
