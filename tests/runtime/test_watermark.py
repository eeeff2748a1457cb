"""A watermark passes a time only when everything that was published before it is processed."""

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.group_lag import GroupLag, PartitionLag
from services.runtime.watermark import MAX_SAMPLES, Watermark


def lag(asked_s: float, *partitions: tuple[int, int], topic: str = "t", group: str = "g") -> GroupLag:
    """What the brokers tell; each partition as (done, end)."""
    return GroupLag(
        topic,
        group,
        asked_s,
        tuple(PartitionLag(number, done, end, None, True) for number, (done, end) in enumerate(partitions)),
    )


def test_nothing_is_known_before_the_first_sample() -> None:
    mark = Watermark("t", "g")
    assert mark.time_s is None
    assert not mark.has_passed(0)


def test_a_sample_is_passed_when_what_it_saw_is_committed_although_newer_records_wait() -> None:
    mark = Watermark("t", "g")
    mark.observe(lag(10, (0, 5)))
    assert not mark.has_passed(0)
    mark.observe(lag(20, (4, 9)))
    assert not mark.has_passed(0)
    mark.observe(lag(30, (5, 9)))
    assert mark.time_s == 10
    mark.observe(lag(40, (9, 12)))
    assert mark.time_s == 30
    assert mark.has_passed(29)
    assert not mark.has_passed(30)  # what was published at that moment may have come after the question


def test_an_idle_topic_passes_with_each_sample_and_stands_still_without_one() -> None:
    mark = Watermark("t", "g")
    for now_s in (10.0, 20.0):
        mark.observe(lag(now_s, (7, 7), (0, 0)))
        assert mark.time_s == now_s
    assert not mark.has_passed(25)


def test_the_slowest_partition_counts() -> None:
    mark = Watermark("t", "g")
    mark.observe(lag(10, (5, 5), (0, 1)))
    mark.observe(lag(20, (9, 9), (0, 3)))
    assert not mark.has_passed(0)
    mark.observe(lag(30, (9, 9), (2, 3)))
    assert mark.time_s == 10


def test_a_new_partition_does_not_hold_back_what_was_before_it() -> None:
    mark = Watermark("t", "g")
    mark.observe(lag(10, (0, 5)))
    mark.observe(lag(20, (5, 5), (0, 1)))
    assert mark.time_s == 10
    mark.observe(lag(30, (5, 5), (1, 1)))
    assert mark.time_s == 30


def test_it_never_goes_back() -> None:
    mark = Watermark("t", "g")
    mark.observe(lag(10, (5, 5)))
    mark.observe(lag(5, (5, 5)))  # the clock was set back
    mark.observe(lag(20, (0, 5)))  # the group was reset
    assert mark.time_s == 10


def test_a_topic_that_was_made_anew_is_waited_for_anew() -> None:
    mark = Watermark("t", "g")
    mark.observe(lag(10, (5, 9)))
    mark.observe(lag(20, (0, 2)))
    assert not mark.has_passed(0)
    mark.observe(lag(30, (2, 2)))
    assert mark.time_s == 30


def test_other_topics_and_groups_do_not_count() -> None:
    mark = Watermark("t", "g")
    mark.observe(lag(10, (5, 5), topic="other"))
    mark.observe(lag(10, (5, 5), group="other"))
    assert not mark.has_passed(0)


def test_a_long_backlog_takes_bounded_memory_and_still_passes() -> None:
    mark = Watermark("t", "g")
    count = 20 * MAX_SAMPLES
    for number in range(1, count):
        mark.observe(lag(number, (0, number)))
    assert len(mark._samples) <= MAX_SAMPLES
    mark.observe(lag(count, (count // 2, count)))
    reached = mark.time_s
    assert reached is not None
    assert count / 2 - 4 * count / MAX_SAMPLES < reached <= count / 2
    mark.observe(lag(count + 1, (count, count)))
    assert mark.time_s == count + 1


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.integers(0, 2)),
            st.tuples(st.just("process"), st.integers(0, 2)),
            st.tuples(st.just("sample"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_whatever_happens_all_that_was_published_before_it_is_processed(history: list[tuple[str, int]]) -> None:
    mark = Watermark("t", "g")
    published: list[list[int]] = [[], [], []]  # by partition, the times
    done = [0, 0, 0]
    for now_s, (step, partition) in enumerate(history):
        if step == "publish":
            published[partition].append(now_s)
        elif step == "process":
            done[partition] = min(done[partition] + 1, len(published[partition]))
        else:
            mark.observe(lag(now_s, *((done[one], len(published[one])) for one in range(3))))
        for one in range(3):
            assert not any(mark.has_passed(time_s) for time_s in published[one][done[one] :])
    mark.observe(lag(len(history), *((len(one), len(one)) for one in published)))
    assert mark.time_s == len(history)
