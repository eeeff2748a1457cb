"""A replay does not undo what came after the record that it replays."""

import pytest

from services.cli.dlq.later import is_outdated
from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.events import AssetRemoved, Event, SegmentUploaded, UploadEnded
from tests.cli.dlq.conftest import Run
from tests.cli.dlq.fakes import AT, DEAD, FakeBus

TOPIC = topics.VIDEO_SEGMENTS


def whole(asset_id: str = "a") -> SegmentUploaded:
    return SegmentUploaded(asset_id=asset_id, uri="/a.mp4", uploaded_at=AT)


def segment(index: int, *, last: bool = False) -> SegmentUploaded:
    return whole().model_copy(update={"segment_index": index, "start_s": 9.0 * index, "last_segment": last})


def end(count: int) -> UploadEnded:
    return UploadEnded(asset_id="a", segment_count=count)


def publish(bus: FakeBus, *events: Event) -> None:
    bus.publish([to_message(TOPIC, event, source="test") for event in events])


def count_replayed(bus: FakeBus) -> int:
    return sum("dlq_replay_of" in record.message.headers for record in bus.topics[TOPIC])


@pytest.mark.parametrize("later", [AssetRemoved(asset_id="a"), whole(), end(1)], ids=lambda one: type(one).__name__)
def test_an_outdated_letter_is_refused_with_the_reason_and_force_replays_it(
    bus: FakeBus, run: Run, later: Event
) -> None:
    publish(bus, whole(), whole("b"))
    bus.add_new(TOPIC, since=0)
    publish(bus, later)
    ended = run("replay", "--yes")
    assert ended.exit_code == 1
    assert (
        f"not replayed: {DEAD} 0/0 of default/a is outdated by a later {type(later).__name__}, which it would undo: "
        "--force replays it"
    ) in ended.stderr.splitlines()
    assert ended.stdout == "1 of 1 dead letter replayed\n"
    assert [record.message.key for record in bus.topics[TOPIC][3:]] == ["default/b"]
    assert run("replay", "--yes", "--force", "--asset", "a").exit_code == 0
    assert bus.topics[TOPIC][-1].message.key == "default/a"


def test_the_limit_counts_what_is_not_outdated(bus: FakeBus, run: Run) -> None:
    publish(bus, whole(), whole("b"))
    bus.add_new(TOPIC, since=0)
    publish(bus, AssetRemoved(asset_id="a"))
    run("replay", "--yes", "--limit", "1")
    assert bus.topics[TOPIC][-1].message.key == "default/b"


def test_earlier_records_other_tenants_and_broken_ones_outdate_nothing(bus: FakeBus, run: Run) -> None:
    publish(bus, AssetRemoved(asset_id="a"), whole())
    bus.add_new(TOPIC, since=1)
    publish(bus, AssetRemoved(asset_id="a", tenant="other"))
    broken = to_message(TOPIC, AssetRemoved(asset_id="a"), source="test")
    broken.headers["ce_type"] = "wrong"  # type: ignore[index]
    bus.publish([broken])
    assert run("replay", "--yes").exit_code == 0
    assert count_replayed(bus) == 1


def test_of_a_broken_record_the_asset_alone_is_known(bus: FakeBus, run: Run) -> None:
    broken = to_message(TOPIC, segment(3), source="test")
    broken.headers["ce_type"] = "wrong"  # type: ignore[index]
    bus.publish([broken])
    bus.add_new(TOPIC, since=0)
    publish(bus, segment(4))
    assert "outdated by a later SegmentUploaded" in run("replay", "--yes").stderr
    assert count_replayed(bus) == 0


def test_letters_between_the_services_are_not_compared(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a", topic=topics.ENCODED_SEGMENTS)
    publish(bus, *[whole()] * 50)
    assert run("replay", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("event", "later", "outdated"),
    [
        (segment(1), segment(2), False),
        (segment(1), segment(2, last=True), False),
        (segment(1), end(2), False),
        (segment(1), end(1), True),
        (segment(1), segment(0, last=True), True),
        (segment(1), segment(0), False),
        (segment(1), segment(1), True),
        (segment(1), whole(), True),
        (segment(1), AssetRemoved(asset_id="a"), True),
        (whole(), segment(0), True),
        (end(1), segment(0), True),
        (AssetRemoved(asset_id="a"), whole(), True),
        (None, segment(0), True),
    ],
)
def test_a_segment_file_belongs_to_the_others_of_its_upload(event: Event | None, later: Event, outdated: bool) -> None:
    assert is_outdated(event, later) == outdated
