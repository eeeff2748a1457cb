"""An asset whose content was replaced is decided again, and alerts about what it no longer shows are withdrawn."""

from typing import Any

import pytest

from services.contracts.events import AssetEnded, DuplicateAlert
from services.contracts.segments import DescribedSegment
from tests.descriptors import UPLOADED_AT, cut, work
from tests.matcher.matcher import (
    Matcher,
    bounds,
    copy,
    end_event,
    exact_fields,
    original,
    segment_events,
    similar_frames,
    upload,
)


def other_copy(**changes: Any) -> list[DescribedSegment]:
    """Replaces the copy: two segments that show another stretch of the original."""
    return cut("copy", work(1, 50, 100), stamp="other", uploaded_at=UPLOADED_AT + 60, **changes)


def unlike() -> list[DescribedSegment]:
    return cut("copy", work(8, 0, 40), stamp="unlike", uploaded_at=UPLOADED_AT + 60)


def replace(matcher: Matcher, segments: list[DescribedSegment]) -> None:
    """Store them as ingest does, after the old content was deleted."""
    matcher.index.delete("default", segments[0].row.asset_id)
    matcher.store(segments)


def decide(first: list[DescribedSegment]) -> Matcher:
    matcher = Matcher()
    matcher.store(original(), first)
    matcher.process(*upload(first))
    return matcher


def test_other_content_drops_all_evidence_of_the_old_file_even_beyond_the_new_end() -> None:
    matcher = decide(copy())
    replace(matcher, other_copy())
    first, second = segment_events(other_copy())
    matcher.process(first)
    assert matcher.state().segments.keys() == {0}
    assert not matcher.state().is_final
    assert matcher.alerts()[-1].status == "open"
    matcher.process(second, end_event(other_copy()))
    alert = matcher.alerts()[-1]
    assert (alert.status, bounds(alert)) == ("final", [(0, 50, 50, 100)])
    assert [(one.verdict, one.segments_described) for one in matcher.all_verdicts()] == [("copies", 3), ("copies", 2)]
    assert len(matcher.latest()) == 1, "the revisions of the one alert continue"


def test_the_final_result_is_as_if_only_the_new_content_had_come() -> None:
    fresh, replaced = decide(other_copy()), decide(copy())
    replace(replaced, other_copy())
    replaced.process(*upload(other_copy()))
    assert exact_fields(replaced.alerts()[-1]) == exact_fields(fresh.alerts()[-1])
    assert replaced.alerts()[-1].query_coverage == pytest.approx(fresh.alerts()[-1].query_coverage)


def test_the_alert_about_a_copy_that_was_replaced_is_withdrawn_by_a_last_revision() -> None:
    matcher = decide(copy())
    [first] = matcher.alerts()
    replace(matcher, unlike())
    *segments, end = upload(unlike())
    matcher.process(*segments)
    assert matcher.alerts() == [first], "later segments may show it again"
    matcher.process(end)
    [withdrawn] = matcher.latest().values()
    assert (withdrawn.revision, withdrawn.status, withdrawn.score, withdrawn.intervals) == (2, "final", 0, ())
    assert (withdrawn.query_coverage, withdrawn.reference_coverage) == (0, 0)
    assert set(withdrawn.similarity.model_dump().values()) == {0}
    assert (withdrawn.query, withdrawn.reference) == (first.query, first.reference)
    assert DuplicateAlert.model_validate_json(withdrawn.model_dump_json()) == withdrawn
    verdict = matcher.all_verdicts()[-1]
    assert (verdict.verdict, verdict.alert_ids) == ("unique", ())
    matcher.restart()
    matcher.process(*segments, end)
    assert len(matcher.alerts()) == len(matcher.all_verdicts()) == 2, "each is published once"


def test_the_alert_about_a_copy_that_comes_back_continues_its_revisions() -> None:
    matcher = decide(copy())
    for segments in (unlike(), copy(stamp="again")):
        replace(matcher, segments)
        matcher.process(*upload(segments))
    [alert] = matcher.latest().values()
    assert (alert.revision, alert.status, bounds(alert)) == (3, "final", [(22, 52, 20, 50)])


