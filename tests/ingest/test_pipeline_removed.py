"""An asset that was removed is stored nowhere any more, and that is announced."""

from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.events import AssetErased, AssetRemoved, Event, Role
from services.contracts.segments import SegmentKey
from tests.ingest.fakes import End, Pause, Shot
from tests.ingest.service import MODEL, Service, stable_fields, upload


def name(event: Event) -> str:
    return "erased" if isinstance(event, AssetErased) else str(stable_fields(event)[0])


def keys(service: Service) -> list[SegmentKey]:
    return [row.key for row in service.index.read_rows("default")]


def test_a_removed_asset_is_neither_stored_nor_cached(service: Service) -> None:
    film = service.write_film("a.mp4", Shot(0, 40), End(40))
    service.publish(upload(film), upload(film, "b"))
    service.run()
    stored = keys(service)
    assert len(service.cache.get_many(stored)) == 4
    service.publish(AssetRemoved(asset_id="a", reason="a claim"))
    service.run()
    assert {key.segment_id for key in keys(service)} == {"b:0", "b:1"}
    assert service.cache.get_many(stored).keys() == set(keys(service))
    erased = service.events()[-1]
    assert isinstance(erased, AssetErased)
    assert (erased.asset_id, erased.reason, erased.model_version) == ("a", "a claim", MODEL)
    assert erased.generation == service.generations()[2]
    assert service.committed_offset() == 3
    assert service.dead_letters() == []


def test_rows_that_are_not_current_are_erased_too(service: Service) -> None:
    film = service.write_film("a.mp4", Shot(0, 40), End(40))
    service.publish(upload(film))
    service.run()
    service.publish(upload(film, role=Role.REFERENCE))
    while len(service.endings()) < 2:
        service.worker.run_once(0)
    service.restart()  # before the rows of the old role were deleted
    assert len(keys(service)) == 4
    service.publish(AssetRemoved(asset_id="a"))
    service.run()
    assert keys(service) == []


def test_a_removal_that_is_delivered_twice_is_announced_twice(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 20), End(20))))
    service.publish(AssetRemoved(asset_id="a"))
    service.run()
    service.pipeline.accept(service.bus.records(topics.VIDEO_SEGMENTS)[1])
    [outcome] = service.pipeline.advance(0)
    assert outcome.done
    [again] = [to_event(message) for message in outcome.messages]
    assert again == service.events()[-1]


def test_an_asset_that_is_not_stored_can_be_removed(service: Service) -> None:
    service.publish(AssetRemoved(asset_id="never-seen"))
    service.run()
    assert [name(event) for event in service.events()] == ["erased"]


def test_a_removal_waits_for_earlier_uploads_and_later_ones_wait_for_it(service: Service) -> None:
    slow = service.write_film("slow", Shot(0, 20), Pause(), Pause(), End(20))
    service.publish(upload(slow), AssetRemoved(asset_id="a"), upload(service.write_film("new", Shot(0, 9), End(9))))
    service.publish(upload(service.write_film("b", Shot(0, 9), End(9)), "b"))
    service.run()
    of_asset = [event for event in service.events() if event.key == "default/a"]
    assert [name(event) for event in of_asset] == ["a:0", "a", "erased", "a:0", "a"]
    first, removal, last, _ = service.generations()
    assert [event.generation for event in of_asset] == [first, first, removal, last, last]  # type: ignore[attr-defined]
    assert [one.row.generation for one in service.stored()] == [last]


def test_a_removal_waits_for_all_segment_files_before_it(service: Service) -> None:
    for index in range(2):
        uri = service.write_film(f"a{index}", Shot(0, 9), *[Pause()] * (3 * index), End(9))
        service.publish(upload(uri, segment_index=index, start_s=9 * index))
    service.publish(AssetRemoved(asset_id="a"))
    service.run()
    assert [name(event) for event in service.events()] == ["a:0", "a:1", "erased"]
    assert keys(service) == []


def test_a_removal_that_is_delivered_late_spares_later_uploads(service: Service) -> None:
    film = service.write_film("a.mp4", Shot(0, 20), End(20))
    service.publish(upload(film), AssetRemoved(asset_id="a"), upload(film))
    service.run()
    service.pipeline.accept(service.bus.records(topics.VIDEO_SEGMENTS)[1])
    [outcome] = service.pipeline.advance(0)
    assert outcome.done
    assert len(service.stored()) == len(service.cached()) == 1


def test_a_removal_of_a_revoked_partition_is_dropped(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 20), End(20))))
    service.run()
    service.publish(AssetRemoved(asset_id="a"))
    [*_, record] = service.bus.records(topics.VIDEO_SEGMENTS)
    assert not service.pipeline.accept(record).done
    service.pipeline.abandon(0)
    assert service.pipeline.is_idle
    assert service.pipeline.advance(0) == []
    assert len(service.stored()) == 1
