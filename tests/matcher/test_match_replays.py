"""Repetitions, crashes and failed commits do not change the final events, and each event is published once."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.errors import Fenced
from services.contracts.events import Event, SegmentStatus
from services.matcher.worker import LONGEST_SILENCE_S
from tests.descriptors import cut, work
from tests.matcher.matcher import (
    Failure,
    Matcher,
    approximate_figures,
    copy,
    end_event,
    exact_fields,
    original,
    segment_events,
    upload,
)

MOMENTS = {"detected_at", "first_detected_at", "latency_s", "decided_at"}


def test_redelivered_events_have_no_effect() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    events = [*segment_events(segments), end_event(segments)]
    matcher.process(*events)
    before = matcher.alerts()
    for event in events:
        matcher.process(event)
    matcher.process(*events)
    assert matcher.alerts() == before
    assert len(matcher.verdicts()) == 1


@pytest.mark.parametrize("fails", ["before", "after"])
def test_a_failed_or_uncertain_commit_loses_and_repeats_nothing(fails: Failure) -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    matcher.process(segment_events(segments)[0])
    held = matcher.state()
    matcher.bus.fail_next(fails)
    matcher.publish(*upload(segments)[1:])
    assert not matcher.worker.run_once(0)
    assert matcher.state() == held, "the stored state is unchanged"
    matcher.run()
    assert [(one.revision, one.status) for one in matcher.alerts()] == [(1, "open"), (2, "final")]
    assert matcher.verdicts()["default/copy"].verdict == "copies"
    assert matcher.bus.lag() == 0


def test_a_killed_matcher_continues_from_the_state_topic() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    first, *rest = upload(segments)
    matcher.process(first)
    matcher.restart()
    matcher.process(*rest)
    assert [(one.revision, one.status) for one in matcher.alerts()] == [(1, "open"), (2, "final")]
    matcher.restart()
    matcher.process(first, *rest)
    assert len(matcher.alerts()) == 2, "announced again by ingest, after its own crash"
    assert matcher.verdicts().keys() == {"default/copy"}


def test_a_repeated_event_causes_no_search_and_no_write() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    events = upload(segments)
    matcher.process(*events)
    matcher.index.search_segments = None  # type: ignore[assignment]
    matcher.process(*events)
    records, messages, states = matcher.bus.commits[-1]
    assert (len(records), list(messages), states) == (len(events), [], {})


def test_a_failure_does_not_replace_a_described_segment_and_is_replaced_by_one() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    events = upload(segments)
    broken = segment_events(segments)[1].model_copy(
        update={"status": SegmentStatus.FAILED, "stamp": None, "frame_count": 0}
    )
    matcher.process(*events)
    before = matcher.alerts()
    matcher.process(broken)
    assert matcher.alerts() == before, "fetched again after a crash of ingest, and missing by then"

    mended = Matcher()
    mended.store(original(), segments)
    mended.process(events[0], broken, *events[2:])
    assert mended.verdicts()["default/copy"].segments_failed == 1
    mended.process(*events[1:])
    assert [verdict.segments_failed for verdict in mended.all_verdicts()] == [1, 0]
    assert exact_fields(mended.alerts()[-1]) == exact_fields(before[-1])
    mended.process(*events, *events)
    assert len(mended.all_verdicts()) == 2


def test_a_fenced_matcher_exits() -> None:
    matcher = Matcher()
    matcher.store(copy())
    matcher.bus.fail_next("before")
    matcher.bus.error = Fenced("another matcher took this one's place")
    matcher.publish(*upload(copy()))
    with pytest.raises(Fenced):
        matcher.run()
    assert matcher.states.get(0, "default/copy") is None


def test_a_batch_whose_partition_was_revoked_during_the_comparison_is_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    matcher.process(segment_events(segments)[0])
    read = matcher.index.read_rows

    def rebalance_during_the_call(*args: Any) -> Any:
        monkeypatch.undo()
        matcher.worker.keep_alive()
        matcher.consumer.rebalance()
        return read(*args)

    monkeypatch.setattr(matcher.index, "read_rows", rebalance_during_the_call)
    commits = len(matcher.bus.commits)
    matcher.publish(*upload(segments)[1:])
    assert not matcher.worker.run_once(0)
    assert len(matcher.bus.commits) == commits
    matcher.run()
    assert matcher.latest().keys() == {matcher.alerts()[0].alert_id}
    assert len(matcher.verdicts()) == 1


def test_a_slow_batch_polls_between_its_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the group removes the matcher, and the same batch is too slow for the next one."""
    matcher = Matcher()
    assets = [cut(f"a{number}", work(number, 0, 8)) for number in range(3)]
    matcher.store(*assets)
    matcher.run()
    matcher.publish(*(event for segments in assets for event in upload(segments)))
    poll, polls = matcher.consumer.poll, list[int]()

    def poll_and_count(*arguments: Any) -> Any:
        polls.append(1)
        return poll(*arguments)

    monkeypatch.setattr(matcher.consumer, "poll", poll_and_count)
    search = matcher.pipeline._process_asset

    def search_slowly(*arguments: Any) -> None:
        search(*arguments)
        matcher.clock.at += LONGEST_SILENCE_S

    monkeypatch.setattr(matcher.pipeline, "_process_asset", search_slowly)
    assert matcher.worker.run_once(0)
    assert len(polls) == 1 + len(assets)
    assert len(matcher.verdicts()) == 3


