"""The events about an asset: alerts that grow by revisions, and one verdict."""

from datetime import UTC, datetime

import pytest

from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.events import AssetEnded, AssetVerdict, Side
from services.contracts.ports import Message
from services.contracts.segments import Candidate, SearchRequest
from tests.descriptors import UPLOADED_AT, cut, described, work
from tests.matcher.matcher import (
    MODEL,
    Matcher,
    bounds,
    copy,
    end_event,
    frames,
    original,
    segment_events,
    similar_frames,
    upload,
)
from tests.metric_values import metric_value


def test_an_alert_grows_by_revisions_across_a_segment_border() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    first, second, third = segment_events(segments)
    matcher.process(first)
    matcher.process(second)
    matcher.process(third)
    assert [(one.revision, one.status, bounds(one)) for one in matcher.alerts()] == [
        (1, "open", [(22, 32, 20, 30)]),
        (2, "open", [(22, 52, 20, 50)]),
    ], "the third segment shows nothing of the original"
    assert matcher.verdicts() == {}
    matcher.process(end_event(segments))
    alert = matcher.alerts()[-1]
    assert (alert.revision, alert.status, bounds(alert)) == (3, "final", [(22, 52, 20, 50)])
    assert (alert.query.asset_id, alert.reference.asset_id) == ("copy", "original")
    assert alert.query.uploaded_at == datetime.fromtimestamp(UPLOADED_AT + 60, UTC)
    assert alert.query_coverage == pytest.approx(30 / 90)
    assert alert.reference_coverage == pytest.approx(30 / 100)
    assert alert.score == pytest.approx(1, abs=1e-3)
    assert alert.model_version == MODEL
    assert alert.first_detected_at == matcher.alerts()[0].detected_at < alert.detected_at
    assert len(matcher.latest()) == 1
    verdict = matcher.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.alert_ids, verdict.segments_described) == ("copies", (alert.alert_id,), 3)


def test_a_copy_that_only_both_halves_together_prove_is_found() -> None:
    matcher = Matcher()
    segments = cut(
        "copy", frames(work(2, 0, 27), similar_frames(1, 40, 50, 0.65), work(2, 40, 67)), uploaded_at=UPLOADED_AT + 1
    )
    matcher.store(original(), segments)
    first, second = segment_events(segments)
    matcher.process(first)
    assert matcher.alerts() == [], "five seconds of such similarity may be chance"
    matcher.process(second)
    [alert] = matcher.alerts()
    [(query_start, query_end, *_)] = bounds(alert)
    assert query_start == pytest.approx(27, abs=2)
    assert query_end == pytest.approx(37, abs=2)


def test_a_segment_of_another_model_is_a_dead_letter_and_the_next_one_is_processed() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    matcher.process(*segment_events(segments, model_version="v2")[:1], *segment_events(segments), end_event(segments))
    [dead] = matcher.dead_letters()
    assert dead.headers["dlq_stage"] == "parse"
    assert "v2" in dead.headers["dlq_reason"]
    assert MODEL in dead.headers["dlq_reason"]
    assert dead.value == matcher.bus.records(topics.ENCODED_SEGMENTS)[0].message.value
    assert len(matcher.latest()) == 1


def test_messages_that_do_not_belong_on_the_topic_are_dead_letters() -> None:
    matcher = Matcher()
    matcher.bus.publish([Message(topics.ENCODED_SEGMENTS, "k", b"{}", {"ce_type": "copydetect.SegmentEncoded.v1"})])
    alien = AssetVerdict(
        asset_id="a",
        verdict="unique",
        alert_ids=(),
        segments_described=1,
        segments_undecidable=0,
        segments_failed=0,
        decided_at=datetime.now(UTC),
    )
    matcher.process(alien)
    assert [dead.headers["dlq_offset"] for dead in matcher.dead_letters()] == ["0", "1"]
    assert "AssetVerdict does not belong" in matcher.dead_letters()[1].headers["dlq_reason"]
    assert matcher.alerts() == []


def test_late_segments_after_the_verdict_continue_the_revisions() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    first, second, _ = segment_events(segments)
    matcher.process(first, end_event(segments, count=1))
    verdict = matcher.verdicts()["default/copy"]
    matcher.process(second)
    assert [(one.revision, one.status, bounds(one)) for one in matcher.alerts()] == [
        (1, "final", [(22, 32, 20, 30)]),
        (2, "final", [(22, 52, 20, 50)]),
    ]
    assert matcher.verdicts() == {"default/copy": verdict}


def test_an_asset_without_copies_is_unique_and_one_that_shows_nothing_is_undecidable() -> None:
    matcher = Matcher()
    new = cut("new", work(7, 0, 64))
    black = [described("black", index, work(7, 0, 0)) for index in range(2)]
    matcher.store(original(), new, black)
    matcher.process(*segment_events(new), *segment_events(black), end_event(new), end_event(black))
    assert matcher.alerts() == []
    verdicts = matcher.verdicts()
    assert (verdicts["default/new"].verdict, verdicts["default/new"].segments_described) == ("unique", 2)
    assert (verdicts["default/black"].verdict, verdicts["default/black"].segments_undecidable) == ("undecidable", 2)


