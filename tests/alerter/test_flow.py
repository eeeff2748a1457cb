"""The events about an asset: alerts that grow by revisions, and one verdict."""

from datetime import UTC, datetime

import pytest

from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.events import Side
from services.contracts.ports import Message
from services.runtime.rule import AlertRule
from tests.alerter.stages import (
    MODEL,
    Stages,
    bounds,
    copy,
    end_event,
    frames,
    original,
    segment_events,
    similar_frames,
    upload,
)
from tests.descriptors import UPLOADED_AT, cut, described, work
from tests.metric_values import metric_value


def test_an_alert_grows_by_revisions_across_a_segment_border() -> None:
    stages = Stages()
    segments = copy()
    stages.store(original(), segments)
    first, second, third = segment_events(segments)
    stages.process(first)
    stages.process(second)
    stages.process(third)
    assert [(one.status, bounds(one)) for one in stages.alerts()] == [
        ("open", [(22, 32, 20, 30)]),
        ("open", [(22, 52, 20, 50)]),
    ], "the third segment shows nothing of the original"
    assert stages.verdicts() == {}
    stages.process(end_event(segments))
    alert = stages.alerts()[-1]
    assert (alert.status, bounds(alert)) == ("final", [(22, 52, 20, 50)])
    assert (alert.query.asset_id, alert.reference.asset_id) == ("copy", "original")
    assert alert.query.uploaded_at == datetime.fromtimestamp(UPLOADED_AT + 60, UTC)
    assert alert.query_coverage == pytest.approx(30 / 90)
    assert alert.reference_coverage == pytest.approx(30 / 100)
    assert alert.score == pytest.approx(1, abs=1e-3)
    assert alert.model_version == MODEL
    assert alert.first_detected_at == stages.alerts()[0].detected_at < alert.detected_at
    assert len(stages.latest()) == 1
    verdict = stages.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.alert_ids, verdict.segments_described) == ("copies", (alert.alert_id,), 3)


def test_a_copy_that_only_both_halves_together_prove_is_found() -> None:
    stages = Stages(rule=AlertRule(threshold=0.35))
    segments = cut(
        "copy", frames(work(2, 0, 27), similar_frames(1, 40, 50, 0.35), work(2, 40, 67)), uploaded_at=UPLOADED_AT + 1
    )
    stages.store(original(), segments)
    first, second = segment_events(segments)
    stages.process(first)
    assert stages.alerts() == [], "five seconds of such similarity may be chance"
    stages.process(second)
    [alert] = stages.alerts()
    [(query_start, query_end, *_)] = bounds(alert)
    assert query_start == pytest.approx(27, abs=2)
    assert query_end == pytest.approx(37, abs=2)


def test_late_segments_after_the_verdict_continue_the_revisions() -> None:
    stages = Stages()
    segments = copy()
    stages.store(original(), segments)
    first, second, _ = segment_events(segments)
    stages.process(first, end_event(segments, count=1))
    stages.process(second)
    assert [(one.status, bounds(one)) for one in stages.alerts()] == [
        ("final", [(22, 32, 20, 30)]),
        ("final", [(22, 52, 20, 50)]),
    ]
    assert [one.segments_described for one in stages.all_verdicts()] == [1, 2]


def test_an_asset_without_copies_is_unique_and_one_that_shows_nothing_is_undecidable() -> None:
    stages = Stages()
    new = cut("new", work(7, 0, 64))
    black = [described("black", index, work(7, 0, 0)) for index in range(2)]
    stages.store(original(), new, black)
    stages.process(*segment_events(new), *segment_events(black), end_event(new), end_event(black))
    assert stages.alerts() == []
    verdicts = stages.verdicts()
    assert (verdicts["default/new"].verdict, verdicts["default/new"].segments_described) == ("unique", 2)
    assert (verdicts["default/black"].verdict, verdicts["default/black"].segments_undecidable) == ("undecidable", 2)


def test_a_failed_asset_still_gets_alerts_for_its_described_segments() -> None:
    stages = Stages()
    segments = copy()
    stages.store(original(), segments[:1])
    failed = end_event(segments[:1], status="failed", duration_s=None, reason="cut off")
    stages.process(*segment_events(segments[:1]), failed)
    [alert] = stages.alerts()
    assert alert.status == "final"
    verdict = stages.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.reason, verdict.alert_ids) == ("failed", "cut off", (alert.alert_id,))


def test_a_segment_that_is_missing_from_the_index_counts_as_complete() -> None:
    stages = Stages()
    segments = copy()
    stages.store(original())
    stages.process(*segment_events(segments), end_event(segments))
    assert stages.alerts() == []
    assert stages.verdicts()["default/copy"].segments_described == 3


def test_every_original_has_an_alert() -> None:
    stages = Stages()
    others = [cut(f"other-{number}", work(1, 0, 60), uploaded_at=UPLOADED_AT - number) for number in range(3)]
    segments = copy()
    stages.store(*others, segments)
    stages.process(*segment_events(segments), end_event(segments))
    alerts = stages.latest().values()
    assert {alert.reference for alert in alerts} == {
        Side(asset_id=f"other-{number}", uploaded_at=datetime.fromtimestamp(UPLOADED_AT - number, UTC))
        for number in range(3)
    }
    assert stages.verdicts()["default/copy"].alert_ids == tuple(sorted(alert.alert_id for alert in alerts))


def test_messages_continue_the_trace_of_their_event_and_have_the_key_of_the_asset() -> None:
    stages = Stages()
    segments = cut("copy", work(1, 0, 30), uploaded_at=UPLOADED_AT + 1)
    stages.store(original(), segments)
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    for event in (*segment_events(segments), end_event(segments)):
        sent = to_message(topics.ENCODED_SEGMENTS, event, source="test")
        stages.bus.publish([Message(sent.topic, sent.key, sent.value, {**sent.headers, **trace})])
    stages.run()
    [alert] = [record.message for record in stages.bus.records(topics.DUPLICATE_ALERTS)]
    [verdict] = [record.message for record in stages.bus.records(topics.ASSET_VERDICTS)]
    assert alert.headers["traceparent"] == verdict.headers["traceparent"] == trace["traceparent"]
    assert alert.key == stages.alerts()[0].alert_id
    assert verdict.key == "default/copy"


def test_a_segment_that_was_replaced_by_one_that_shows_nothing_is_not_compared() -> None:
    stages = Stages()
    stages.store(original(), [described("copy", 0, work(1, 0, 0))])
    replaced = cut("copy", work(1, 0, 30))
    stages.process(*segment_events(replaced), end_event(replaced))
    assert stages.alerts() == []
    assert stages.verdicts()["default/copy"].verdict == "undecidable"


def test_what_the_index_lost_is_not_unique_and_is_compared_when_it_is_announced_again() -> None:
    stages, segments = Stages(), copy()
    stages.store(original(), segments[2:])
    before = metric_value("copydetect_uncompared_segments_total")
    stages.process(*upload(segments))
    [lost] = stages.all_verdicts()
    assert (lost.verdict, lost.segments_described, lost.segments_compared) == ("undecidable", 3, 1)
    assert lost.reason == ("2 of 3 segments were compared with nothing: the index does not hold them (any more)")
    assert metric_value("copydetect_uncompared_segments_total") - before == 2

    stages.store(segments)
    stages.process(*upload(segments))
    assert [one.verdict for one in stages.all_verdicts()] == ["undecidable", "copies"]
    assert stages.all_verdicts()[-1].segments_compared == 3