Step = tuple[str, Any]

steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 4)),
        st.tuples(st.just("again"), st.tuples(st.integers(0, 10), st.integers(1, 6))),
        st.tuples(st.just("run"), st.none()),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("fail"), st.sampled_from(["before", "after"])),
        st.tuples(st.just("rebalance"), st.none()),
    ),
    max_size=25,
)


def outcome(matcher: Matcher) -> tuple[dict[str, dict[str, Any]], list[float], dict[str, Any]]:
    latest = sorted(matcher.latest().items())
    verdicts = {key: verdict.model_dump(exclude=MOMENTS) for key, verdict in matcher.verdicts().items()}
    return (
        {key: exact_fields(alert) for key, alert in latest},
        [n for _, alert in latest for n in approximate_figures(alert)],
        verdicts,
    )


def two_uploads() -> tuple[Matcher, list[Event]]:
    old, new = cut("original", work(1, 0, 60)), copy()
    matcher = Matcher()
    matcher.store(old, new)
    events: list[Event] = [*segment_events(new), *segment_events(old), end_event(new), end_event(old)]
    Random(1).shuffle(events)
    return matcher, events


@settings(deadline=None, max_examples=60)
@given(history=steps)
def test_no_history_of_replays_crashes_and_failures_changes_the_final_events(history: list[Step]) -> None:
    undisturbed, events = two_uploads()
    for event in events:
        undisturbed.process(event)
    matcher, events = two_uploads()
    published = 0
    for step, value in history:
        if step == "publish":
            matcher.publish(*events[published : published + value])
            published = min(published + value, len(events))
        elif step == "again":
            start, count = value
            matcher.publish(*events[:published][start : start + count])
        elif step == "run":
            matcher.worker.run_once(0)
        elif step == "restart":
            matcher.restart()
        elif step == "fail":
            matcher.bus.fail_next(value)
        else:
            matcher.consumer.rebalance()
    matcher.process(*events[published:])
    alerts, numbers, verdicts = outcome(matcher)
    expected_alerts, expected_numbers, expected_verdicts = outcome(undisturbed)
    assert alerts == expected_alerts
    assert numbers == pytest.approx(expected_numbers, abs=1e-3)
    assert verdicts == expected_verdicts
    assert matcher.bus.states().keys() == {"default/copy", "default/original"}
