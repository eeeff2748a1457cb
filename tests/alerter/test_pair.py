"""The evidence of a pair: newer replaces older, and what was replaced on either side takes only its own part along."""

from dataclasses import replace

import pytest

from services.alerter.pair import Pair, Unit, UnitKey
from services.contracts.evidence import SegmentRange
from tca_model.types import Match
from tests.alerter.by_hand import make_finding
from tests.alerter.stages import CALIBRATION, MODEL

# Thirty seconds of the query are seconds 20 to 50 of the reference, over the border of its segments 0 and 1.
ACROSS = Match(100, 130, 20, 50, 0.9)
SECOND = (SegmentRange(first=1, end=2, before=5),)


def unit(*, generation: int = 1, of_reference: int = 1, compared: tuple[int, ...] = (0, 1)) -> Unit:
    finding = make_finding(compared=compared, generation=of_reference, match=ACROSS)
    return Unit.of(generation, finding)


def pair(**units: Unit) -> Pair:
    """A pair with these units: q3 of query segment 3, r5 of reference segment 5."""
    sides = {"q": "query", "r": "reference"}
    by_key = {UnitKey(sides[name[0]], int(name[1:])): one for name, one in units.items()}  # type: ignore[arg-type]
    return Pair(make_finding().other, MODEL, CALIBRATION, by_key)


def names(left: Pair) -> set[str]:
    return {f"{key.side[0]}{key.segment_index}" for key in left.units}


def test_a_replaced_segment_of_the_other_side_leaves_the_interval_on_its_neighbour() -> None:
    left = unit().without(SECOND)
    assert left is not None
    assert [one.segment_index for one in left.compared] == [0]
    assert [one.segment_index for one in left.evidence.references] == [0]
    assert left.evidence.matches == (Match(100, 112, 20, 32, 0.9),)
    first = unit().without((SegmentRange(first=0, end=1, before=5),))
    assert first is not None
    assert first.evidence.matches == (Match(112, 130, 32, 50, 0.9),)


def test_nothing_is_left_without_segments_of_the_other_side() -> None:
    assert unit().without((SegmentRange(before=5),)) is None
    assert unit(compared=(1,)).without(SECOND) is None


@pytest.mark.parametrize("ranges", [(), (SegmentRange(before=1),), (SegmentRange(first=2, before=5),)])
def test_a_unit_on_other_segments_or_newer_ones_is_the_same(ranges: tuple[SegmentRange, ...]) -> None:
    kept = unit()
    assert kept.without(ranges) is kept


def test_a_segment_of_the_query_takes_its_own_search_and_its_part_of_those_of_the_reference_along() -> None:
    before = pair(q0=unit(), q1=unit(), r5=unit(compared=(0, 1)), r6=unit(compared=(1,)))
    left = before.without("query", SECOND)
    assert names(left) == {"q0", "r5"}
    assert left.units[UnitKey("query", 0)] is before.units[UnitKey("query", 0)]
    assert [one.segment_index for one in left.units[UnitKey("reference", 5)].compared] == [0]


def test_a_segment_of_the_reference_takes_its_own_search_and_its_part_of_those_of_the_query_along() -> None:
    before = pair(q0=unit(), q1=unit(compared=(1,)), r0=unit(), r1=unit())
    left = before.without("reference", SECOND)
    assert names(left) == {"q0", "r0"}
    assert [one.segment_index for one in left.units[UnitKey("query", 0)].compared] == [0]
    assert left.units[UnitKey("reference", 0)] is before.units[UnitKey("reference", 0)]


def test_a_pair_that_loses_nothing_is_the_same() -> None:
    before = pair(q0=unit(), r0=unit())
    for side in ("query", "reference"):
        assert before.without(side, (SegmentRange(first=7, before=9),)) is before


@pytest.mark.parametrize(
    ("known", "late"),
    [
        (unit(generation=2), unit(generation=1)),  # of an older upload of the searched segment
        (unit(of_reference=2), unit(of_reference=1)),  # searched before the reference was replaced
        (unit(compared=(0, 1)), unit(compared=(0,))),  # searched before the reference went on
    ],
)
def test_a_late_search_does_not_replace_one_that_knew_more(known: Unit, late: Unit) -> None:
    key, before = UnitKey("query", 0), pair(q0=known)
    assert before.with_unit(key, late) is before
    assert pair(q0=late).with_unit(key, known).units == {key: known}


def test_a_search_that_found_something_else_replaces_one_that_knew_as_much() -> None:
    key, before = UnitKey("query", 0), pair(q0=unit())
    assert before.with_unit(key, unit()) is before
    other = replace(unit(), segment_cosine=0.7)
    assert before.with_unit(key, other).units == {key: other}
    assert before.with_unit(UnitKey("reference", 0), other).units.keys() == {key, UnitKey("reference", 0)}


def test_the_segments_of_the_reference_that_a_pair_rests_on_come_from_both_directions() -> None:
    both = pair(q0=unit(of_reference=3), q1=unit(of_reference=4, compared=(1,)), r1=unit(generation=4), r7=unit())
    places = [(one.segment_index, one.generation) for one in both.list_reference_segments()]
    assert places == [(0, 3), (1, 3), (1, 4), (7, 1)]


def test_both_directions_are_joined_once() -> None:
    forward = Unit.of(1, make_finding(segment_index=3, compared=(1,), match=Match(100, 120, 40, 60, 0.9)))
    turned = Unit.of(1, make_finding(segment_index=1, compared=(3,), match=Match(40, 60, 100, 120, 0.9)))
    alone, both = pair(q3=forward).join(query_frames=200), pair(q3=forward, r1=turned).join(query_frames=200)
    assert both.intervals == alone.intervals == (Match(100, 120, 40, 60, 0.9),)
    assert pair(r1=turned).join(query_frames=200).intervals == alone.intervals
    assert both.joined_score == alone.joined_score
