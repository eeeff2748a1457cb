"""Ingest stops when a broken producer sends nothing but invalid records, and loses none of them."""

import pytest

from services.contracts import topics
from services.contracts.ports import Message
from services.ingest.worker import IngestWorker
from services.runtime.flood import Flood
from tests.ingest.fakes import End, Failure, Pause, Shot
from tests.ingest.service import Service, upload


def publish_invalid(service: Service, count: int) -> None:
    service.bus.publish([Message(topics.VIDEO_SEGMENTS, "k", b"not JSON", {"ce_type": "wrong"})] * count)


def test_a_flood_stops_the_worker_and_a_restart_goes_on_behind_it(service: Service) -> None:
    publish_invalid(service, 25)
    for handled in (10, 20):
        service.worker = IngestWorker(service.bus, service.pipeline, max_invalid_in_a_row=10)
        with pytest.raises(Flood, match=r"10 records in a row were invalid, the last one because: header ce_type is"):
            service.run()
        assert len(service.dead_letters()) == service.committed_offset() == handled
    service.worker = IngestWorker(service.bus, service.pipeline, max_invalid_in_a_row=10)
    service.run()
    assert len(service.dead_letters()) == service.committed_offset() == 25


def test_a_valid_record_begins_the_count_again_and_failed_files_do_not_count(service: Service) -> None:
    service.worker = IngestWorker(service.bus, service.pipeline, max_invalid_in_a_row=3)
    for number in range(4):
        publish_invalid(service, 2)
        service.publish(upload(service.write_film(f"{number}.mp4", Shot(0, 3), End(3)), f"a{number}"))
        service.run()
    for number in range(5):
        service.publish(upload(service.write_film(f"b{number}.mp4", Failure("broken")), f"b{number}"))
    service.run()
    assert len(service.dead_letters()) == 4 * 2 + 5


def test_work_in_progress_is_finished_before_the_stop(service: Service) -> None:
    """Or its offset, before the flood, would never be committed: the flood would come again after each restart."""
    service.worker = IngestWorker(service.bus, service.pipeline, max_invalid_in_a_row=10)
    service.publish(upload(service.write_film("a.mp4", *[Pause()] * 5, Shot(0, 3), End(3))))
    publish_invalid(service, 25)
    with pytest.raises(Flood):
        service.run()
    assert [segment.segment_id for segment in service.segments()] == ["a:0"]
    assert len(service.dead_letters()) == 10
    assert service.committed_offset() == 11


def test_without_a_limit_nothing_stops(service: Service) -> None:
    publish_invalid(service, 50)
    service.run()
    assert len(service.dead_letters()) == 50
