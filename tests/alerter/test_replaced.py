"""An asset whose content was replaced is decided again, and alerts about what it no longer shows are withdrawn."""

from typing import Unpack

import pytest

from services.contracts.events import DuplicateAlert
from services.contracts.segments import DescribedSegment
from tests.alerter.stages import (
    THRESHOLD,
    Stages,
    bounds,
    copy,
    end_event,
    exact_fields,
    original,
    segment_events,
    similar_frames,
    upload,
)
from tests.descriptors import UPLOADED_AT, RowFields, cut, work


def other_copy(**fields: Unpack[RowFields]) -> list[DescribedSegment]:
    """Replaces the copy: two segments that show another stretch of the original."""
    changed: RowFields = {"stamp": "other", "uploaded_at": UPLOADED_AT + 60, "generation": 2, **fields}
    return cut("copy", work(1, 50, 100), **changed)


def unlike() -> list[DescribedSegment]:
    return cut("copy", work(8, 0, 40), stamp="unlike", uploaded_at=UPLOADED_AT + 60, generation=2)


def store_instead(stages: Stages, segments: list[DescribedSegment]) -> None:
    """Store them as ingest does, which deletes the old content."""
    stages.store(segments)
    stages.index.delete("default", segments[0].row.asset_id, before=segments[0].row.generation)


def replace(stages: Stages, segments: list[DescribedSegment]) -> None:
    store_instead(stages, segments)
    stages.process(*upload(segments))


def decide(first: list[DescribedSegment]) -> Stages:
    stages = Stages()
    stages.store(original(), first)
    stages.process(*upload(first))
    return stages


def test_other_content_drops_all_evidence_of_the_old_file_even_beyond_the_new_end() -> None:
    stages = decide(copy())
    store_instead(stages, other_copy())
    first, second = segment_events(other_copy())
    stages.process(first)
    assert stages.state().segments.keys() == {0}
    assert (stages.alerts()[-1].status, bounds(stages.alerts()[-1])) == ("open", [(0, 32, 50, 82)])
    stages.process(second, end_event(other_copy()))
    alert = stages.alerts()[-1]
    assert (alert.status, bounds(alert)) == ("final", [(0, 50, 50, 100)])
    assert [(one.verdict, one.segments_described) for one in stages.all_verdicts()] == [("copies", 3), ("copies", 2)]
    assert len(stages.latest()) == 1, "the revisions of the one alert continue"


def test_the_final_result_is_as_if_only_the_new_content_had_come() -> None:
    fresh, replaced = decide(other_copy()), decide(copy())
    replace(replaced, other_copy())
    assert exact_fields(replaced.alerts()[-1]) == exact_fields(fresh.alerts()[-1])
    assert replaced.alerts()[-1].query_coverage == pytest.approx(fresh.alerts()[-1].query_coverage)


def test_the_alert_about_a_copy_that_was_replaced_is_withdrawn_at_once() -> None:
    stages = decide(copy())
    [first] = stages.alerts()
    store_instead(stages, unlike())
    opening, *rest = upload(unlike())
    stages.process(opening)
    [withdrawn] = stages.latest().values()
    assert (withdrawn.status, withdrawn.score, withdrawn.intervals) == ("withdrawn", 0, ())
    assert (withdrawn.query_coverage, withdrawn.reference_coverage) == (0, 0)
    assert set(withdrawn.similarity.model_dump().values()) == {0}
    assert (withdrawn.query, withdrawn.reference) == (first.query, first.reference)
    assert DuplicateAlert.model_validate_json(withdrawn.model_dump_json()) == withdrawn
    stages.process(*rest)
    verdict = stages.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.alert_ids) == ("unique", ())
    stages.restart()
    stages.process(opening, *rest)
    assert len(stages.alerts()) == len(stages.all_verdicts()) == 2, "each is published once"


def test_the_alert_about_a_copy_that_comes_back_continues_its_revisions() -> None:
    stages = decide(copy())
    for segments in (unlike(), copy(stamp="again", generation=3)):
        replace(stages, segments)
    assert [alert.status for alert in stages.alerts()] == ["final", "withdrawn", "final"]
    [alert] = stages.latest().values()
    assert bounds(alert) == [(22, 52, 20, 50)]


