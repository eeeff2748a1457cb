"""Findings rest on current content alone, name it with its generations, and carry facts of the other asset."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Unpack

import numpy as np
import pytest

from services.backends.memory.index import MemoryIndex
from services.contracts.events import Role
from services.contracts.evidence import Finding
from services.contracts.segments import DescribedSegment
from services.matcher.findings import FindingBuilder, FindingsOfAsset, is_worth_keeping
from services.matcher.rerank import compare
from services.matcher.search import Found
from services.runtime.rule import AlertRule
from tca_model.matching.evidence import ReferenceEvidence, SegmentEvidence, join
from tca_model.types import Match
from tests.alerter.stages import CALIBRATION, MODEL, RULE
from tests.descriptors import UPLOADED_AT, RowFields, cut, described, work

KEEP_ALL = AlertRule(-1)


def query() -> DescribedSegment:
    """Sixteen seconds of each of the first two segments of a work."""
    return described("query", 0, work(1, 16, 48), uploaded_at=UPLOADED_AT + 60)


def files(*stretches: tuple[int, int, int], **fields: Unpack[RowFields]) -> list[DescribedSegment]:
    """Segment files of a live upload, of these stretches of the work: (index, start, end)."""
    whole: RowFields = {"is_whole_file": False, **fields}
    return [described("live", index, work(1, start, end), **whole) for index, start, end in stretches]


def build(
    searched: DescribedSegment, compared: Sequence[DescribedSegment], index: MemoryIndex, rule: AlertRule = KEEP_ALL
) -> FindingsOfAsset:
    """What the comparison with these segments shows, by what the index holds now."""
    found = Found(searched, compare(searched, compared), len(compared))
    return FindingBuilder(index, rule, CALIBRATION)("default", searched.row.asset_id, [found])


def index_of(*assets: Sequence[DescribedSegment]) -> MemoryIndex:
    index = MemoryIndex(model_version=MODEL)
    for segments in assets:
        index.store(segments)
    return index


def only(found: FindingsOfAsset) -> list[Finding]:
    return [finding for findings in found.findings.values() for finding in findings]


def places(finding: Finding) -> list[tuple[int, int]]:
    return [(one.segment_index, one.generation) for one in finding.compared]


def test_a_finding_names_the_compared_segments_and_the_facts_of_both_assets() -> None:
    other = cut("other", work(1, 0, 100), role=Role.REFERENCE, generation=4)
    found = build(query(), other[:2], index_of([query()], other))
    [finding] = only(found)
    assert [(one.segment_index, one.generation, one.start_s, one.end_s) for one in finding.compared] == [
        (0, 4, 0, 32),
        (1, 4, 32, 64),
    ]
    facts = finding.other
    assert (facts.asset_id, facts.role, facts.duration_s, facts.frame_count) == ("other", Role.REFERENCE, 100, 100)
    assert facts.uploaded_at == datetime.fromtimestamp(UPLOADED_AT, UTC)
    assert found.facts is not None
    assert (found.facts.asset_id, found.facts.frame_count) == ("query", 32)
    [match] = finding.evidence.matches
    assert (match.query_start_s, match.query_end_s, match.reference_start_s, match.reference_end_s) == (0, 32, 16, 48)


def test_an_upload_by_segments_has_the_time_of_its_first() -> None:
    live = [*files((0, 0, 32), uploaded_at=UPLOADED_AT), *files((1, 32, 64), uploaded_at=UPLOADED_AT + 32)]
    [finding] = only(build(query(), live[1:], index_of([query()], live)))
    assert finding.other.uploaded_at == datetime.fromtimestamp(UPLOADED_AT, UTC)


def test_a_segment_that_was_replaced_since_the_search_is_left_out_and_the_comparison_made_again() -> None:
    old = files((0, 0, 32), (1, 32, 64))
    mended = files((1, 100, 132), stamp="mended", generation=2)
    [finding] = only(build(query(), old, index_of([query()], old, mended)))
    [expected] = compare(query(), old[:1])
    assert places(finding) == [(0, 1)]
    assert finding.evidence == expected.evidence
    assert finding.segment_cosine == expected.segment_cosine


def test_a_file_that_was_replaced_since_the_search_shows_nothing() -> None:
    old = cut("other", work(1, 0, 64))
    new = cut("other", work(5, 0, 20), stamp="new", generation=2)
    found = build(query(), old, index_of([query()], old, new))
    assert only(found) == []


def test_a_removed_asset_shows_nothing() -> None:
    assert only(build(query(), cut("other", work(1, 0, 64)), index_of([query()]))) == []
    other = cut("other", work(1, 0, 64))
    assert build(query(), other, index_of(other)).facts is None, "the searching asset itself was removed"


def test_what_is_left_of_a_comparison_must_be_worth_keeping() -> None:
    """The segment that is left shows nothing of the query."""
    old = files((0, 100, 132), (1, 32, 64))
    mended = files((1, 200, 232), stamp="mended", generation=2)
    assert only(build(query(), old, index_of([query()], old), RULE))
    assert only(build(query(), old, index_of([query()], old, mended), RULE)) == []


def test_segments_that_were_announced_again_have_their_latest_generation() -> None:
    """What comes from the cache has the generation that it had then."""
    old = cut("other", work(1, 0, 64))
    again = cut("other", work(1, 0, 64), generation=9)
    [finding] = only(build(query(), old, index_of([query()], again)))
    assert places(finding) == [(0, 9), (1, 9)]


def test_weak_comparisons_are_dropped() -> None:
    one, two = cut("one", work(1, 0, 60)), cut("two", work(2, 0, 60))
    found = build(query(), [*one, *two], index_of([query()], one, two), RULE)
    assert [finding.other.asset_id for finding in only(found)] == ["one"]
    kept = build(query(), [*one, *two], index_of([query()], one, two))
    assert [finding.other.asset_id for finding in only(kept)] == ["one", "two"]


def test_rows_are_only_read_if_there_is_something_to_say() -> None:
    index = index_of([query()])
    index.read_rows = None  # type: ignore[assignment]
    assert build(query(), cut("two", work(2, 0, 60)), index, RULE) == FindingsOfAsset(None, {})


def evidence(*matches: Match, chamfer: float = 0.0) -> SegmentEvidence:
    return SegmentEvidence(0, 32, 32 * chamfer, (ReferenceEvidence(0, 32, 32 * chamfer),), matches)


@pytest.mark.parametrize("shown", [evidence(chamfer=0.6), evidence(Match(0, 20, 0, 20, 0.6))])
def test_evidence_is_kept_from_a_joined_score_on(shown: SegmentEvidence) -> None:
    score = join([shown]).joined_score
    assert is_worth_keeping(shown, score), "a score equal to the floor is kept"
    assert not is_worth_keeping(shown, np.nextafter(score, 1))


def test_a_piece_that_is_too_short_on_its_own_is_kept_because_it_may_continue() -> None:
    piece = evidence(Match(30, 32, 10, 12, 0.95))
    assert join([piece]).joined_score < 0.001
    assert is_worth_keeping(piece, 0.7)
    assert not is_worth_keeping(evidence(), 0.1)


def test_a_piece_without_contrast_is_kept_because_others_may_have_it() -> None:
    piece = evidence(Match(0, 32, 0, 32, 0.6, contrast=0.0))
    assert join([piece]).joined_score < 0.3
    assert is_worth_keeping(piece, 0.5)
