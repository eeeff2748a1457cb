"""An asset whose content was replaced is decided on anew, and what it no longer shows is taken back."""

from typing import Any

import pytest

from services.contracts.events import AssetEnded, DuplicateAlert
from services.contracts.ports import DescribedSegment
from tests.descriptors import UPLOADED_AT, cut, work
from tests.matcher.matcher import Matcher, announced, bounds, copy, ended, like, original, stated, upload


def other_copy(**changes: Any) -> list[DescribedSegment]:
    """What replaces the copy: two segments that show another stretch of the original."""
    return cut("copy", work(1, 50, 100), stamp="other", uploaded_at=UPLOADED_AT + 60, **changes)


def unlike() -> list[DescribedSegment]:
    return cut("copy", work(8, 0, 40), stamp="unlike", uploaded_at=UPLOADED_AT + 60)


def replace(matcher: Matcher, segments: list[DescribedSegment]) -> None:
    """Store them as ingest does: what other content left goes first."""
    matcher.index.delete("default", segments[0].row.asset_id)
    matcher.store(segments)


def decided(first: list[DescribedSegment]) -> Matcher:
    matcher = Matcher()
    matcher.store(original(), first)
    matcher.tell(*upload(first))
    return matcher


def test_other_content_forgets_all_of_the_old_file_also_beyond_its_new_end() -> None:
    matcher = decided(copy())
    replace(matcher, other_copy())
    first, second = announced(other_copy())
    matcher.tell(first)
    assert matcher.state().segments.keys() == {0}
    assert not matcher.state().is_final
    assert matcher.alerts()[-1].status == "open"
    matcher.tell(second, ended(other_copy()))
    alert = matcher.alerts()[-1]
    assert (alert.status, bounds(alert)) == ("final", [(0, 50, 50, 100)])
    assert [(one.verdict, one.segments_described) for one in matcher.decided()] == [("copies", 3), ("copies", 2)]
    assert len(matcher.latest()) == 1, "the revisions of one alert go on"


def test_in_the_end_it_is_as_if_only_the_new_content_had_come() -> None:
    fresh, replaced = decided(other_copy()), decided(copy())
    replace(replaced, other_copy())
    replaced.tell(*upload(other_copy()))
    assert stated(replaced.alerts()[-1]) == stated(fresh.alerts()[-1])
    assert replaced.alerts()[-1].query_coverage == pytest.approx(fresh.alerts()[-1].query_coverage)


def test_a_copy_that_vanished_gets_a_last_revision_that_says_nothing_of_it() -> None:
    matcher = decided(copy())
    [said] = matcher.alerts()
    replace(matcher, unlike())
    *segments, end = upload(unlike())
    matcher.tell(*segments)
    assert matcher.alerts() == [said], "what is still to come may show it again"
    matcher.tell(end)
    [gone] = matcher.latest().values()
    assert (gone.revision, gone.status, gone.score, gone.intervals) == (2, "final", 0, ())
    assert (gone.query_coverage, gone.reference_coverage) == (0, 0)
    assert set(gone.similarity.model_dump().values()) == {0}
    assert (gone.query, gone.reference) == (said.query, said.reference)
    assert DuplicateAlert.model_validate_json(gone.model_dump_json()) == gone
    verdict = matcher.decided()[-1]
    assert (verdict.verdict, verdict.alert_ids) == ("unique", ())
    matcher.restart()
    matcher.tell(*segments, end)
    assert len(matcher.alerts()) == len(matcher.decided()) == 2, "said once"


def test_a_copy_that_vanished_and_comes_again_goes_on() -> None:
    matcher = decided(copy())
    for segments in (unlike(), copy(stamp="again")):
        replace(matcher, segments)
        matcher.tell(*upload(segments))
    [alert] = matcher.latest().values()
    assert (alert.revision, alert.status, bounds(alert)) == (3, "final", [(22, 52, 20, 50)])


