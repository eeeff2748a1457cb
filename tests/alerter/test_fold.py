"""The state of an asset depends neither on the order of its events nor on repeated ones, and older ones are ignored."""

from datetime import timedelta
from itertools import permutations

import pytest

from services.alerter.state import AssetState
from services.contracts.events import AssetEnded, AssetEvent, SegmentStatus
from services.contracts.evidence import PairLinked, SegmentRange, SegmentSearched, SideReplaced
from tests.alerter.by_hand import (
    AT,
    FAILED,
    after,
    apply,
    ended,
    erased,
    make_finding,
    pair_evidence,
    searched,
    three_segments,
)

WHOLE = three_segments()
STEPS: tuple[AssetEvent, ...] = (*WHOLE, ended(3, 96.0))


def later(*events: SegmentSearched, **changes: object) -> list[SegmentSearched]:
    """The same segments as a later upload announces them."""
    return [event.model_copy(update={"generation": 2, **changes}) for event in events]


def test_every_order_gives_the_same_state() -> None:
    minutes = [event.model_copy(update={"uploaded_at": AT + timedelta(minutes=n)}) for n, event in enumerate(WHOLE)]
    states = [after(*order) for order in permutations([*minutes, STEPS[-1]])]
    assert all(state == states[0] for state in states)
    assert states[0].uploaded_at == AT, "an upload by segments begins with its first"


def test_a_repeated_event_changes_nothing() -> None:
    once = after(*STEPS)
    for again in STEPS:
        assert apply(once, again).state is once


def test_a_segment_announced_again_only_gets_a_later_generation() -> None:
    again = after(*STEPS, *later(*WHOLE))
    assert again.pairs.keys() == {"one", "two"}
    assert {(one.since, one.generation) for one in again.segments.values()} == {(1, 2)}
    assert not again.is_complete, "its end is still to come"
    for old in STEPS:
        assert apply(again, old).state is again
    assert after(ended(3, 96.0, generation=2), state=again).is_complete


def test_other_content_of_a_whole_file_replaces_all_that_came_before() -> None:
    other = searched(0, generation=2, content="other", uploaded_at=AT + timedelta(hours=1))
    folded = apply(after(*STEPS), other)
    assert folded.replaced == (SegmentRange(before=2),)
    assert folded.state.segments.keys() == {0}
    assert folded.state.pairs == {}
    assert folded.state.uploaded_at == AT + timedelta(hours=1)
    assert after(*STEPS[:-1], other).min_duration_s == 32


@pytest.mark.parametrize(
    "old", [*STEPS, erased(1), *later(WHOLE[0], generation=1, content="older", is_whole_file=False)]
)
def test_an_event_of_an_older_upload_changes_nothing(old: AssetEvent) -> None:
    replaced = after(*STEPS, searched(0, generation=2, content="other"))
    assert apply(replaced, old).state is replaced


@pytest.mark.parametrize("old", [*STEPS, erased(1), pair_evidence(make_finding(other="a"))])
def test_an_event_of_a_removed_upload_changes_nothing(old: AssetEvent) -> None:
    removed = after(*STEPS, erased(2))
    assert apply(removed, old).state is removed


def test_a_segment_that_a_newer_upload_has_not_reached_yet_changes_nothing_if_it_comes_late() -> None:
    """Nothing of the older upload was known, so nothing was replaced."""
    newer = after(searched(0, generation=2, content="newer"))
    assert apply(newer, searched(1, make_finding(segment_index=1))).state is newer
    files = after(searched(0, is_whole_file=False, generation=2, content="newer"))
    assert after(searched(1, is_whole_file=False), state=files).segments.keys() == {0, 1}, "each file is an upload"


def test_replacing_one_failed_segment_does_not_drop_the_others() -> None:
    failed = [searched(index, is_whole_file=False, **FAILED) for index in range(3)]
    repaired = after(*failed, searched(1, is_whole_file=False, generation=2))
    assert [repaired.count(status) for status in SegmentStatus] == [1, 0, 2]


def test_a_segment_that_fails_later_keeps_what_was_described_and_counts_as_an_upload() -> None:
    state = after(searched(0, make_finding(), is_whole_file=False))
    failed = after(searched(0, is_whole_file=False, generation=2, **FAILED), state=state)
    assert failed.pairs is state.pairs
    assert failed.count(SegmentStatus.DESCRIBED) == 1
    assert failed.newest_generation == 2


def test_a_file_that_fails_replaces_nothing_whatever_comes_first() -> None:
    """A whole file is replaced by two files; the first of them cannot be decoded at first."""
    whole = [searched(index) for index in range(3)]
    broken = searched(0, is_whole_file=False, generation=3, **FAILED)
    files = [
        searched(index, is_whole_file=False, content=f"file {index}", generation=generation)
        for index, generation in ((1, 2), (0, 4))
    ]
    for order in permutations([broken, *files]):
        state = after(*whole, *order)
        assert {(one.segment_index, one.content) for one in state.segments.values()} == {(0, "file 0"), (1, "file 1")}
    for order in permutations([broken, *whole]):
        state = after(*order)
        assert [one.content for one in state.segments.values()] == ["content"] * 3
        assert state.newest_generation == 3, "it is answered all the same"


def test_a_search_that_failed_does_not_undo_one_that_was_made() -> None:
    assert after(*later(*WHOLE[:1], is_compared=False), state=after(*WHOLE)).segments[0].is_compared
    assert after(searched(0, is_compared=False), searched(0)).segments[0].is_compared
    assert not after(searched(0), searched(0, generation=2, content="other", is_compared=False)).segments[0].is_compared


