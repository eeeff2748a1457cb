"""What is known of an asset does not depend on the order in which it came, nor on what came twice."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest

from services.contracts.events import AssetEnded, Role, SegmentEncoded, SegmentStatus
from services.contracts.ports import DescribedSegment
from services.matcher.rerank import Comparison, compare
from services.matcher.state import AssetState
from tca_model.evidence import join
from tests.descriptors import cut, work

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
NO_FLOOR = -1.0

Step = tuple[SegmentEncoded, Sequence[Comparison]] | AssetEnded


def encoded(index: int, **fields: object) -> SegmentEncoded:
    values: dict[str, object] = {
        "asset_id": "a",
        "segment_id": f"a:{index}",
        "segment_index": index,
        "role": Role.UPLOAD,
        "start_s": 32 * index,
        "end_s": 32 * index + 32,
        "status": SegmentStatus.DESCRIBED,
        "frame_count": 32,
        "model_version": "v1",
        "uploaded_at": AT,
        "encoded_at": AT,
    }
    return SegmentEncoded.model_validate(values | fields)


def ended(segment_count: int, duration_s: float | None = None) -> AssetEnded:
    return AssetEnded(asset_id="a", segment_count=segment_count, duration_s=duration_s, status="complete")


def after(*steps: Step, floor: float = NO_FLOOR) -> AssetState:
    state = AssetState("default", "a")
    for step in steps:
        state = state.with_end(step) if isinstance(step, AssetEnded) else state.with_segment(*step, floor)
    return state


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    """An asset of three segments that shows parts of two others, and its end."""
    segments = cut("a", np.concatenate([work(1, 0, 20), work(2, 0, 40), work(3, 0, 36)]))
    stored = [*cut("one", work(1, 0, 60)), *cut("two", work(2, 10, 50))]
    compared = [compare(segment, stored) for segment in segments]
    uploads = [AT + timedelta(minutes=minute) for minute in (0, 1, 2)]
    return [
        *((encoded(n, uploaded_at=at), found) for n, (at, found) in enumerate(zip(uploads, compared, strict=True))),
        ended(3, 96.0),
    ]


def only(comparison: Comparison) -> float:
    return join([comparison.evidence]).score


def segment_step(steps: list[Step], index: int) -> tuple[SegmentEncoded, Sequence[Comparison]]:
    step = steps[index]
    assert isinstance(step, tuple)
    return step


def test_every_order_gives_the_same_state(steps: list[Step]) -> None:
    states = [after(*order) for order in permutations(steps)]
    assert all(state == states[0] for state in states)
    assert states[0].uploaded_at == AT, "an upload by segments began with its first"
    assert states[0].newest_uploaded_at == AT + timedelta(minutes=2)


def test_what_comes_twice_changes_nothing(steps: list[Step]) -> None:
    once = after(*steps)
    for again in steps:
        assert after(*steps, again) == once


def test_a_repeated_segment_replaces_all_that_it_said_before(steps: list[Step]) -> None:
    event, _ = segment_step(steps, 0)
    rest = steps[1:]
    for found in ([], compare(cut("a", work(2, 10, 30))[0], cut("two", work(2, 10, 50)))):
        replaced = after(*steps, (event, found))
        fresh = after((event, found), *rest)
        assert replaced == fresh
        assert {other: pair.segment_cosine for other, pair in replaced.pairs.items()} == {
            other: pair.segment_cosine for other, pair in fresh.pairs.items()
        }


def test_a_step_changes_no_earlier_state(steps: list[Step]) -> None:
    state = AssetState("default", "a")
    kept = []
    for step in [*steps, *steps]:
        kept.append((state, state.segments.copy(), dict(state.pairs)))  # type: ignore[attr-defined]
        state = state.with_end(step) if isinstance(step, AssetEnded) else state.with_segment(*step, NO_FLOOR)
    assert all(old.segments == segments and old.pairs == pairs for old, segments, pairs in kept)


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        ([], False),
        ([ended(0)], True),
        ([ended(2)], False),
        ([(encoded(1), []), ended(2)], False),
        ([(encoded(1), []), (encoded(1), []), ended(2)], False),
        ([(encoded(1), []), (encoded(0), [])], False),
        ([(encoded(1), []), ended(2), (encoded(0), [])], True),
        ([(encoded(5), []), (encoded(0, status="failed"), []), ended(2)], True),
    ],
)
def test_an_asset_is_complete_when_it_ended_and_every_segment_came(given: list[Step], complete: bool) -> None:
    assert after(*given).is_complete() == complete


def test_segments_are_counted_by_what_became_of_them_last() -> None:
    undecidable = encoded(1, status="undecidable", frame_count=0)
    state = after((encoded(0), []), (encoded(1), []), (undecidable, []), (encoded(2, status="failed"), []))
    counts = [state.count(status) for status in SegmentStatus]
    assert counts == [1, 1, 1]


def test_the_known_length_is_the_latest_end() -> None:
    assert after((encoded(2), []), (encoded(0), [])).known_s == 96
    assert after((encoded(0), []), ended(1, 40.5)).known_s == 40.5
    assert after((encoded(0), []), ended(1, None)).known_s == 32


def test_comparisons_below_the_floor_are_forgotten(steps: list[Step]) -> None:
    event, comparisons = segment_step(steps, 0)
    weak, strong = sorted(comparisons, key=only)
    floor = (only(weak) + only(strong)) / 2
    assert after((event, comparisons), floor=floor).pairs.keys() == {strong.row.asset_id}
    assert after((event, comparisons), floor=only(strong)).pairs.keys() == {strong.row.asset_id}, "at the floor stays"
    assert after((event, comparisons)).pairs.keys() == {weak.row.asset_id, strong.row.asset_id}


def test_evidence_is_kept_by_segment_and_other_asset(steps: list[Step]) -> None:
    state = after(*steps)
    assert {other: sorted(pair.evidence) for other, pair in state.pairs.items()} == {"one": [0, 1, 2], "two": [0, 1, 2]}
    assert state.pairs["one"].other_uploaded_at == cut("one", work(1))[0].row.uploaded_at


def test_the_other_was_uploaded_when_the_first_of_its_segments_was() -> None:
    def found(uploaded_at: float) -> list[Comparison]:
        other: DescribedSegment = cut("live", work(1), uploaded_at=uploaded_at)[0]
        return compare(cut("a", work(1))[0], [other])

    for order in ((0, 50.0), (1, 70.0)), ((1, 70.0), (0, 50.0)):
        state = after(*((encoded(index), found(at)) for index, at in order))
        assert state.pairs["live"].other_uploaded_at == 50