def test_a_replaced_segment_file_drops_only_its_own_evidence() -> None:
    segments = copy()
    events = [event.model_copy(update={"stamp": f"file {n}"}) for n, event in enumerate(segment_events(segments))]
    matcher = Matcher()
    matcher.process(*events, end_event(segments))
    matcher.process(events[1].model_copy(update={"stamp": "another file"}))
    assert {index: done.stamp for index, done in matcher.state().segments.items()} == {
        0: "file 0",
        1: "another file",
        2: "file 2",
    }
    assert len(matcher.all_verdicts()) == 1, "the upload continues"
    matcher.process(end_event(segments))
    assert len(matcher.all_verdicts()) == 2


def test_two_contents_in_one_batch_have_a_verdict_each() -> None:
    apart, together = decide(copy()), Matcher()
    replace(apart, unlike())
    apart.process(*upload(unlike()))
    together.store(original(), copy())
    replace(together, unlike())  # ingest is ahead of the matcher
    together.process(*upload(copy()), *upload(unlike()))
    assert [one.segments_described for one in together.all_verdicts()] == [3, 2]
    assert [one.segments_described for one in apart.all_verdicts()] == [3, 2]
    assert together.alerts() == [], "replaced content is not compared"


def test_a_stale_cache_does_not_hide_new_content() -> None:
    matcher = decide(copy())  # now in the cache
    replace(matcher, other_copy())
    assert matcher.cache.get_many([copy()[0].row.key])[copy()[0].row.key].row.stamp == "stamp"
    matcher.process(*upload(other_copy()))
    assert bounds(matcher.alerts()[-1]) == [(0, 50, 50, 100)]


def test_evidence_of_two_models_is_never_joined() -> None:
    matcher = decide(copy())
    matcher.restart(model_version="v2")
    matcher.store(original(), copy())
    first, *rest = segment_events(copy(), model_version="v2")
    matcher.process(first)
    assert matcher.state().segments.keys() == {0}, "the same stamp, and yet other content"
    matcher.process(*rest, end_event(copy()))
    assert {alert.model_version for alert in matcher.alerts()[1:]} == {"v2"}
    [alert] = matcher.latest().values()
    assert (alert.status, bounds(alert)) == ("final", [(22, 52, 20, 50)])
    assert len(matcher.all_verdicts()) == 2


def test_a_segment_of_another_model_counts_as_failed_so_that_its_asset_is_decided() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    events = [*segment_events(copy(), model_version="v2"), end_event(copy())]
    matcher.process(*events)
    verdict = matcher.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.segments_failed) == ("failed", 3)
    assert verdict.reason == "described by model v2, this matcher compares v1"
    assert len(matcher.dead_letters()) == 3
    matcher.restart(model_version="v2")
    matcher.store(original(), copy())
    matcher.process(*events)
    assert [one.verdict for one in matcher.all_verdicts()] == ["failed", "copies"]


def test_a_segment_of_another_model_does_not_replace_one_of_this_model() -> None:
    matcher = decide(copy())
    matcher.process(*segment_events(copy(), model_version="v2"))
    assert len(matcher.alerts()) == len(matcher.verdicts()) == 1
    assert len(matcher.dead_letters()) == 3


def test_a_failed_file_that_is_read_fully_later_is_decided_again() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    failed = AssetEnded(asset_id="copy", segment_count=0, duration_s=None, status="failed", reason="no such file")
    matcher.process(failed)
    matcher.process(*upload(copy()))
    matcher.process(failed)
    assert [(one.verdict, one.reason) for one in matcher.all_verdicts()] == [
        ("failed", "no such file"),
        ("copies", None),
    ]


def test_an_alert_about_a_copy_that_is_now_only_similar_is_withdrawn_too() -> None:
    """The evidence that is left is below the alert threshold."""
    faint = cut("copy", similar_frames(1, 20, 60, 0.42), stamp="faint", uploaded_at=UPLOADED_AT + 60)
    assert decide(faint).alerts() == []
    matcher = decide(copy())
    replace(matcher, faint)
    matcher.process(*upload(faint))
    assert matcher.state().pairs["original"].evidence, "some evidence is left"
    last = matcher.alerts()[-1]
    assert (last.status, last.score, last.intervals) == ("final", 0, ())
    assert [one.verdict for one in matcher.all_verdicts()] == ["copies", "unique"]
