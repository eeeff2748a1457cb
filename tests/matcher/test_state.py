"""The state of an asset depends neither on the order of its events nor on repeated ones."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest

from services.contracts.events import AssetEnded, Role, SegmentEncoded, SegmentStatus
from services.contracts.segments import DescribedSegment
from services.matcher.rerank import Comparison, compare
from services.matcher.state import AssetState
from tca_model.matching.evidence import join
from tests.descriptors import cut, work

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
NO_FLOOR = -1.0

Step = tuple[SegmentEncoded, Sequence[Comparison]] | AssetEnded


def segment_event(index: int, **fields: object) -> SegmentEncoded:
    values: dict[str, object] = {
        "asset_id": "a",
        "segment_id": f"a:{index}",
        "segment_index": index,
        "role": Role.UPLOAD,
        "start_s": 32 * index,
        "end_s": 32 * index + 32,
        "status": SegmentStatus.DESCRIBED,
        "frame_count": 32,
        "stamp": "stamp",
        "model_version": "v1",
        "uploaded_at": AT,
        "encoded_at": AT,
    }
    return SegmentEncoded.model_validate(values | fields)


def end_event(segment_count: int, duration_s: float | None = None) -> AssetEnded:
    return AssetEnded(asset_id="a", segment_count=segment_count, duration_s=duration_s, status="complete")


def after(*steps: Step, floor: float = NO_FLOOR) -> AssetState:
    state = AssetState("default", "a")
    for step in steps:
        state = apply(state, step, floor)
    return state


def apply(state: AssetState, step: Step, floor: float = NO_FLOOR) -> AssetState:
    if isinstance(step, AssetEnded):
        return state.with_end(step)
    return state if state.is_already_known(step[0]) else state.with_segment(*step, floor)


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    """An asset of three segments that shows parts of two others, and its end."""
    segments = cut("a", np.concatenate([work(1, 0, 20), work(2, 0, 40), work(3, 0, 36)]))
    stored = [*cut("one", work(1, 0, 60)), *cut("two", work(2, 10, 50))]
    compared = [compare(segment, stored) for segment in segments]
    uploads = [AT + timedelta(minutes=minute) for minute in (0, 1, 2)]
    return [
        *(
            (segment_event(n, uploaded_at=at), found)
            for n, (at, found) in enumerate(zip(uploads, compared, strict=True))
        ),
        end_event(3, 96.0),
    ]


def joined_score(comparison: Comparison) -> float:
    return join([comparison.evidence]).joined_score


def segment_step(steps: list[Step], index: int) -> tuple[SegmentEncoded, Sequence[Comparison]]:
    step = steps[index]
    assert isinstance(step, tuple)
    return step


def test_every_order_gives_the_same_state(steps: list[Step]) -> None:
    states = [after(*order) for order in permutations(steps)]
    assert all(state == states[0] for state in states)
    assert states[0].uploaded_at == AT, "an upload by segments begins with its first"
    assert states[0].newest_uploaded_at == AT + timedelta(minutes=2)


def test_a_repeated_event_changes_nothing(steps: list[Step]) -> None:
    once = after(*steps)
    for again in steps:
        assert after(*steps, again) == once


def test_a_segment_with_another_role_replaces_all_its_earlier_evidence(steps: list[Step]) -> None:
    events = [segment_step(steps, index) for index in range(3)]
    moved = [(event.model_copy(update={"role": Role.REFERENCE}), found[:1]) for event, found in events]
    assert after(*steps, *moved) == after(*moved, steps[3])


def test_other_content_resets_the_asset(steps: list[Step]) -> None:
    event, found = segment_step(steps, 0)
    other = event.model_copy(update={"stamp": "other", "uploaded_at": AT + timedelta(hours=1)})
    replaced = after(*steps, (other, found))
    assert replaced == after((other, found))
    assert replaced.uploaded_at == AT + timedelta(hours=1)
    assert replaced.min_duration_s == 32


def test_replacing_one_failed_segment_does_not_drop_the_others() -> None:
    failed: list[Step] = [(segment_event(index, status="failed", stamp=None), []) for index in range(3)]
    repaired = after(*failed, (segment_event(1), []))
    assert [repaired.count(status) for status in SegmentStatus] == [1, 0, 2]


@pytest.mark.parametrize(
    ("event", "is_known"),
    [
        (segment_event(0), True),
        (segment_event(0, index_timestamp=7, encoded_at=AT + timedelta(hours=1)), True),
        (segment_event(0, status="failed", stamp=None, reason="gone"), True),
        (segment_event(0, stamp="other"), False),
        (segment_event(0, role=Role.REFERENCE), False),
        (segment_event(0, model_version="v2"), False),
        (segment_event(0, status="failed", stamp=None, model_version="v2"), False),
        (segment_event(1, status="failed", stamp=None, reason="no picture"), True),
        (segment_event(1, status="failed", stamp=None, reason="too long"), False),
        (segment_event(1), False),
        (segment_event(2), False),
    ],
)
def test_an_event_is_already_known_if_it_changes_nothing(event: SegmentEncoded, is_known: bool) -> None:
    state = after((segment_event(0), []), (segment_event(1, status="failed", stamp=None, reason="no picture"), []))
    assert state.is_already_known(event) == is_known


def failure(segment_count: int) -> AssetEnded:
    return AssetEnded(asset_id="a", segment_count=segment_count, duration_s=None, status="failed")


@pytest.mark.parametrize(
    ("ends", "holds"),
    [
        ((end_event(2), end_event(3)), end_event(3)),
        ((end_event(2), end_event(2, 64.0)), end_event(2, 64.0)),
        ((failure(5), end_event(2)), end_event(2)),
        ((failure(1), failure(2)), failure(2)),
    ],
)
def test_the_same_end_wins_in_any_order(ends: tuple[AssetEnded, AssetEnded], holds: AssetEnded) -> None:
    for order in permutations(ends):
        assert after(*order).ended == holds


def test_an_end_after_the_decision_only_replaces_a_failure() -> None:
    decided = replace(after((segment_event(0), []), end_event(1)), decided=True)
    assert decided.with_end(end_event(5)) is decided
    assert decided.with_end(failure(9)) is decided
    failed = replace(after(failure(0)), decided=True)
    assert failed.with_end(failure(3)) is failed
    assert not failed.with_end(end_event(1)).decided


def test_an_event_does_not_change_earlier_states(steps: list[Step]) -> None:
    state = AssetState("default", "a")
    kept = []
    for step in [*steps, *steps]:
        kept.append((state, state.segments.copy(), dict(state.pairs)))  # type: ignore[attr-defined]
        state = apply(state, step)
    assert all(old.segments == segments and old.pairs == pairs for old, segments, pairs in kept)


@pytest.mark.parametrize(
    ("events", "complete"),
    [
        ([], False),
        ([end_event(0)], True),
        ([end_event(2)], False),
        ([(segment_event(1), []), end_event(2)], False),
        ([(segment_event(1), []), (segment_event(1), []), end_event(2)], False),
        ([(segment_event(1), []), (segment_event(0), [])], False),
        ([(segment_event(1), []), end_event(2), (segment_event(0), [])], True),
        ([(segment_event(5), []), (segment_event(0, status="failed", stamp=None), []), end_event(2)], True),
    ],
)
def test_an_asset_is_complete_once_its_end_and_all_segments_have_come(events: list[Step], complete: bool) -> None:
    assert after(*events).is_complete == complete


def test_segments_are_counted_by_their_latest_status() -> None:
    undecidable = segment_event(1, status="undecidable", frame_count=0)
    state = after(
        (segment_event(0), []),
        (segment_event(1), []),
        (undecidable, []),
        (segment_event(2, status="failed", stamp=None), []),
    )
    counts = [state.count(status) for status in SegmentStatus]
    assert counts == [1, 1, 1]


def test_the_least_duration_is_the_latest_known_end() -> None:
    assert after((segment_event(2), []), (segment_event(0), [])).min_duration_s == 96
    assert after((segment_event(0), []), end_event(1, 40.5)).min_duration_s == 40.5
    assert after((segment_event(0), []), end_event(1, None)).min_duration_s == 32


def test_comparisons_below_the_floor_are_dropped(steps: list[Step]) -> None:
    event, comparisons = segment_step(steps, 1)
    weak, strong = sorted(comparisons, key=joined_score)
    floor = (joined_score(weak) + joined_score(strong)) / 2
    assert after((event, comparisons), floor=floor).pairs.keys() == {strong.row.asset_id}
    assert after((event, comparisons), floor=joined_score(strong)).pairs.keys() == {strong.row.asset_id}, (
        "a score equal to the floor is kept"
    )
    assert after((event, comparisons)).pairs.keys() == {weak.row.asset_id, strong.row.asset_id}


def test_evidence_is_kept_by_segment_and_other_asset(steps: list[Step]) -> None:
    state = after(*steps)
    assert {other: sorted(pair.evidence) for other, pair in state.pairs.items()} == {"one": [0, 1, 2], "two": [0, 1, 2]}
    assert state.pairs["one"].other_uploaded_at == cut("one", work(1))[0].row.uploaded_at


def test_the_upload_time_of_the_other_asset_is_that_of_its_first_segment() -> None:
    def found(uploaded_at: float) -> list[Comparison]:
        other: DescribedSegment = cut("live", work(1), uploaded_at=uploaded_at)[0]
        return compare(cut("a", work(1))[0], [other])

    for order in ((0, 50.0), (1, 70.0)), ((1, 70.0), (0, 50.0)):
        state = after(*((segment_event(index), found(at)) for index, at in order))
        assert state.pairs["live"].other_uploaded_at == 50
