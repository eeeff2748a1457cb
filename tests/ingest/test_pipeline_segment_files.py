"""Each segment file of an upload is one of its segments."""

from datetime import timedelta

from services.contracts.events import AssetEnded, Role, SegmentStatus, UploadEnded
from tests.ingest.fakes import End, Failure, Shot
from tests.ingest.service import AT, MODEL, Service, stable_fields, upload


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
    second = service.stored()[1]
    assert second.descriptor.timestamps_s[[0, -1]].tolist() == [50.5, 99.5]
    assert service.pool.limits_s == [120, 120]


def test_an_upload_can_be_ended_by_its_own_event(service: Service) -> None:
    service.publish(upload(service.write_film("a0.ts", Shot(0, 9), End(9)), segment_index=0, start_s=0))
    service.publish(UploadEnded(asset_id="a", tenant="default", segment_count=1))
    service.run()
    assert {stable_fields(event)[0] for event in service.segments()} == {"a:0"}
    [ended] = service.endings()
    assert stable_fields(ended) == ("a", 1, None, "complete")
    assert (ended.generation, ended.model_version, ended.uploaded_at) == (service.generations()[1], MODEL, None)
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
    first, _, again = service.generations()
    assert service.stored()[0].row.generation == again > first


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
    assert [event.content for event in service.segments()] == [None, None]
    assert {event.generation for event in service.segments()} == {*service.generations()}
    [ended] = service.endings()
    assert (ended.segment_count, ended.generation) == (2, service.generations()[1])
    assert sorted(dead.headers["dlq_stage"] for dead in service.dead_letters()) == ["decode", "fetch"]


def test_all_segments_of_an_upload_have_the_time_of_the_first(service: Service) -> None:
    """Whichever is stored first: it decides on the sides of a pair."""
    files = [service.write_film(f"a{index}.ts", Shot(0, 9), End(9)) for index in range(4)]
    times = [AT + timedelta(hours=index) for index in range(4)]
    events = [
        upload(uri, segment_index=index, start_s=9 * index, uploaded_at=at)
        for index, (uri, at) in enumerate(zip(files, times, strict=True))
    ]
    service.fetches.held.add("a0.ts")
    service.publish(*events[:2])
    for _ in range(4):
        service.worker.run_once(0)
    assert [row.segment_index for row in service.index.read_rows("default")] == [1]
    service.fetches.held.clear()
    service.run()
    service.publish(events[3], events[2])
    service.run()
    assert [segment.segment_index for segment in service.segments()] == [1, 0, 3, 2]
    assert {segment.uploaded_at for segment in service.segments()} == {AT}
    assert {row.uploaded_at for row in service.index.read_rows("default")} == {AT.timestamp()}


def test_a_segment_file_that_fails_later_has_the_time_of_the_first_too(service: Service) -> None:
    service.publish(upload(service.write_film("a0.ts", Shot(0, 9), End(9)), segment_index=0, start_s=0))
    service.run()
    service.publish(upload("/none.ts", segment_index=1, start_s=9, uploaded_at=AT + timedelta(hours=1)))
    service.run()
    assert [segment.uploaded_at for segment in service.segments()] == [AT, AT]
