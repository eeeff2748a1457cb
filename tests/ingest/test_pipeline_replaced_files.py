"""Segment files and whole files replace each other; a shorter upload by segment files leaves no tail."""

import pytest

from services.contracts import topics
from services.contracts.events import UploadEnded
from tests.ingest.fakes import End, Shot
from tests.ingest.rebalancing import REASSIGNED, RebalancingConsumer
from tests.ingest.replacing import files, publish_files, publish_film, run_until_ended
from tests.ingest.service import Service, upload


def test_segment_files_replace_a_whole_file_and_not_each_other(service: Service) -> None:
    publish_film(service, "whole", 100)
    service.run()
    publish_files(service, "s", 0, 1, last=1)
    service.run()
    assert files(service) == ["s0.ts", "s1.ts"]


def test_segment_files_that_are_done_in_any_order_do_not_delete_each_other(service: Service) -> None:
    publish_film(service, "whole", 100)
    service.run()
    service.fetches.held.add("s0.ts")
    publish_files(service, "s", 0, 1)
    for _ in range(4):
        service.worker.run_once(0)
    assert files(service) == ["s1.ts"], "all of the whole file is obsolete"
    service.fetches.held.clear()
    service.run()
    assert files(service) == ["s0.ts", "s1.ts"]


def test_a_segment_file_that_is_delivered_late_leaves_a_later_whole_file(service: Service) -> None:
    publish_files(service, "s", 0)
    service.run()
    publish_film(service, "whole", 40)
    service.run()
    service.pipeline.accept(service.bus.records(topics.VIDEO_SEGMENTS)[0])
    while not service.pipeline.is_idle:
        service.pipeline.advance(0)
    assert sorted(files(service)) == ["s0.ts", "whole", "whole"]
    assert [one.row.uri.rsplit("/", 1)[1] for one in service.stored()] == ["whole", "whole"]


def test_a_whole_file_replaces_segment_files(service: Service) -> None:
    publish_files(service, "s", 0, 1, 2, last=2)
    service.run()
    publish_film(service, "whole", 40)
    service.run()
    assert files(service) == ["whole", "whole"]


def test_a_segment_file_replaces_that_segment_alone(service: Service) -> None:
    publish_files(service, "s", 0, 1, 2, last=2)
    service.run()
    publish_files(service, "t", 1)
    service.run()
    assert files(service) == ["s0.ts", "t1.ts", "s2.ts"]


@pytest.mark.parametrize("marked", [True, False], ids=["last_segment", "UploadEnded"])
def test_an_upload_that_became_shorter_has_no_tail(service: Service, marked: bool) -> None:
    publish_files(service, "s", 0, 1, 2, 3, last=3)
    service.run()
    publish_files(service, "t", 0, 1, last=1 if marked else None)
    service.run()
    if not marked:
        assert files(service) == ["t0.ts", "t1.ts", "s2.ts", "s3.ts"]
        service.publish(UploadEnded(asset_id="a", segment_count=2))
        service.run()
    assert files(service) == ["t0.ts", "t1.ts"]


@pytest.mark.parametrize("marked", [True, False], ids=["last_segment", "UploadEnded"])
@pytest.mark.parametrize("crashed", [True, False], ids=["crash", "rebalance"])
def test_a_tail_is_deleted_by_whoever_goes_on_if_a_worker_does_not_come_to_it(
    service: Service, marked: bool, crashed: bool
) -> None:
    """Nothing replaces a tail: what is left of it would be current for ever."""
    publish_files(service, "s", 0, 1, 2, last=2)
    service.run()
    ended = len(service.endings())
    if marked:
        publish_files(service, "t", 0, last=0)
    else:
        service.publish(UploadEnded(asset_id="a", segment_count=1))
        service.worker._accept(0)
    run_until_ended(service, ended + 1)
    assert files(service)[-2:] == ["s1.ts", "s2.ts"], "the end is announced first"
    if crashed:
        service.restart()
    else:
        service.worker._consumer = RebalancingConsumer(service.worker._consumer, [REASSIGNED])  # type: ignore[arg-type]
        service.worker._consumer.seek(service.committed_offset())
    service.run()
    assert files(service) == ["t0.ts" if marked else "s0.ts"]
    assert service.committed_offset() == len(service.generations())
    assert len(service.endings()) == ended + 2, "it is announced again"


def test_an_end_that_waits_for_its_deletion_lets_others_be_done(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as held:
        held.setattr(service.pipeline._deletions, "make", list)
        service.publish(UploadEnded(asset_id="a", segment_count=1))
        service.publish(upload(service.write_film("b", Shot(0, 9), End(9)), "b"))
        run_until_ended(service, 2)
        assert [ended.asset_id for ended in service.endings()] == ["a", "b"]
        assert service.committed_offset() == 0
    service.run()
    assert service.committed_offset() == 2


def test_the_end_of_an_upload_whose_segment_files_all_failed_leaves_the_whole_file(service: Service) -> None:
    publish_film(service, "whole", 100)
    service.run()
    service.publish(upload(str(service.folder / "none"), segment_index=0, start_s=0, last_segment=True))
    service.publish(UploadEnded(asset_id="a", segment_count=1))
    service.run()
    assert files(service) == ["whole"] * 4


def test_the_end_of_an_upload_spares_later_segments(service: Service) -> None:
    publish_files(service, "s", 0)
    service.publish(UploadEnded(asset_id="a", segment_count=1))
    publish_files(service, "t", 1)
    service.run()
    assert files(service) == ["s0.ts", "t1.ts"]
