"""Segments that are stored already are not described again; other content replaces them completely."""

from pathlib import Path

import numpy as np
import pytest

from services.contracts.events import AssetEnded, Role, SegmentStatus
from services.contracts.segments import SegmentKey
from tests.ingest.fakes import End, Shot, describe_film
from tests.ingest.service import Service, stable_fields, upload


def test_a_redelivered_upload_is_announced_again_without_work(service: Service) -> None:
    event = upload(service.write_film("a.mp4", Shot(0, 40, black=True), Shot(40, 70), End(70)))
    service.publish(event)
    service.run()
    first = service.events()
    writes = service.index.writes
    service.publish(event)
    service.run()
    again = service.events(since=len(first))
    assert service.pool.decoded == ["a.mp4"]
    assert service.index.writes == writes
    assert [stable_fields(event) for event in again] == [stable_fields(event) for event in first]
    assert isinstance(again[-1], AssetEnded)
    announced = service.segments(since=len(first))
    assert {event.index_timestamp for event in announced} == {None}, "None: a search must see every write"
    assert service.committed_offset() == 2


def test_other_content_replaces_the_asset_completely(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 70, tag=10), End(70), content="long")))
    service.publish(upload(service.write_film("b.mp4", Shot(0, 40), End(40)), "b"))
    service.run()
    before = len(service.events())
    service.publish(upload(service.write_film("a.mp4", Shot(0, 20, tag=250), End(20), content="short")))
    service.run()
    assert service.pool.decoded == ["a.mp4", "b.mp4", "a.mp4"]
    assert [stable_fields(event) for event in service.events(since=before)] == [
        ("a:0", Role.UPLOAD, 0, 20, SegmentStatus.DESCRIBED, 20),
        ("a", 1, 20, "complete"),
    ]
    assert [row.segment_id for row in service.index.read_rows("default")] == ["a:0", "b:0", "b:1"]
    keys = [SegmentKey("default", f"a:{index}") for index in range(3)]
    for found in (service.cache.get_many(keys), service.index.read(keys)):
        assert found.keys() == {keys[0]}
        np.testing.assert_allclose(found[keys[0]].descriptor.frames, describe_film(250, 20), atol=1e-3)


def test_another_role_is_stored_without_decoding(service: Service) -> None:
    uri = service.write_film("a.mp4", Shot(0, 40), End(40))
    service.publish(upload(uri))
    service.run()
    before = len(service.events())
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.pool.decoded == ["a.mp4"]
    assert [stable_fields(event)[:2] for event in service.events(since=before)[:2]] == [
        ("a:0", Role.REFERENCE),
        ("a:1", Role.REFERENCE),
    ]
    rows = service.index.read_rows("default", ["a"])
    assert [row.role for row in rows] == [Role.REFERENCE] * 2
    assert [one.row for one in service.cache.get_many([row.key for row in rows]).values()] == rows
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.pool.decoded == ["a.mp4"], "stamp and segment count are unchanged"


def test_an_interrupted_asset_is_described_again(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 40), Shot(40, 70), End(70))))
    assert service.worker.run_once(0)
    assert [row.segment_id for row in service.index.read_rows("default")] == ["a:0"]
    service.restart()
    service.run()
    assert service.pool.decoded == ["a.mp4"]
    assert [stable_fields(event)[0] for event in service.events()] == ["a:0", "a:0", "a:1", "a:2", "a"]
    assert service.committed_offset() == 1


def test_an_asset_that_was_stored_but_not_committed_is_only_announced_again(service: Service) -> None:
    event = upload(service.write_film("a.mp4", Shot(0, 40), End(40)))
    service.publish(event)
    service.run()
    service.restart()
    service.publish(event)
    service.run()
    assert service.pool.decoded == []
    assert service.extractor.batches == []


def test_an_asset_is_described_again_after_panels_were_switched(service: Service) -> None:
    event = upload(service.write_film("a.mp4", Shot(0, 40), End(40)))
    for panels, decoded in ((True, ["a.mp4"]), (False, ["a.mp4"]), (False, []), (True, ["a.mp4"])):
        service.restart(panels=panels)
        service.publish(event)
        service.run()
        assert service.pool.decoded == decoded, f"panels {panels}"


def test_an_asset_that_is_delivered_again_while_it_is_in_progress_waits_for_the_first_delivery(
    service: Service,
) -> None:
    event = upload(service.write_film("a.mp4", Shot(0, 20), Shot(20, 40), End(40)))
    service.publish(event, event)
    service.run()
    assert service.pool.decoded == ["a.mp4"], "the second delivery finds the segments of the first"
    assert [stable_fields(one)[0] for one in service.events()] == ["a:0", "a:1", "a"] * 2
    assert service.committed_offset() == 2


def test_other_content_that_arrives_while_the_old_is_in_progress_replaces_it(service: Service) -> None:
    service.publish(upload(service.write_film("old.mp4", Shot(0, 20, tag=9), Shot(20, 70, tag=9), End(70))))
    service.publish(upload(service.write_film("new.mp4", Shot(0, 10), End(10))))
    service.run()
    assert service.pool.decoded == ["old.mp4", "new.mp4"]
    [row] = service.index.read_rows("default")
    assert (row.end_s, row.segment_count) == (10, 1)


def test_a_waiting_upload_is_not_overtaken_by_a_later_one(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=3)
    for name in ("first", "second"):
        service.publish(upload(service.write_film(name, Shot(0, 20), End(20))))
    while not service.events():
        service.worker.run_once(0)
    service.publish(upload(service.write_film("third", Shot(0, 20), End(20))))
    service.run()
    assert service.pool.decoded == ["first", "second", "third"]
    [row] = service.index.read_rows("default")
    assert row.uri.endswith("third")


def test_a_cache_that_accepts_no_new_value_does_not_keep_segments_with_the_old_role(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = service.write_film("a.mp4", Shot(0, 40), End(40))
    service.publish(upload(uri))
    service.run()
    keys = [SegmentKey("default", f"a:{index}") for index in range(2)]
    assert service.cache.get_many(keys).keys() == set(keys)
    monkeypatch.setattr(service.cache, "put_many", lambda _: None)
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.cache.get_many(keys) == {}


def test_deleted_segments_leave_the_cache_before_and_after_the_deletion(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 70), End(70), content="long")))
    service.run()
    keys = [SegmentKey("default", f"a:{index}") for index in range(3)]
    old = service.index.read(keys)
    delete = service.index.delete

    def delete_during_a_read(tenant: str, asset_id: str) -> None:
        assert service.cache.get_many(keys) == {}, "after a crash here, nothing would say what to discard"
        service.cache.put_many(old.values())  # by a reader that had read them before
        delete(tenant, asset_id)

    monkeypatch.setattr(service.index, "delete", delete_during_a_read)
    service.publish(upload(service.write_film("a.mp4", Shot(0, 20), End(20), content="short")))
    service.run()
    assert service.cache.get_many(keys).keys() == {keys[0]}
