"""Uploads become stored and announced segments; frames that show nothing are left out."""

import numpy as np
import pytest

from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.errors import TransientError
from services.contracts.events import AssetEnded, Role, SegmentStatus
from services.contracts.ports import Message
from tests.ingest.fakes import End, Failure, Shot, describe_film
from tests.ingest.service import AT, MODEL, Service, stable_fields, upload


def test_a_whole_file_is_announced_segment_by_segment_and_then_its_end(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 20), Shot(20, 40), Shot(40, 70), End(70.5))))
    service.run()
    assert [stable_fields(event) for event in service.events()] == [
        ("a:0", Role.UPLOAD, 0, 32, SegmentStatus.DESCRIBED, 32),
        ("a:1", Role.UPLOAD, 32, 64, SegmentStatus.DESCRIBED, 32),
        ("a:2", Role.UPLOAD, 64, 70.5, SegmentStatus.DESCRIBED, 6),
        ("a", 3, 70.5, "complete"),
    ]
    assert [event.index_timestamp for event in service.segments()] == [1, 2, 3]
    assert all(event.model_version == MODEL and event.uploaded_at == AT for event in service.segments())
    [generation] = service.generations()
    assert {event.generation for event in service.segments()} == {generation}
    [ended] = service.endings()
    assert (ended.generation, ended.model_version, ended.uploaded_at) == (generation, MODEL, AT)
    rows = service.index.read_rows("default", ["a"])
    assert {row.generation for row in rows} == {generation}
    assert all(row.is_whole_file for row in rows)
    assert [row.segment_count for row in rows] == [0, 0, 3], "only the last segment has the count"
    assert {row.uploaded_at for row in rows} == {AT.timestamp()}
    assert service.cache.get_many([row.key for row in rows]).keys() == {row.key for row in rows}
    assert service.committed_offset() == 1
    assert service.dead_letters() == []


def test_a_segment_is_stored_and_announced_while_the_file_is_still_decoded(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 40), Shot(40, 50), End(50))))
    assert service.worker.run_once(0)
    assert service.index.log == ["stored a:0", "announced a:0"]
    assert service.committed_offset() == 0, "the file is not done yet"
    service.run()
    assert service.index.log == ["stored a:0", "announced a:0", "stored a:1", "announced a:1"]


def test_a_segment_that_cannot_be_stored_is_neither_announced_nor_committed(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 40), End(40))))
    service.index.down = True
    with pytest.raises(TransientError):
        service.run()
    assert service.events() == []
    assert service.dead_letters() == []
    assert service.committed_offset() == 0
    service.index.down = False
    service.restart()
    service.run()
    assert [stable_fields(event)[0] for event in service.events()] == ["a:0", "a:1", "a"]


def test_frames_of_several_files_share_a_batch(service: Service) -> None:
    for name, tag in (("a", 1), ("b", 200)):
        service.publish(upload(service.write_film(name, Shot(0, 10, tag), Shot(10, 15, tag), End(15)), name))
    service.run()
    assert service.extractor.batches == [20, 10]
    for name, tag in (("a", 1), ("b", 200)):
        [segment] = service.stored(name)
        np.testing.assert_allclose(segment.descriptor.frames, describe_film(tag, 15), rtol=1e-6)


def test_the_events_of_an_upload_continue_its_trace(service: Service) -> None:
    sent = to_message(topics.VIDEO_SEGMENTS, upload(service.write_film("a.mp4", Shot(0, 3), End(3))), source="test")
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    service.bus.publish([Message(sent.topic, sent.key, sent.value, {**sent.headers, **trace})])
    service.run()
    records = service.bus.records(topics.ENCODED_SEGMENTS)
    assert [record.message.headers["traceparent"] for record in records] == [trace["traceparent"]] * 2
    assert {record.message.key for record in records} == {"default/a"}


def test_a_failure_in_the_middle_of_a_file_keeps_its_segments_and_ends_the_asset(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 40), Failure("the decoder crashed"))))
    service.run()
    segment, ended = service.events()
    assert stable_fields(segment)[0] == "a:0"
    assert isinstance(ended, AssetEnded)
    assert (ended.segment_count, ended.status, ended.reason) == (1, "failed", "the decoder crashed")
    assert ended.duration_s is None
    [dead] = service.dead_letters()
    [original] = service.bus.records(topics.VIDEO_SEGMENTS)
    assert (dead.key, dead.value) == (original.message.key, original.message.value)
    assert dead.headers["dlq_stage"] == "decode"
    assert dead.headers["dlq_reason"] == "the decoder crashed"
    assert (dead.headers["dlq_topic"], dead.headers["dlq_offset"]) == (topics.VIDEO_SEGMENTS, "0")
    assert service.committed_offset() == 1


def test_the_end_of_a_file_says_how_much_of_it_could_be_decoded(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 40), End(60, decoded_share=2 / 3))))
    service.run()
    assert [ended.decoded_share for ended in service.endings()] == [0.6667]
    uri = service.write_film("b.ts", Shot(0, 9), End(9, decoded_share=0.8))
    service.publish(upload(uri, "b", segment_index=0, start_s=0, last_segment=True))
    service.run()
    assert service.endings()[-1].decoded_share is None, "it is known of one file among several"


def test_a_segment_that_shows_nothing_is_stored_and_undecidable(service: Service) -> None:
    black = Shot(32, 64, black=True)
    service.publish(upload(service.write_film("a.mp4", Shot(0, 32), black, Shot(64, 70), End(70))))
    service.run()
    assert [event.status for event in service.segments()] == ["described", "undecidable", "described"]
    undecidable = service.segments()[1]
    assert undecidable.frame_count == 0
    assert undecidable.reason
    assert "black" in undecidable.reason
    stored = service.stored()[1]
    assert not stored.vector.any()


def test_frames_that_show_nothing_are_left_out_of_their_segment(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 5, black=True), Shot(5, 9), End(9))))
    service.run()
    [stored] = service.stored()
    assert stored.descriptor.timestamps_s.tolist() == [5, 6, 7, 8]
    assert (stored.row.start_s, stored.row.end_s) == (0, 9)