def test_of_an_upload_by_segments_only_the_replaced_one_is_forgotten() -> None:
    segments = copy()
    events = [event.model_copy(update={"stamp": f"file {n}"}) for n, event in enumerate(announced(segments))]
    matcher = Matcher()
    matcher.tell(*events, ended(segments))
    matcher.tell(events[1].model_copy(update={"stamp": "another file"}))
    assert {index: done.stamp for index, done in matcher.state().segments.items()} == {
        0: "file 0",
        1: "another file",
        2: "file 2",
    }
    assert len(matcher.decided()) == 1, "the upload goes on"
    matcher.tell(ended(segments))
    assert len(matcher.decided()) == 2


def test_both_contents_in_one_batch_get_a_verdict_each() -> None:
    apart, together = decided(copy()), Matcher()
    replace(apart, unlike())
    apart.tell(*upload(unlike()))
    together.store(original(), copy())
    replace(together, unlike())  # ingest is ahead of the matcher
    together.tell(*upload(copy()), *upload(unlike()))
    assert [one.segments_described for one in together.decided()] == [3, 2]
    assert [one.segments_described for one in apart.decided()] == [3, 2]
    assert together.alerts() == [], "what was replaced meanwhile is not compared as what it was"


def test_a_stale_cache_hides_no_new_content() -> None:
    matcher = decided(copy())  # read through, so cached
    replace(matcher, other_copy())
    assert matcher.cache.get_many([copy()[0].row.key])[copy()[0].row.key].row.stamp == "stamp"
    matcher.tell(*upload(other_copy()))
    assert bounds(matcher.alerts()[-1]) == [(0, 50, 50, 100)]


def test_evidence_of_two_models_is_never_joined() -> None:
    matcher = decided(copy())
    matcher.restart(model_version="v2")
    matcher.store(original(), copy())
    first, *rest = announced(copy(), model_version="v2")
    matcher.tell(first)
    assert matcher.state().segments.keys() == {0}, "the same stamp, and yet other content"
    matcher.tell(*rest, ended(copy()))
    assert {alert.model_version for alert in matcher.alerts()[1:]} == {"v2"}
    [alert] = matcher.latest().values()
    assert (alert.status, bounds(alert)) == ("final", [(22, 52, 20, 50)])
    assert len(matcher.decided()) == 2


def test_what_another_model_described_counts_as_failed_so_that_its_asset_is_decided_on() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    events = [*announced(copy(), model_version="v2"), ended(copy())]
    matcher.tell(*events)
    verdict = matcher.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.segments_failed) == ("failed", 3)
    assert verdict.reason == "described by model v2, this matcher compares v1"
    assert len(matcher.dead()) == 3
    matcher.restart(model_version="v2")
    matcher.store(original(), copy())
    matcher.tell(*events)
    assert [one.verdict for one in matcher.decided()] == ["failed", "copies"]


def test_another_model_takes_nothing_back_of_what_this_one_compared() -> None:
    matcher = decided(copy())
    matcher.tell(*announced(copy(), model_version="v2"))
    assert len(matcher.alerts()) == len(matcher.verdicts()) == 1
    assert len(matcher.dead()) == 3


def test_a_file_that_failed_and_is_read_after_all_is_decided_on_again() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    failed = AssetEnded(asset_id="copy", segment_count=0, duration_s=None, status="failed", reason="no such file")
    matcher.tell(failed)
    matcher.tell(*upload(copy()))
    matcher.tell(failed)
    assert [(one.verdict, one.reason) for one in matcher.decided()] == [("failed", "no such file"), ("copies", None)]


def test_a_copy_that_became_a_faint_likeness_is_taken_back_too() -> None:
    """Evidence below the alert threshold, which alone would never have alerted."""
    faint = cut("copy", like(1, 20, 60, 0.42), stamp="faint", uploaded_at=UPLOADED_AT + 60)
    assert decided(faint).alerts() == []
    matcher = decided(copy())
    replace(matcher, faint)
    matcher.tell(*upload(faint))
    assert matcher.state().pairs["original"].evidence, "some likeness is left"
    last = matcher.alerts()[-1]
    assert (last.status, last.score, last.intervals) == ("final", 0, ())
    assert [one.verdict for one in matcher.decided()] == ["copies", "unique"]
