"""What supersedes what, among the segments of an asset."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.generations import (
    OFFSET_BITS,
    generation_of,
    is_superseded,
    published_s,
    select_current,
)
from services.contracts.ports import Message, Record


@dataclass(frozen=True)
class Stored:
    segment_index: int
    generation: int
    content: str | None
    is_whole_file: bool = True


def record(offset: int, timestamp_ms: int | None) -> Record:
    return Record(Message("video-segments", "k", b""), 0, offset, timestamp_ms=timestamp_ms)


def slow_select(stored: Sequence[Stored]) -> set[Stored]:
    """By the definition: of equal content the latest, and of these what no other supersedes."""
    latest = {(one.segment_index, one.content): one for one in sorted(stored, key=lambda one: one.generation)}
    return {one for one in latest.values() if not any(is_superseded(one, other) for other in latest.values())}


def test_generations_rise_with_time_and_within_a_batch_by_offset() -> None:
    places = [(7, 1000), (8, 1000), (9, 1000), (2**OFFSET_BITS + 10, 1001), (0, 5000)]
    generations = [generation_of(record(offset, timestamp_ms)) for offset, timestamp_ms in places]
    assert generations == sorted(set(generations)), "the last one is of a topic that was made again"
    assert [published_s(one) for one in generations] == [1.0, 1.0, 1.0, 1.001, 5.0]


def test_a_generation_fits_into_the_integers_of_an_index() -> None:
    assert generation_of(record(2**40, 4_000_000_000_000)) < 2**63  # in the year 2096
    assert generation_of(record(5, None)) == 5


def test_another_whole_file_supersedes_everything() -> None:
    old = [Stored(index, 1, "old") for index in range(4)]
    new = [Stored(0, 2, "new"), Stored(1, 2, "new")]
    assert select_current(old + new) == new
    assert select_current([*old, new[0]]) == [new[0]], "as soon as its first segment is stored"


def test_what_a_stopped_worker_adds_later_for_an_older_upload_is_not_current() -> None:
    new = [Stored(0, 2, "new"), Stored(1, 2, "new")]
    late = [Stored(1, 1, "old"), Stored(5, 1, "old")]
    assert select_current(new + late) == new


def test_the_same_file_again_supersedes_nothing_of_itself() -> None:
    stored = [Stored(0, 2, "same"), Stored(1, 1, "same"), Stored(2, 1, "same")]
    assert sorted(select_current(stored), key=lambda one: one.segment_index) == stored


def test_a_segment_file_supersedes_only_its_own_segment_and_every_whole_file() -> None:
    parts = [Stored(index, 10 + index, f"part {index}", is_whole_file=False) for index in range(3)]
    mended = Stored(1, 20, "mended", is_whole_file=False)
    assert set(select_current([*parts, mended])) == {parts[0], mended, parts[2]}
    assert set(select_current([*parts, Stored(0, 1, "whole"), Stored(7, 1, "whole")])) == set(parts)
    assert select_current([*parts, Stored(0, 30, "whole")]) == [Stored(0, 30, "whole")]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_order_does_not_matter(order: tuple[int, ...]) -> None:
    stored = [Stored(0, 1, "a"), Stored(0, 2, "b", False), Stored(1, 3, "c", False), Stored(1, 1, "a")]
    assert set(select_current([stored[number] for number in order])) == {stored[1], stored[2]}


contents = st.lists(
    st.builds(Stored, st.integers(0, 2), st.integers(1, 6), st.sampled_from(["a", "b", "c"]), st.booleans()),
    max_size=6,
    unique_by=lambda one: (one.segment_index, one.generation),
)


@given(contents)
def test_the_quick_selection_is_the_definition(stored: list[Stored]) -> None:
    assert set(select_current(stored)) == slow_select(stored)
