"""What is stored already is not done again; other content replaces it and leaves nothing of it."""

from pathlib import Path

import numpy as np
import pytest

from services.contracts.events import AssetEnded, Role, SegmentStatus
from services.contracts.ports import SegmentKey
from tests.ingest.fakes import End, Shot, described_by
from tests.ingest.service import Service, told, upload


def test_a_redelivered_upload_is_announced_again_without_work(service: Service) -> None:
    event = upload(service.film("a.mp4", Shot(0, 40, black=True), Shot(40, 70), End(70)))
    service.publish(event)
    service.run()
    first = service.announced()
    writes = service.index.writes
    service.publish(event)
    service.run()
    again = service.announced(since=len(first))
    assert service.pool.decoded == ["a.mp4"]
    assert service.index.writes == writes
    assert [told(event) for event in again] == [told(event) for event in first]
    assert isinstance(again[-1], AssetEnded)
    assert all(event.index_timestamp is None for event in again[:-1]), "which asks for the strongest search"
    assert service.committed() == 2


def test_other_content_replaces_the_asset_and_leaves_nothing_of_it(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 70, tag=10), End(70), content="long")))
    service.publish(upload(service.film("b.mp4", Shot(0, 40), End(40)), "b"))
    service.run()
    before = len(service.announced())
    service.publish(upload(service.film("a.mp4", Shot(0, 20, tag=250), End(20), content="short")))
    service.run()
    assert service.pool.decoded == ["a.mp4", "b.mp4", "a.mp4"]
    assert [told(event) for event in service.announced(since=before)] == [
        ("a:0", Role.UPLOAD, 0, 20, SegmentStatus.DESCRIBED, 20),
        ("a", 1, 20, "complete"),
    ]
    assert [row.segment_id for row in service.index.assets("default")] == ["a:0", "b:0", "b:1"]
    keys = [SegmentKey("default", f"a:{index}") for index in range(3)]
    for found in (service.cache.get_many(keys), service.index.read(keys)):
        assert found.keys() == {keys[0]}
        np.testing.assert_allclose(found[keys[0]].descriptor.frames, described_by(250, 20), atol=1e-3)


def test_another_role_moves_the_asset_without_decoding(service: Service) -> None:
    uri = service.film("a.mp4", Shot(0, 40), End(40))
    service.publish(upload(uri))
    service.run()
    before = len(service.announced())
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.pool.decoded == ["a.mp4"]
    assert [told(event)[:2] for event in service.announced(since=before)[:2]] == [
        ("a:0", Role.REFERENCE),
        ("a:1", Role.REFERENCE),
    ]
    rows = service.index.assets("default", ["a"])
    assert [row.role for row in rows] == [Role.REFERENCE] * 2
    assert [one.row for one in service.cache.get_many([row.key for row in rows]).values()] == rows
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.pool.decoded == ["a.mp4"], "the move kept the stamp and how many segments there are"


def test_an_interrupted_asset_is_done_again(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 40), Shot(40, 70), End(70))))
    assert service.worker.run_once(0)
    assert [row.segment_id for row in service.index.assets("default")] == ["a:0"]
    service.restart()
    service.run()
    assert service.pool.decoded == ["a.mp4"]
    assert [told(event)[0] for event in service.announced()] == ["a:0", "a:0", "a:1", "a:2", "a"]
    assert service.committed() == 1


def test_an_asset_that_was_stored_but_not_committed_is_only_announced_again(service: Service) -> None:
    event = upload(service.film("a.mp4", Shot(0, 40), End(40)))
    service.publish(event)
    service.run()
    service.restart()
    service.publish(event)
    service.run()
    assert service.pool.decoded == []
    assert service.extractor.batches == []


def test_an_asset_is_described_again_after_panels_were_switched(service: Service) -> None:
    event = upload(service.film("a.mp4", Shot(0, 40), End(40)))
    for panels, decoded in ((True, ["a.mp4"]), (False, ["a.mp4"]), (False, []), (True, ["a.mp4"])):
        service.restart(panels=panels)
        service.publish(event)
        service.run()
        assert service.pool.decoded == decoded, f"panels {panels}"


def test_an_asset_that_comes_again_while_it_is_in_work_waits_for_itself(service: Service) -> None:
    event = upload(service.film("a.mp4", Shot(0, 20), Shot(20, 40), End(40)))
    service.publish(event, event)
    service.run()
    assert service.pool.decoded == ["a.mp4"], "the second finds the first one's work"
    assert [told(one)[0] for one in service.announced()] == ["a:0", "a:1", "a"] * 2
    assert service.committed() == 2


def test_other_content_that_comes_while_the_old_is_in_work_is_what_stays(service: Service) -> None:
    service.publish(upload(service.film("old.mp4", Shot(0, 20, tag=9), Shot(20, 70, tag=9), End(70))))
    service.publish(upload(service.film("new.mp4", Shot(0, 10), End(10))))
    service.run()
    assert service.pool.decoded == ["old.mp4", "new.mp4"]
    [row] = service.index.assets("default")
    assert (row.end_s, row.segment_count) == (10, 1)


def test_what_waits_is_not_overtaken_by_what_comes_later(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=3)
    for name in ("first", "second"):
        service.publish(upload(service.film(name, Shot(0, 20), End(20))))
    while not service.announced():
        service.worker.run_once(0)
    service.publish(upload(service.film("third", Shot(0, 20), End(20))))
    service.run()
    assert service.pool.decoded == ["first", "second", "third"]
    [row] = service.index.assets("default")
    assert row.uri.endswith("third")


def test_a_cache_that_takes_nothing_new_does_not_keep_what_was_moved(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = service.film("a.mp4", Shot(0, 40), End(40))
    service.publish(upload(uri))
    service.run()
    keys = [SegmentKey("default", f"a:{index}") for index in range(2)]
    assert service.cache.get_many(keys).keys() == set(keys)
    monkeypatch.setattr(service.cache, "put_many", lambda _: None)
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.cache.get_many(keys) == {}


def test_what_is_deleted_is_out_of_the_cache_before_and_after(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 70), End(70), content="long")))
    service.run()
    keys = [SegmentKey("default", f"a:{index}") for index in range(3)]
    old = service.index.read(keys)
    delete = service.index.delete

    def beside_a_reader(tenant: str, asset_id: str) -> None:
        assert service.cache.get_many(keys) == {}, "after a crash from here on nobody would know what to discard"
        service.cache.put_many(old.values())  # a reader had it in hand
        delete(tenant, asset_id)

    monkeypatch.setattr(service.index, "delete", beside_a_reader)
    service.publish(upload(service.film("a.mp4", Shot(0, 20), End(20), content="short")))
    service.run()
    assert service.cache.get_many(keys).keys() == {keys[0]}
