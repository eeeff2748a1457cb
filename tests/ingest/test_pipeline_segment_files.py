"""Each segment file of an upload is one of its segments."""

import pytest

from services.contracts.errors import TransientError
from services.contracts.events import AssetEnded, Role, SegmentStatus, UploadEnded
from services.contracts.segments import SegmentKey
from tests.ingest.fakes import End, Failure, Shot
from tests.ingest.service import Service, stable_fields, upload


def test_segment_files_are_segments_of_their_upload_and_the_last_one_ends_it(service: Service) -> None:
    for index, last in ((0, False), (1, True)):
        uri = service.write_film(f"a{index}.ts", Shot(0, 50), End(50.5))
        service.publish(upload(uri, segment_index=index, start_s=50.5 * index, last_segment=last, role=Role.PROBE))
    service.run()
    assert sorted(stable_fields(event) for event in service.segments()) == [
        ("a:0", Role.PROBE, 0, 50.5, SegmentStatus.DESCRIBED, 50),
        ("a:1", Role.PROBE, 50.5, 101, SegmentStatus.DESCRIBED, 50),
    ]
    assert [stable_fields(event) for event in service.events() if isinstance(event, AssetEnded)] == [
        ("a", 2, 101, "complete")
    ]
    [second] = service.index.read([SegmentKey("default", "a:1")]).values()
    assert second.descriptor.timestamps_s[[0, -1]].tolist() == [50.5, 99.5]
    assert service.pool.limits_s == [120, 120]


def test_an_upload_can_be_ended_by_its_own_event(service: Service) -> None:
    service.publish(upload(service.write_film("a0.ts", Shot(0, 9), End(9)), segment_index=0, start_s=0))
    service.publish(UploadEnded(asset_id="a", tenant="default", segment_count=1))
    service.run()
    assert {stable_fields(event)[0] for event in service.segments()} == {"a:0"}
    [ended] = [event for event in service.events() if isinstance(event, AssetEnded)]
    assert stable_fields(ended) == ("a", 1, None, "complete")
    assert service.committed_offset() == 2


def test_a_segment_file_that_is_redelivered_or_replaced_does_not_affect_its_neighbours(service: Service) -> None:
    events = []
    for index in (0, 1):
        uri = service.write_film(f"a{index}.ts", Shot(0, 9), End(9))
        events.append(upload(uri, segment_index=index, start_s=9 * index, last_segment=index == 1))
    service.publish(*events)
    service.run()
    before = len(service.events())
    service.publish(*events)
    service.run()
    assert len(service.pool.decoded) == 2
    assert [stable_fields(event)[0] for event in service.events(since=before)] == ["a:0", "a:1", "a"]

    before = len(service.events())
    service.write_film("a0.ts", Shot(0, 7), End(7), content="another")
    service.publish(events[0])
    service.run()
    assert [stable_fields(event) for event in service.events(since=before)] == [
        ("a:0", Role.UPLOAD, 0, 7, SegmentStatus.DESCRIBED, 7)
    ]
    assert [(row.segment_id, row.frame_count) for row in service.index.read_rows("default")] == [("a:0", 7), ("a:1", 9)]


def test_a_replaced_segment_file_leaves_the_cache_before_the_new_one_is_stored(service: Service) -> None:
    event = upload(service.write_film("a0.ts", Shot(0, 9), End(9)), segment_index=0, start_s=0)
    service.publish(event)
    service.run()
    key = SegmentKey("default", "a:0")
    assert service.cache.get_many([key])
    service.write_film("a0.ts", Shot(0, 7), End(7), content="another")
    service.index.down = True
    service.publish(event)
    with pytest.raises(TransientError):
        service.run()
    assert service.cache.get_many([key]) == {}, "a crash here must not leave the old content in the cache"


def test_a_segment_file_with_another_role_does_not_affect_its_neighbours(service: Service) -> None:
    events = []
    for index in (0, 1):
        uri = service.write_film(f"a{index}.ts", Shot(0, 9), End(9))
        events.append(upload(uri, segment_index=index, start_s=9 * index))
    service.publish(*events)
    service.run()
    service.publish(events[0].model_copy(update={"role": Role.REFERENCE}))
    service.run()
    assert len(service.pool.decoded) == 2
    assert [row.role for row in service.index.read_rows("default")] == [Role.REFERENCE, Role.UPLOAD]


def test_a_segment_file_that_fails_is_announced_so_that_its_upload_can_be_complete(service: Service) -> None:
    uri = service.write_film("a0.ts", Shot(0, 5), Failure("no video in it"))
    service.publish(upload(uri, segment_index=0, start_s=0, duration_s=9))
    service.publish(
        upload(str(service.folder / "none.ts"), segment_index=1, start_s=9, duration_s=9, last_segment=True)
    )
    service.run()
    assert sorted(stable_fields(event) for event in service.segments()) == [
        ("a:0", Role.UPLOAD, 0, 9, SegmentStatus.FAILED, 0),
        ("a:1", Role.UPLOAD, 9, 18, SegmentStatus.FAILED, 0),
    ]
    assert {event.reason for event in service.segments()} > {"no video in it"}
    [ended] = [event for event in service.events() if isinstance(event, AssetEnded)]
    assert ended.segment_count == 2
    assert sorted(dead.headers["dlq_stage"] for dead in service.dead_letters()) == ["decode", "fetch"]
