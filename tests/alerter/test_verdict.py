"""The verdict on an asset follows from its segments, its alerts and its end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.alerter.alert import withdraw
from services.alerter.announce import Announcer
from services.alerter.state import AssetState
from services.alerter.verdict import build_verdict, end_for_silence, is_verdict_due
from services.contracts.events import AssetEvent, AssetVerdict, SegmentStatus
from tests.alerter.by_hand import AT, FAILED, after, ended, make_finding, searched
from tests.alerter.stages import RULE

DESCRIBED, UNDECIDABLE, FAILURE = SegmentStatus.DESCRIBED, SegmentStatus.UNDECIDABLE, SegmentStatus.FAILED
LATER = AT + timedelta(hours=1)


def segment_fields(status: SegmentStatus) -> dict[str, Any]:
    if status == FAILURE:
        return {**FAILED, "reason": None}
    return {"status": status, "frame_count": 32 if status == DESCRIBED else 0}


def make_state(segments: list[SegmentStatus], **end: Any) -> AssetState:
    events = [searched(index, **segment_fields(status)) for index, status in enumerate(segments)]
    return after(*events, ended(len(segments), 1, **end))


def with_alert(state: AssetState) -> AssetState:
    """The state with a live alert."""
    found = after(searched(0, make_finding()))
    announced, _ = Announcer(RULE)(AssetState(found.tenant, found.asset_id), found, AT)
    return replace(state, pairs=announced.pairs)


@pytest.mark.parametrize(
    ("segments", "copies", "status", "verdict"),
    [
        ([DESCRIBED, DESCRIBED], False, "complete", "unique"),
        ([DESCRIBED], True, "complete", "copies"),
        ([DESCRIBED, UNDECIDABLE], False, "complete", "unique"),
        ([DESCRIBED, UNDECIDABLE, FAILURE], False, "complete", "undecidable"),
        ([DESCRIBED, FAILURE], True, "complete", "copies"),
        ([UNDECIDABLE, UNDECIDABLE], False, "complete", "undecidable"),
        ([], False, "complete", "undecidable"),
        ([FAILURE], False, "complete", "failed"),
        ([UNDECIDABLE, FAILURE], False, "complete", "failed"),
        ([DESCRIBED], False, "failed", "failed"),
        ([], False, "failed", "failed"),
    ],
)
def test_the_verdict_follows_from_segments_alerts_and_end(
    segments: list[SegmentStatus], copies: bool, status: str, verdict: str
) -> None:
    state = make_state(segments, status=status, reason="why", uploaded_at=AT)
    decided = build_verdict(with_alert(state) if copies else state, now=LATER)
    assert decided.verdict == verdict
    assert len(decided.alert_ids) == copies
    counts = (decided.segments_described, decided.segments_undecidable, decided.segments_failed)
    assert counts == tuple(segments.count(status) for status in (DESCRIBED, UNDECIDABLE, FAILURE))
    assert decided.segments_compared == decided.segments_described
    assert (decided.tenant, decided.asset_id, decided.reason, decided.uploaded_at) == ("default", "a", "why", AT)
    assert decided.decided_at == LATER


def test_a_withdrawn_alert_is_no_copy() -> None:
    state = with_alert(make_state([DESCRIBED]))
    [(other, pair)] = state.pairs.items()
    assert pair.alert is not None
    state = replace(state, pairs={other: replace(pair, alert=withdraw(pair.alert, now=AT))})
    decided = build_verdict(state, now=LATER)
    assert (decided.verdict, decided.alert_ids) == ("unique", ())


def test_alerts_that_name_it_as_their_reference_are_only_counted() -> None:
    decided = build_verdict(replace(make_state([DESCRIBED]), links={"q": "1", "r": "2"}), now=LATER)
    assert (decided.verdict, decided.copied_by, decided.alert_ids) == ("unique", 2, ())


def test_what_was_not_compared_is_never_unique() -> None:
    state = after(searched(0, is_compared=False), searched(1), ended(2))
    decided = build_verdict(state, now=LATER)
    assert (decided.verdict, decided.segments_described, decided.segments_compared) == ("undecidable", 2, 1)
    assert decided.reason == "1 of 2 segments were compared with nothing: the index does not hold them (any more)"
    assert build_verdict(with_alert(state), now=LATER).verdict == "copies", "what was compared is a copy all the same"


@pytest.mark.parametrize(
    ("share", "reason"),
    [(None, None), (1.0, None), (0.97, None), (0.7, "only 70% of the file could be decoded and was compared")],
)
def test_a_verdict_says_how_much_of_the_file_was_decoded(share: float | None, reason: str | None) -> None:
    state = make_state([DESCRIBED], decoded_share=share)
    decided = build_verdict(state, now=LATER)
    verdict = "undecidable" if reason else "unique"
    assert (decided.verdict, decided.decoded_share, decided.reason) == (verdict, share, reason)
    silent = end_for_silence(state, 60)
    assert build_verdict(silent, now=LATER).decoded_share == share


def test_what_a_defect_kept_from_being_compared_is_never_unique_and_the_reason_says_so() -> None:
    given_up = searched(1, is_compared=False, reason="gave up after 3 attempts: RuntimeError('bug')")
    decided = build_verdict(after(searched(0), given_up, ended(2)), now=LATER)
    assert (decided.verdict, decided.segments_described, decided.segments_compared) == ("undecidable", 2, 1)
    assert decided.reason == "1 of 2 segments were compared with nothing: gave up after 3 attempts: RuntimeError('bug')"


def test_a_failed_segment_is_not_one_that_was_described_and_not_compared() -> None:
    decided = build_verdict(after(searched(0, is_compared=False, **FAILED), ended(1)), now=LATER)
    assert (decided.verdict, decided.segments_described, decided.segments_compared) == ("failed", 0, 0)
    assert decided.reason == "no picture"


def test_a_verdict_without_a_reason_of_its_own_has_the_reason_of_the_first_failed_segment() -> None:
    state = after(
        searched(2, **{**FAILED, "reason": "late"}),
        searched(1, **FAILED),
        searched(0),
        ended(3),
    )
    decided = build_verdict(state, now=LATER)
    assert (decided.verdict, decided.reason) == ("undecidable", "no picture")


BLACK: dict[str, Any] = {"status": UNDECIDABLE, "frame_count": 0}


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([searched(0, **BLACK), searched(1, reason="all black", **BLACK), ended(2)], "all black"),
        ([searched(0, **BLACK), ended(1)], "its segments show nothing"),
        ([ended(0)], "the upload has no segments"),
        ([searched(0), searched(1, **{**FAILED, "reason": None}), ended(2)], "1 of 2 segments could not be decoded"),
        ([searched(0), ended(1, reason="no segment arrived")], "no segment arrived"),
        ([searched(0), searched(1, reason="all black", **BLACK), ended(2)], None),
    ],
)
def test_only_unique_and_copies_can_be_without_a_reason(events: list[AssetEvent], reason: str | None) -> None:
    decided = build_verdict(after(*events), now=LATER)
    assert decided.reason == reason
    assert (decided.verdict == "undecidable") == (reason not in (None, "no segment arrived"))


def answer(state: AssetState) -> tuple[AssetState, list[AssetVerdict]]:
    state, events = Announcer(RULE)(AssetState(state.tenant, state.asset_id), state, LATER)
    return state, [event for event in events if isinstance(event, AssetVerdict)]


def test_a_verdict_is_repeated_for_each_later_upload() -> None:
    state, [first] = answer(make_state([DESCRIBED]))
    assert answer(state) == (state, [])
    state, [again] = answer(after(searched(0, generation=2), ended(1, 1, generation=2), state=state))
    assert again.revision > first.revision
    assert again.model_copy(update={"revision": first.revision}) == first
    assert answer(after(ended(0, generation=1), state=state)) == (state, [])


def test_a_verdict_is_revised_when_it_says_something_else() -> None:
    state, [first] = answer(make_state([DESCRIBED]))
    assert not is_verdict_due(state, first.model_copy(update={"revision": first.revision + 1, "decided_at": AT}))
    copied, [second] = answer(replace(state, links={"q": "1"}))
    assert (second.copied_by, second.revision > first.revision) == (1, True)
    _, [third] = answer(with_alert(copied))
    assert (third.verdict, third.revision > second.revision) == ("copies", True)


def test_revisions_go_on_after_a_removal_and_within_a_second() -> None:
    state, [first] = answer(make_state([DESCRIBED]))
    state = replace(state, verdict=None, answered=-1)
    _, [second] = answer(state)
    assert second.revision == first.revision + 1
