"""Segments that are stored already are not described again, only announced."""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.events import AssetEnded, Role, SegmentEncoded
from services.contracts.segments import DescribedSegment, SegmentKey
from tests.ingest.fakes import End, Failure, Shot, describe_film
from tests.ingest.service import AT, Service, stable_fields, upload


def deliver_again(service: Service, offset: int) -> list[SegmentEncoded | AssetEnded]:
    """Work once more on a record that is done. Returns the events."""
    service.pipeline.accept(service.bus.records(topics.VIDEO_SEGMENTS)[offset])
    outcomes = []
    while not service.pipeline.is_idle:
        outcomes += service.pipeline.advance(0)
    events = [to_event(message) for outcome in outcomes for message in outcome.messages]
    assert all(isinstance(event, SegmentEncoded | AssetEnded) for event in events)
    return events  # type: ignore[return-value]


def test_a_redelivered_record_is_announced_again_without_work(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 40, black=True), Shot(40, 70), End(70))))
    service.run()
    first, writes = service.events(), service.index.writes
    again = deliver_again(service, 0)
    assert service.pool.decoded == ["a.mp4"]
    assert service.index.writes == writes
    assert [stable_fields(event) for event in again] == [stable_fields(event) for event in first]
    assert {event.generation for event in again} == set(service.generations())
    timestamps = {event.index_timestamp for event in again if isinstance(event, SegmentEncoded)}
    assert timestamps == {None}, "None: a search must see every write"


def test_an_upload_that_is_published_again_is_announced_with_its_new_generation(service: Service) -> None:
    uri = service.write_film("a.mp4", Shot(0, 40), Shot(40, 70), End(70))
    service.publish(upload(uri))
    service.run()
    before = len(service.events())
    service.publish(upload(uri, uploaded_at=AT + timedelta(days=1)))
    service.run()
    assert service.pool.decoded == ["a.mp4"]
    generation = service.generations()[1]
    *segments, ended = service.events(since=before)
    assert [segment.segment_id for segment in segments if isinstance(segment, SegmentEncoded)] == ["a:0", "a:1", "a:2"]
    assert isinstance(ended, AssetEnded)
    assert (ended.generation, ended.segment_count) == (generation, 3)
    assert ended.uploaded_at == AT + timedelta(days=1)
    for segment in service.segments(since=before):
        assert (segment.generation, segment.uploaded_at) == (generation, AT), "the time of its first upload"
    for stored in (service.stored(), service.cached()):
        assert [one.row.generation for one in stored] == [generation] * 3
        np.testing.assert_allclose(stored[0].descriptor.frames, describe_film(100, 32), atol=1e-3)
    assert service.committed_offset() == 2


def test_an_upload_whose_frames_cannot_be_read_is_described_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = upload(service.write_film("a.mp4", Shot(0, 40), End(40)))
    service.publish(event)
    service.run()
    read, torn = service.index.read, [True]

    def read_torn_once(keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        return {} if torn and torn.pop() else read(keys)

    monkeypatch.setattr(service.index, "read", read_torn_once)
    service.publish(event)
    service.run()
    assert service.pool.decoded == ["a.mp4", "a.mp4"]
    assert [one.row.generation for one in service.stored()] == [service.generations()[1]] * 2


@pytest.mark.parametrize("other", ["later content", "equal content"])
def test_a_record_that_is_delivered_late_changes_nothing_of_later_uploads(service: Service, other: str) -> None:
    old = service.write_film("old.mp4", Shot(0, 40, tag=9), End(40))
    new = service.write_film("new.mp4", Shot(0, 20), End(20)) if other == "later content" else old
    service.publish(upload(old))
    service.run()
    service.publish(upload(new))
    service.run()
    first, second = service.generations()
    stored = [one.row for one in service.stored()]
    assert {row.generation for row in stored} == {second}

    events = deliver_again(service, 0)
    assert {event.generation for event in events} == {first}
    assert isinstance(events[-1], AssetEnded)
    assert [one.row for one in service.stored()] == stored
    assert len(service.cached()) == len(stored)


def test_another_role_is_stored_without_decoding(service: Service) -> None:
    uri = service.write_film("a.mp4", Shot(0, 40), End(40))
    service.publish(upload(uri))
    service.run()
    frames = [one.descriptor.frames for one in service.stored()]
    before = len(service.events())
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.pool.decoded == ["a.mp4"]
    assert [stable_fields(event)[:2] for event in service.events(since=before)[:2]] == [
        ("a:0", Role.REFERENCE),
        ("a:1", Role.REFERENCE),
    ]
    assert [row.role for row in service.index.read_rows("default", ["a"])] == [Role.REFERENCE] * 2, "and no others"
    assert [one.row.generation for one in service.stored()] == [service.generations()[1]] * 2
    assert [one.row for one in service.cached()] == [one.row for one in service.stored()]
    for one, expected in zip(service.stored(), frames, strict=True):
        np.testing.assert_array_equal(one.descriptor.frames, expected)
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.pool.decoded == ["a.mp4"], "stamp and segment count are unchanged"


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
    assert [ended.generation for ended in service.endings()] == service.generations()
    assert service.committed_offset() == 2


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


def test_an_upload_that_is_decoded_again_is_not_overtaken_by_a_later_one(service: Service) -> None:
    starved = Failure("the decoder was killed", may_pass=True)
    service.publish(upload(service.write_film("first", Shot(0, 40), starved)))
    service.publish(upload(service.write_film("second", Shot(0, 20), End(20))))
    service.run()
    assert service.pool.decoded == ["first"] * 3 + ["second"]
    assert [ended.segment_count for ended in service.endings()] == [1, 1]
