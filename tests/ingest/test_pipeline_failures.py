"""What fails is reported: by a dead letter, and by the end of the asset."""

import pytest
from prometheus_client import REGISTRY

from services.contracts import topics
from services.contracts.events import AssetEnded
from services.contracts.ports import Message, Record
from tests.ingest.fakes import MAX_BYTES, End, Failure, Shot
from tests.ingest.service import Service, stable_fields, upload


def test_invalid_messages_become_dead_letters_and_the_next_one_is_processed(service: Service) -> None:
    kind = {"ce_type": "copydetect.SegmentUploaded.v1"}
    wrong = [
        Message(topics.VIDEO_SEGMENTS, "k", b"not json", kind),
        Message(topics.VIDEO_SEGMENTS, "k", b'{"asset_id": "a"}', kind),
        Message(topics.VIDEO_SEGMENTS, "k", b"\xff\x00", {}),
    ]
    service.bus.publish(wrong)
    service.publish(AssetEnded(asset_id="z", segment_count=1, duration_s=1, status="complete"))
    service.publish(upload(service.write_film("a.mp4", Shot(0, 3), End(3))))
    service.run()
    dead = service.dead_letters()
    assert [message.value for message in dead[:3]] == [message.value for message in wrong]
    assert [message.headers["dlq_stage"] for message in dead] == ["parse"] * 4
    assert [message.headers["dlq_offset"] for message in dead] == ["0", "1", "2", "3"]
    for message, came in zip(dead[2:], ("None", "'copydetect.AssetEnded.v1'"), strict=True):
        assert message.headers["dlq_reason"] == (
            f"header ce_type is {came}, expected one of: copydetect.SegmentUploaded.v1, copydetect.UploadEnded.v1, "
            "copydetect.AssetRemoved.v1"
        )
    assert [stable_fields(event)[0] for event in service.events()] == ["a:0", "a"]
    assert service.committed_offset() == 5


@pytest.mark.parametrize(
    ("content", "uri", "expected"),
    [
        (None, "{path}", "No such file"),
        ("", "{path}", "empty"),
        ("x" * (MAX_BYTES + 1), "{path}", "exceed"),
        ("film", "http://example.org/{path}", "only local files"),
    ],
)
def test_a_file_that_cannot_be_fetched_ends_its_asset(
    service: Service, content: str | None, uri: str, expected: str
) -> None:
    path = service.folder / "a.mp4"
    if content is not None:
        path.write_text(content)
    service.publish(upload(uri.format(path=path)))
    service.run()
    [ended] = service.events()
    assert isinstance(ended, AssetEnded)
    assert (ended.segment_count, ended.status) == (0, "failed")
    assert ended.reason
    assert expected in ended.reason
    assert [dead.headers["dlq_stage"] for dead in service.dead_letters()] == ["fetch"]
    assert service.committed_offset() == 1


def test_reasons_of_a_presigned_upload_contain_no_credentials(service: Service) -> None:
    service.publish(upload("https://me:word@example.org/a.mp4?X-Amz-Signature=key#t"))
    service.run()
    [ended] = service.events()
    assert isinstance(ended, AssetEnded)
    [dead] = service.dead_letters()
    for reason in (ended.reason, dead.headers["dlq_reason"]):
        assert reason
        assert "https://example.org/a.mp4" in reason
        assert "key" not in reason
        assert "word" not in reason


def test_a_file_is_decoded_three_times_if_the_machine_may_be_to_blame(service: Service) -> None:
    starved = Failure("the decoder was killed", may_pass=True)
    service.publish(upload(service.write_film("a", Shot(0, 40), starved), "a"))
    service.publish(upload(service.write_film("b", Failure("broken")), "b"))
    service.run()
    assert service.pool.decoded.count("a") == 3
    assert service.pool.decoded.count("b") == 1
    reasons = {dead.key: dead.headers["dlq_reason"] for dead in service.dead_letters()}
    assert reasons == {"default/a": "the decoder was killed, in each of 3 attempts", "default/b": "broken"}
    assert service.committed_offset() == 2


def test_a_file_that_was_killed_once_is_described(service: Service) -> None:
    path = service.write_film("a", Shot(0, 40), Failure("the decoder was killed", may_pass=True))
    service.publish(upload(path, "a"))
    while service.pool.decoded.count("a") < 2:
        service.worker.run_once(0)
        service.scripts[path] = [Shot(0, 40), End(40)]
    service.run()
    assert service.dead_letters() == []
    assert {segment.segment_id for segment in service.segments()} == {"a:0", "a:1"}
    assert [event.status for event in service.events() if isinstance(event, AssetEnded)] == ["complete"]


def test_records_that_the_bus_could_not_read_are_a_dead_letter(service: Service) -> None:
    unreadable = Record(Message(topics.VIDEO_SEGMENTS, "", b"\x00raw"), 0, 4, fault="the records cannot be read")
    outcome = service.pipeline.accept(unreadable)
    assert outcome.done
    [dead] = outcome.messages
    assert dead.value == b"\x00raw"
    assert dead.headers == {
        "dlq_batch": "unreadable",
        "dlq_reason": "the records cannot be read",
        "dlq_stage": "parse",
        "dlq_topic": "video-segments",
        "dlq_partition": "0",
        "dlq_offset": "4",
    }


def test_segments_failures_and_stages_are_counted_in_metrics(service: Service) -> None:
    before = read_metrics()
    black = Shot(32, 64, black=True)
    service.publish(upload(service.write_film("a", Shot(0, 32), black, Shot(64, 70), End(70)), "a"))
    service.publish(upload(service.write_film("b", Failure("broken")), "b"))
    service.publish(upload(str(service.folder / "none"), "c", segment_index=0, start_s=0))
    service.run()
    after = read_metrics()
    assert {name: after[name] - before[name] for name in after} == {
        "copydetect_segments_total described": 2,
        "copydetect_segments_total undecidable": 1,
        "copydetect_segments_total failed": 1,
        "copydetect_dead_letters_total decode": 1,
        "copydetect_dead_letters_total fetch": 1,
        "copydetect_frames_encoded_total ": 70,
        "copydetect_media_seconds_total ": 70,
        "copydetect_stage_seconds_count decode": 2,
        "copydetect_stage_seconds_count store": 3,
    }


def read_metrics() -> dict[str, float]:
    names = {
        "copydetect_segments_total": ("status", ("described", "undecidable", "failed")),
        "copydetect_dead_letters_total": ("stage", ("decode", "fetch")),
        "copydetect_frames_encoded_total": ("", ("",)),
        "copydetect_media_seconds_total": ("", ("",)),
        "copydetect_stage_seconds_count": ("stage", ("decode", "store")),
    }
    return {
        f"{name} {value}": REGISTRY.get_sample_value(name, {label: value} if label else {}) or 0.0
        for name, (label, values) in names.items()
        for value in values
    }
