"""Encoded segments in, evidence for the query side of each pair out; nothing is kept in between."""

from datetime import UTC, datetime

import pytest

from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.events import AssetEvent, AssetVerdict, Role, SegmentStatus
from services.contracts.evidence import PairEvidence, SegmentSearched
from services.contracts.ports import Message
from services.contracts.segments import Candidate, SearchRequest
from tests.alerter.by_hand import erased
from tests.alerter.stages import MODEL, Stages, copy, end_event, original, segment_events, upload
from tests.descriptors import UPLOADED_AT, cut, described, work
from tests.metric_values import metric_value


def search(stages: Stages, *events: AssetEvent) -> list[AssetEvent]:
    """What follows from these events."""
    found = [to_event(message) for message in stages.search(*events)]
    assert all(isinstance(event, AssetEvent) for event in found)
    return found  # type: ignore[return-value]


def stages_with_copy() -> Stages:
    stages = Stages()
    stages.store(original(), copy())
    return stages


def test_the_query_side_gets_its_evidence_with_its_segment() -> None:
    stages = stages_with_copy()
    found = search(stages, *segment_events(copy()))
    assert [(type(event), event.key) for event in found] == [(SegmentSearched, "default/copy")] * 3
    first, second, third = found
    assert isinstance(first, SegmentSearched)
    assert isinstance(second, SegmentSearched)
    assert isinstance(third, SegmentSearched)
    assert [finding.other.asset_id for finding in (*first.findings, *second.findings)] == ["original"] * 2
    assert (third.findings, third.is_compared) == ((), True), "it shows nothing of the original"


def test_evidence_that_the_reference_side_finds_is_sent_to_the_query_side_before_its_own_segment() -> None:
    stages = stages_with_copy()
    found = search(stages, *segment_events(original())[:1])
    evidence, own = found
    assert isinstance(evidence, PairEvidence)
    assert isinstance(own, SegmentSearched)
    assert (evidence.key, own.key) == ("default/copy", "default/original")
    assert own.findings == ()
    assert (evidence.reference.asset_id, evidence.finding.other.asset_id) == ("original", "copy")
    assert evidence.reference.duration_s == 100
    assert (evidence.generation, evidence.start_s, evidence.end_s, evidence.model_version) == (1, 0, 32, MODEL)


def test_a_probe_has_all_its_evidence_and_sends_none_to_references() -> None:
    stages = stages_with_copy()
    probe = cut("probe", work(1, 20, 50), role=Role.PROBE, uploaded_at=UPLOADED_AT + 99)
    stages.store(probe)
    [own] = search(stages, *segment_events(probe))
    assert isinstance(own, SegmentSearched)
    assert {finding.other.asset_id for finding in own.findings} == {"copy", "original"}


def test_a_segment_as_ingest_announced_it_is_passed_on_with_its_generation_and_content() -> None:
    stages, files = Stages(), [described("a", 2, work(1), is_whole_file=False, generation=7)]
    stages.store(files)
    [announced] = segment_events(files)
    [own] = search(stages, announced)
    assert isinstance(own, SegmentSearched)
    assert (own.generation, own.content, own.is_whole_file) == (7, files[0].row.content, False)
    assert (own.segment_index, own.start_s, own.end_s, own.frame_count) == (2, 64, 96, 32)
    assert (own.role, own.status, own.uploaded_at) == (announced.role, announced.status, announced.uploaded_at)
    assert own.calibration.basis == "", "which no event needs"


def test_ends_and_removals_are_passed_on_in_order() -> None:
    stages = stages_with_copy()
    events = [*upload(copy()), erased(9, asset_id="copy")]
    found = search(stages, *events)
    assert [type(event) for event in found] == [SegmentSearched] * 3 + [type(event) for event in events[3:]]
    assert found[3:] == events[3:]


def test_what_was_not_described_is_passed_on_without_a_search() -> None:
    stages = stages_with_copy()
    failed = segment_events(copy())[0].model_copy(update={"status": SegmentStatus.FAILED, "content": None})
    shows_nothing = segment_events([described("copy", 1, work(1, 0, 0))])
    stages.index.search_segments = None  # type: ignore[assignment]
    for event in (failed, *shows_nothing):
        [own] = search(stages, event)
        assert isinstance(own, SegmentSearched)
        assert (own.status, own.findings, own.is_compared) == (event.status, (), True)