def test_a_failed_asset_still_gets_alerts_for_its_described_segments() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments[:1])
    failed = AssetEnded(asset_id="copy", segment_count=1, duration_s=None, status="failed", reason="cut off")
    matcher.process(*segment_events(segments[:1]), failed)
    [alert] = matcher.alerts()
    assert alert.status == "final"
    verdict = matcher.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.reason, verdict.alert_ids) == ("failed", "cut off", (alert.alert_id,))


def test_a_segment_that_is_missing_from_the_index_counts_as_complete() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original())
    matcher.process(*segment_events(segments), end_event(segments))
    assert matcher.alerts() == []
    assert matcher.verdicts()["default/copy"].segments_described == 3


def test_every_original_has_an_alert() -> None:
    matcher = Matcher()
    others = [cut(f"other-{number}", work(1, 0, 60), uploaded_at=UPLOADED_AT - number) for number in range(3)]
    segments = copy()
    matcher.store(*others, segments)
    matcher.process(*segment_events(segments), end_event(segments))
    alerts = matcher.latest().values()
    assert {alert.reference for alert in alerts} == {
        Side(asset_id=f"other-{number}", uploaded_at=datetime.fromtimestamp(UPLOADED_AT - number, UTC))
        for number in range(3)
    }
    assert matcher.verdicts()["default/copy"].alert_ids == tuple(sorted(alert.alert_id for alert in alerts))


def test_messages_continue_the_trace_of_their_event_and_have_the_key_of_the_asset() -> None:
    matcher = Matcher()
    segments = cut("copy", work(1, 0, 30), uploaded_at=UPLOADED_AT + 1)
    matcher.store(original(), segments)
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    for event in (*segment_events(segments), end_event(segments)):
        sent = to_message(topics.ENCODED_SEGMENTS, event, source="test")
        matcher.bus.publish([Message(sent.topic, sent.key, sent.value, {**sent.headers, **trace})])
    matcher.run()
    [alert] = [record.message for record in matcher.bus.records(topics.DUPLICATE_ALERTS)]
    [verdict] = [record.message for record in matcher.bus.records(topics.ASSET_VERDICTS)]
    assert alert.headers["traceparent"] == verdict.headers["traceparent"] == trace["traceparent"]
    assert alert.key == matcher.alerts()[0].pair_id
    assert verdict.key == "default/copy"


def test_a_segment_that_was_replaced_by_one_that_shows_nothing_is_not_compared() -> None:
    matcher = Matcher()
    matcher.store(original(), [described("copy", 0, work(1, 0, 0))])
    replaced = cut("copy", work(1, 0, 30))
    matcher.process(*segment_events(replaced), end_event(replaced))
    assert matcher.alerts() == []
    assert matcher.verdicts()["default/copy"].verdict == "undecidable"


def test_what_the_index_lost_is_not_unique_and_is_compared_when_it_is_announced_again() -> None:
    matcher, segments = Matcher(), copy()
    matcher.store(original(), segments[2:])
    before = metric_value("copydetect_uncompared_segments_total")
    matcher.process(*upload(segments))
    [lost] = matcher.all_verdicts()
    assert (lost.verdict, lost.segments_described, lost.segments_compared) == ("undecidable", 3, 1)
    assert lost.reason == ("2 of 3 segments were compared with nothing: the index does not hold them (any more)")
    assert metric_value("copydetect_uncompared_segments_total") - before == 2

    matcher.store(segments)
    matcher.process(*upload(segments))
    assert [one.verdict for one in matcher.all_verdicts()] == ["undecidable", "copies"]
    assert matcher.all_verdicts()[-1].segments_compared == 3


def test_no_records_lead_to_no_messages() -> None:
    matcher = Matcher()
    assert not matcher.worker.run_once(0)
    assert matcher.pipeline([]).is_empty


@pytest.mark.parametrize(("timestamps", "after"), [((5, 7), 7), ((5, None), None), ((None, None), None)])
def test_a_segment_announced_again_has_no_timestamp_and_its_search_sees_all_writes(
    timestamps: tuple[int | None, int | None], after: int | None
) -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    searched_after: list[int | None] = []
    search = matcher.index.search_segments

    def spy(request: SearchRequest) -> list[list[Candidate]]:
        searched_after.append(request.after)
        return search(request)

    matcher.index.search_segments = spy  # type: ignore[method-assign]
    events = zip(segment_events(copy()), timestamps, strict=False)
    matcher.process(*(event.model_copy(update={"index_timestamp": timestamp}) for event, timestamp in events))
    assert searched_after == [after] * 2, "among all and among references"