def test_two_contents_in_one_batch_have_a_verdict_each() -> None:
    apart, together = decide(copy()), Stages()
    replace(apart, unlike())
    together.store(original(), copy())
    store_instead(together, unlike())  # ingest is ahead of the matcher
    together.process(*upload(copy()), *upload(unlike()))
    assert [one.segments_described for one in together.all_verdicts()] == [3, 2]
    assert [one.segments_described for one in apart.all_verdicts()] == [3, 2]
    assert together.alerts() == [], "replaced content is not compared"
    assert [one.verdict for one in together.all_verdicts()] == ["undecidable", "unique"]


def test_the_old_content_in_the_cache_does_not_hide_the_new_one() -> None:
    stages = decide(copy())
    replace(stages, other_copy())
    key = copy()[0].row.key
    assert stages.cache.get_many([key])[key].row.stamp == "stamp"
    assert bounds(stages.alerts()[-1]) == [(0, 50, 50, 100)]


def test_evidence_of_two_models_is_never_joined() -> None:
    stages = decide(copy())
    stages.restart(model_version="v2")
    described_again = copy(stamp="by the other model", generation=2)
    stages.store(original(), described_again)
    first, *rest = segment_events(described_again, model_version="v2")
    stages.process(first)
    assert stages.state().segments.keys() == {0}
    stages.process(*rest, end_event(described_again, model_version="v2"))
    assert {alert.model_version for alert in stages.alerts()[1:]} == {"v2"}
    [alert] = stages.latest().values()
    assert (alert.status, bounds(alert)) == ("final", [(22, 52, 20, 50)])
    assert len(stages.all_verdicts()) == 2


def test_events_of_another_model_wait_for_the_matcher_of_that_model() -> None:
    stages = Stages()
    stages.store(original(), copy())
    events = [*segment_events(copy(), model_version="v2"), end_event(copy(), model_version="v2")]
    stages.process(*events)
    assert stages.bus.states() == {}
    assert stages.dead_letters() == []
    stages.restart(model_version="v2")
    stages.store(original(), copy())
    stages.run()
    assert [one.verdict for one in stages.all_verdicts()] == ["copies"], "its group begins at the first record"


def test_events_of_another_model_do_not_replace_those_of_this_model() -> None:
    stages = decide(copy())
    later = copy(stamp="by the other model", generation=2)
    stages.process(*segment_events(later, model_version="v2"), end_event(later, model_version="v2"))
    assert len(stages.alerts()) == len(stages.verdicts()) == 1
    assert stages.dead_letters() == []


def test_a_failed_file_that_is_read_fully_later_is_decided_again() -> None:
    stages, mended = Stages(), copy(generation=2)
    stages.store(original(), mended)
    failed = end_event(mended, segment_count=0, duration_s=None, status="failed", reason="no such file", generation=1)
    stages.process(failed)
    stages.process(*upload(mended))
    stages.process(failed)
    assert [(one.verdict, one.reason) for one in stages.all_verdicts()] == [
        ("failed", "no such file"),
        ("copies", None),
    ]


def test_an_upload_that_fails_keeps_what_was_described_and_is_answered() -> None:
    stages = decide(copy())
    failed = end_event(copy(), segment_count=0, duration_s=None, status="failed", reason="no video", generation=2)
    stages.process(failed)
    [alert] = stages.alerts()
    assert alert.status == "final"
    verdict = stages.all_verdicts()[-1]
    assert (verdict.verdict, verdict.reason, verdict.alert_ids) == ("failed", "no video", (alert.alert_id,))
    stages.process(failed)
    assert len(stages.all_verdicts()) == 2


def test_an_alert_about_a_copy_that_is_now_only_similar_is_withdrawn_too() -> None:
    """The evidence that is left is below the alert threshold."""
    faint = cut("copy", similar_frames(1, 20, 60, 0.23), stamp="faint", uploaded_at=UPLOADED_AT + 60, generation=2)
    assert decide(faint).alerts() == []
    stages = decide(copy())
    store_instead(stages, faint)
    *segments, end = upload(faint)
    stages.process(*segments)
    assert stages.alerts()[-1].status == "open", "what follows may raise its score again"
    assert 0 < stages.alerts()[-1].score < THRESHOLD
    stages.process(end)
    assert stages.state().pairs["original"].units, "some evidence is left"
    last = stages.alerts()[-1]
    assert (last.status, last.score, last.intervals) == ("withdrawn", 0, ())
    assert [one.verdict for one in stages.all_verdicts()] == ["copies", "unique"]
