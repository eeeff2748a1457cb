"""Repetitions, crashes and failed commits do not change the final events, and each event is published once."""

from typing import Any

import pytest

from services.alerter.pipeline import AlertPipeline
from services.contracts.errors import Fenced
from services.contracts.events import SegmentStatus
from tests.alerter.flaky import Failure
from tests.alerter.stages import Stages, copy, exact_fields, original, segment_events, upload


def stages_with_copy() -> Stages:
    """Stages whose index holds a copy and its original."""
    stages = Stages()
    stages.store(original(), copy())
    return stages


def test_redelivered_events_have_no_effect() -> None:
    stages, events = stages_with_copy(), upload(copy())
    stages.process(*events)
    before = stages.alerts()
    for event in events:
        stages.process(event)
    stages.process(*events)
    assert stages.alerts() == before
    assert len(stages.all_verdicts()) == 1


@pytest.mark.parametrize("fails", ["before", "after"])
def test_a_failed_or_uncertain_commit_loses_and_repeats_nothing(fails: Failure) -> None:
    stages = stages_with_copy()
    first, *rest = upload(copy())
    stages.process(first)
    held = stages.state()
    stages.publish(*rest)
    stages.matcher.run_once(0)
    stages.bus.fail_next(fails)
    assert not stages.alerter.run_once(0)
    assert stages.state() == held, "the stored state is unchanged"
    stages.run()
    assert [one.status for one in stages.alerts()] == ["open", "final"]
    assert [one.verdict for one in stages.all_verdicts()] == ["copies"]
    assert len(stages.latest()) == 1


def test_killed_stages_continue_from_the_state_topic() -> None:
    stages = stages_with_copy()
    first, *rest = upload(copy())
    stages.process(first)
    stages.restart()
    stages.process(*rest)
    assert [one.status for one in stages.alerts()] == ["open", "final"]
    assert len(stages.latest()) == 1
    stages.restart()
    stages.process(first, *rest)
    assert len(stages.alerts()) == 2, "announced again by ingest, after its own crash"
    assert len(stages.all_verdicts()) == 1


def test_repeated_evidence_is_not_written_again() -> None:
    stages, events = stages_with_copy(), upload(copy())
    messages = stages.search(*events)
    stages.deliver(messages)
    stages.deliver(messages)
    records, published, states = stages.bus.commits[-1]
    assert (len(records), list(published), states) == (len(messages), [], {})


def test_a_failure_does_not_replace_a_described_segment_and_is_replaced_by_one() -> None:
    stages, events = stages_with_copy(), upload(copy())
    changes = {"status": SegmentStatus.FAILED, "content": None, "frame_count": 0, "reason": "no picture"}
    broken = segment_events(copy())[1].model_copy(update=changes)
    stages.process(*events)
    before = stages.alerts()
    stages.process(broken)
    assert stages.alerts() == before, "fetched again after a crash of ingest, and missing by then"

    mended = stages_with_copy()
    mended.process(events[0], broken, *events[2:])
    assert mended.verdicts()["default/copy"].segments_failed == 1
    mended.process(*events[1:])
    assert [verdict.segments_failed for verdict in mended.all_verdicts()] == [1, 0]
    assert exact_fields(mended.alerts()[-1]) == exact_fields(before[-1])
    mended.process(*events, *events)
    assert len(mended.all_verdicts()) == 2


def test_a_fenced_alerter_exits() -> None:
    stages = stages_with_copy()
    stages.run()
    stages.bus.fail_next("before")
    stages.bus.error = Fenced("another alerter took this one's place")
    stages.publish(*upload(copy()))
    with pytest.raises(Fenced):
        stages.run()
    assert stages.states.get(0, "default/copy") is None


def test_a_batch_whose_partition_was_revoked_while_it_was_built_is_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages = stages_with_copy()
    first, *rest = upload(copy())
    stages.process(first)
    process = AlertPipeline.__call__

    def process_during_a_rebalance(pipeline: AlertPipeline, records: Any) -> Any:
        monkeypatch.undo()
        stages.consumer.rebalance()
        return process(pipeline, records)

    monkeypatch.setattr(AlertPipeline, "__call__", process_during_a_rebalance)
    commits = len(stages.bus.commits)
    stages.publish(*rest)
    stages.matcher.run_once(0)
    assert not stages.alerter.run_once(0)
    assert len(stages.bus.commits) == commits
    stages.run()
    assert len(stages.latest()) == 1
    assert len(stages.all_verdicts()) == 1