def test_what_the_index_does_not_hold_was_not_compared() -> None:
    stages = Stages()
    stages.store(original(), copy()[:1])
    before = metric_value("copydetect_uncompared_segments_total")
    found = search(stages, *segment_events(copy()))
    assert [event.is_compared for event in found if isinstance(event, SegmentSearched)] == [True, False, False]
    assert metric_value("copydetect_uncompared_segments_total") - before == 2


def test_other_content_under_the_same_name_is_not_compared_instead() -> None:
    stages = Stages()
    stages.store(original(), copy(stamp="replaced", generation=2))
    [own] = search(stages, *segment_events(copy())[:1])
    assert isinstance(own, SegmentSearched)
    assert (own.findings, own.is_compared) == ((), False)


def test_roles_that_do_not_search_count_as_compared() -> None:
    stages = Stages(searching_roles=frozenset({Role.PROBE}))
    stages.store(original(), copy())
    found = search(stages, *segment_events(copy()))
    assert [(event.findings, event.is_compared) for event in found if isinstance(event, SegmentSearched)] == [
        ((), True)
    ] * 3


def test_assets_that_were_decided_earlier_are_skipped() -> None:
    stages = Stages(already_decided=frozenset({("default", "original")}))
    stages.store(original(), copy())
    assert {event.asset_id for event in search(stages, *upload(original()), *upload(copy()))} == {"copy"}


def test_the_search_of_a_removed_asset_leads_to_no_evidence() -> None:
    stages = stages_with_copy()
    found = stages.match_pipeline._search
    event = segment_events(copy())[0]

    def search_and_remove(*arguments: object, **options: object) -> object:
        result = found(*arguments, **options)  # type: ignore[arg-type]
        stages.index.delete("default", "copy", before=2)
        return result

    stages.match_pipeline._search = search_and_remove  # type: ignore[assignment]
    [own] = search(stages, event)
    assert isinstance(own, SegmentSearched)
    assert own.findings == ()


def test_events_of_another_model_are_left_alone() -> None:
    stages = stages_with_copy()
    events = [*segment_events(copy(), model_version="v2"), end_event(copy(), model_version="v2")]
    assert search(stages, *events, erased(9, model_version="v2")) == []
    unnamed = end_event(copy(), model_version=None)
    assert search(stages, unnamed) == [unnamed], "an uploader ended it"


def test_messages_that_do_not_belong_on_the_topic_are_dead_letters() -> None:
    stages = Stages()
    stages.bus.publish([Message(topics.ENCODED_SEGMENTS, "k", b"{}", {"ce_type": "copydetect.SegmentEncoded.v1"})])
    alien = AssetVerdict(
        asset_id="a",
        verdict="unique",
        alert_ids=(),
        segments_described=1,
        segments_undecidable=0,
        segments_failed=0,
        decided_at=datetime.now(UTC),
    )
    before = metric_value("copydetect_dead_letters_total", stage="parse")
    stages.process(alien)
    assert [dead.headers["dlq_offset"] for dead in stages.dead_letters()] == ["0", "1"]
    assert "AssetVerdict does not belong" in stages.dead_letters()[1].headers["dlq_reason"]
    assert stages.dead_letters()[1].value == stages.bus.records(topics.ENCODED_SEGMENTS)[1].message.value
    assert metric_value("copydetect_dead_letters_total", stage="parse") - before == 2
    assert stages.bus.records(topics.MATCH_EVIDENCE) == []


@pytest.mark.parametrize(("timestamps", "after"), [((5, 7), 7), ((5, None), None), ((None, None), None)])
def test_a_segment_announced_again_has_no_timestamp_and_its_search_sees_all_writes(
    timestamps: tuple[int | None, int | None], after: int | None
) -> None:
    stages = stages_with_copy()
    searched_after: list[int | None] = []
    search_segments = stages.index.search_segments

    def spy(request: SearchRequest) -> list[list[Candidate]]:
        searched_after.append(request.after)
        return search_segments(request)

    stages.index.search_segments = spy  # type: ignore[method-assign]
    events = zip(segment_events(copy()), timestamps, strict=False)
    stages.process(*(event.model_copy(update={"index_timestamp": timestamp}) for event, timestamp in events))
    assert searched_after == [after] * 2, "among all and among references"