def failure(segment_count: int, generation: int = 1) -> AssetEnded:
    return ended(segment_count, status="failed", generation=generation)


@pytest.mark.parametrize(
    ("ends", "holds"),
    [
        ((ended(2), ended(3)), ended(3)),
        ((ended(2), ended(2, 64.0)), ended(2, 64.0)),
        ((failure(5), ended(2)), ended(2)),
        ((failure(1), failure(2)), failure(2)),
        ((ended(5), ended(2, generation=2)), ended(2, generation=2)),
        ((ended(5), failure(0, generation=2)), failure(0, generation=2)),
    ],
)
def test_the_same_end_wins_in_any_order(ends: tuple[AssetEnded, AssetEnded], holds: AssetEnded) -> None:
    for order in permutations(ends):
        assert after(*order).ended == holds


def test_what_was_decoded_of_a_file_is_known_when_it_is_announced_again() -> None:
    first = ended(2, 64.0, decoded_share=0.8)
    for again, share in (
        (ended(2, 64.0, generation=2), 0.8),
        (ended(2, 64.0, generation=2, decoded_share=1.0), 1.0),
        (ended(2, 60.0, generation=2), None),
        (ended(2, generation=2), None),
        (failure(2, generation=2), None),
    ):
        state = after(first, again)
        assert state.ended is not None
        assert state.ended.decoded_share == share


def test_an_end_cuts_off_what_an_older_upload_had_beyond_it() -> None:
    """Segments of the same content, and segment files of an upload that became shorter."""
    files = [searched(n, make_finding(segment_index=n), is_whole_file=False, content=str(n)) for n in range(3)]
    folded = apply(after(*files), ended(2, generation=2))
    assert folded.replaced == (SegmentRange(first=2, before=2),)
    assert folded.state.segments.keys() == {0, 1}
    assert {key.segment_index for key in folded.state.pairs["other"].units} == {0, 1}
    assert after(files[2], state=folded.state) is folded.state, "a stopped worker goes on"
    assert apply(after(*files), failure(2, generation=2)).replaced == (), "a file that cannot be read is not shorter"


def test_an_event_does_not_change_earlier_states() -> None:
    state = AssetState("default", "a")
    kept = []
    for step in [*STEPS, *later(*WHOLE, content="other"), erased(3), *STEPS]:
        kept.append((state, dict(state.segments), dict(state.pairs)))
        state = apply(state, step).state
    assert all(old.segments == segments and old.pairs == pairs for old, segments, pairs in kept)


@pytest.mark.parametrize(
    ("events", "complete"),
    [
        ([], False),
        ([ended(0)], True),
        ([ended(2)], False),
        ([searched(1), ended(2)], False),
        ([searched(1), searched(1), ended(2)], False),
        ([searched(1), searched(0)], False),
        ([searched(1), ended(2), searched(0)], True),
        ([searched(5), searched(0, **FAILED), ended(2)], True),
        ([searched(0), ended(1), searched(0, generation=2)], False),
        ([searched(0, is_whole_file=False), ended(1), searched(0, is_whole_file=False, generation=2)], True),
    ],
)
def test_an_asset_is_complete_once_its_end_and_all_segments_have_come(events: list[AssetEvent], complete: bool) -> None:
    assert after(*events).is_complete == complete


def test_segments_are_counted_by_their_latest_status() -> None:
    undecidable = searched(1, status=SegmentStatus.UNDECIDABLE, frame_count=0)
    state = after(searched(0), searched(1), undecidable, searched(2, **FAILED))
    assert [state.count(status) for status in SegmentStatus] == [1, 1, 1]


def test_the_least_duration_is_the_latest_known_end() -> None:
    assert after(searched(2), searched(0)).min_duration_s == 96
    assert after(searched(0), ended(1, 40.5)).min_duration_s == 40.5
    assert after(searched(0), ended(1, None)).min_duration_s == 32


def test_evidence_is_kept_by_segment_and_other_asset() -> None:
    state = after(*STEPS)
    kept = {other: sorted((key.side, key.segment_index) for key in pair.units) for other, pair in state.pairs.items()}
    assert kept == {name: [("query", 0), ("query", 1), ("query", 2)] for name in ("one", "two")}


def test_evidence_that_others_found_comes_before_the_first_segment_of_the_asset_itself() -> None:
    state = after(pair_evidence(make_finding(other="a", duration_s=90.0, frame_count=80)))
    assert (state.min_duration_s, state.min_frame_count, state.uploaded_at) == (90, 80, AT)
    assert not state.is_open, "nothing of an upload is known that could be decided on"
    assert [(key.side, key.segment_index) for key in state.pairs["reference"].units] == [("reference", 0)]


def test_a_link_is_kept_until_the_alert_is_withdrawn() -> None:
    link = PairLinked(asset_id="a", query_id="q", alert_id="1", is_live=True)
    linked = after(link)
    assert linked.links == {"q": "1"}
    assert apply(linked, link).state is linked
    assert after(link.model_copy(update={"is_live": False}), state=linked).links == {}


def test_content_of_a_reference_that_is_no_more_takes_its_evidence_along() -> None:
    state = after(*STEPS)
    gone = SideReplaced(asset_id="a", reference_id="one", replaced=(SegmentRange(before=2),))
    left = after(gone, state=state)
    assert left.pairs["one"].units == {}
    assert left.pairs["two"] is state.pairs["two"]
    assert apply(left, gone).state is left
    older = gone.model_copy(update={"replaced": (SegmentRange(before=1),)})
    assert apply(state, older).state is state
