"""A commit never passes unfinished work, and reaches the end when all work is finished."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.ports import Message, Record
from services.runtime.offsets import OffsetTracker


def record(offset: int, partition: int = 0) -> Record:
    return Record(Message("t", "k", b""), partition, offset)


# For each partition the gaps between its offsets, and numbers that choose the next step: each picks one of the possible
# steps (start the next record of a partition, or finish one that is in work).
histories = st.tuples(
    st.lists(st.lists(st.integers(1, 3), max_size=8), min_size=1, max_size=3),
    st.lists(st.integers(0, 1000), min_size=50, max_size=50),  # 3 x 8 records are started and finished in 48
)


@given(histories)
def test_no_history_commits_unfinished_work(history: tuple[list[list[int]], list[int]]) -> None:
    gaps, picks = history
    waiting = [
        [record(sum(steps[: n + 1]), partition) for n in range(len(steps))] for partition, steps in enumerate(gaps)
    ]
    everything = [list(records) for records in waiting]
    tracker = OffsetTracker()
    working: list[Record] = []
    finished: set[tuple[int, int]] = set()
    committed: dict[int, int] = {}
    for pick in picks:
        choices = [("start", records[0]) for records in waiting if records]
        choices += [("finish", one) for one in working]
        if not choices:
            break
        step, one = choices[pick % len(choices)]
        if step == "start":
            waiting[one.partition].pop(0)
            tracker.start(one)
            working.append(one)
            continue
        working.remove(one)
        finished.add((one.partition, one.offset))
        newest = tracker.finish(one)
        if newest is None:
            continue
        assert newest.partition == one.partition, "only the partition that moved is committed"
        assert newest.offset > committed.get(one.partition, -1), "a commit never goes back"
        committed[one.partition] = newest.offset
        covered = [known for known in everything[one.partition] if known.offset <= newest.offset]
        assert {(known.partition, known.offset) for known in covered} <= finished
    ends = {partition: records[-1].offset for partition, records in enumerate(everything) if records}
    assert committed == ends, "when everything is finished, everything is committed"


def test_the_oldest_record_holds_back_the_others_until_it_is_finished() -> None:
    tracker = OffsetTracker()
    records = [record(offset) for offset in (3, 4, 9)]
    for one in records:
        tracker.start(one)
    assert tracker.finish(records[2]) is None
    assert tracker.finish(records[1]) is None
    assert tracker.finish(records[0]) is records[2]


def test_partitions_do_not_wait_for_each_other() -> None:
    tracker = OffsetTracker()
    slow, quick = record(0, partition=0), record(7, partition=1)
    tracker.start(slow)
    tracker.start(quick)
    assert tracker.finish(quick) is quick
    assert tracker.finish(slow) is slow


def test_a_record_that_was_not_started_cannot_be_finished() -> None:
    tracker = OffsetTracker()
    tracker.start(record(1))
    with pytest.raises(KeyError):
        tracker.finish(record(2))
    with pytest.raises(KeyError):
        tracker.finish(record(1, partition=5))
